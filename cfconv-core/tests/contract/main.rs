//! Contract tests of the crate through its public interface; one binary, since each would compile every
//! kernel again.

mod common;
mod configuration;
mod depthwise;
mod engine;
mod golden;
mod gradients;
mod initialization;
mod kernel_state;
mod lattice;
mod layer;
mod memory;
mod sampler;
mod unbiasedness;
