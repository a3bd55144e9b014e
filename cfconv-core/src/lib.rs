//! The continuous Fourier convolution layer.

pub mod engine;
