//! Benchmarks of cfconv: what its program measures, one file for each subject.
//!
//! Every number comes from the functions that training and applications call, with operands allocated and
//! touched before the clock starts. The times are wall times of whole steps; the smallest and the median of
//! several are given. Nothing here gates a test.
//!
//! The same options with `--dump FILE` write operands and results of one step, from which
//! `cfconv-bench/peers/pytorch.py --check FILE` computes the results anew.
//!
//! ```text
//! cargo run --release -q -p cfconv-bench -- layer --positions 262144 --threads 2 --json
//! ```
//!
//! # Features
//! `cuda`, off by default: the program `cfconv-bench-cuda`, which `cfconv-bench` starts for `--device cuda`; it needs a
//! CUDA toolkit to be built (`docs/cuda.md`).

#[cfg(feature = "cuda")]
mod card;
pub mod cli;
pub mod conv3x3;
pub mod device_layer;
mod dump;
pub mod fft;
pub mod infer;
pub mod layer;
mod measure;
mod memory;
pub mod net;
mod operands;
#[cfg(doctest)]
mod readme;
pub mod sgemm;
mod shape;

pub use device_layer::Limits;
pub use dump::Dump;
pub use measure::{RunArgs, Timing};
pub use shape::{DeviceArgs, DeviceChoice, ShapeArgs};
