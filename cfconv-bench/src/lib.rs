//! Benchmarks of cfconv: one file for each thing that the program `cfconv-bench` measures.
//!
//! The benchmarks time the functions that training and applications call. They allocate and touch all operands
//! before the clock starts, and report the smallest and the median wall time of several whole steps. No test
//! passes or fails by these times.
//!
//! With `--dump FILE` the same options write the operands and results of one step.
//! `cfconv-bench/peers/pytorch.py --check FILE` then computes the results again and compares.
//!
//! ```text
//! cargo run --release -q -p cfconv-bench --bin cfconv-bench -- layer --batch 32 --in-channels 32 \
//!     --out-channels 32 --height 64 --width 64 --positions 262144 --threads 2 --steps 7 --json
//! ```
//!
//! # Features
//! `cuda`, off by default: the program `cfconv-bench-cuda`, which `cfconv-bench` starts for `--device cuda`.
//! Building it needs a CUDA toolkit (`docs/cuda.md`).

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
