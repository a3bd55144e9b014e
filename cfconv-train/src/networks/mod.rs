//! Networks from configuration: shapes, parameters, memory, training steps.
//!
//! A [`NetworkConfig`] lists layers, each of one of the kinds in [`layers`]. [`NetworkPlan`] infers shapes, counts
//! parameters and plans memory without allocating any; [`Network`] holds the buffers on a device and runs steps.

mod arena;
mod config;
mod diagnostics;
mod error;
mod kernels;
pub mod layers;
mod memory_plan;
mod network;
mod plan;
mod planned_memory;
mod resolution;
mod rollback;
mod shape;
mod tensors;

pub use config::NetworkConfig;
pub use diagnostics::KernelDiagnostics;
pub use error::{NetworkError, Result};
pub use kernels::{LayerKernels, PairKernel};
pub use layers::{LayerConfig, PlannedBatches};
pub use network::{BatchLoss, Network};
pub use plan::{LayerSummary, NetworkPlan, Segment};
pub use planned_memory::NetworkMemory;
pub use shape::{InputShape, Shape};
pub(crate) use tensors::{KERNEL_STATE, REFRESH_HISTORY};
pub use tensors::{NamedTensor, TensorValues};
