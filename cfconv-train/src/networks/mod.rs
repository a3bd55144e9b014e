//! Networks from configuration: shapes, parameters, memory, training steps.
//!
//! A [`NetworkConfig`] lists layers. [`NetworkPlan`] infers shapes, counts parameters and plans memory without
//! allocating any; [`Network`] holds the buffers on a device and runs steps.

mod arena;
mod config;
mod diagnostics;
mod error;
mod initialize;
mod kernels;
mod layer;
mod memory_plan;
mod network;
mod plan;
mod planned_memory;
mod resolution;
mod rollback;
mod shape;
mod spectrum_config;
mod spectrum_plan;
mod tensors;
mod token_config;
mod token_plan;

pub use config::{
    ActivationLayerConfig, BatchNormLayerConfig, CfConvLayerConfig, ConvLayerConfig, DropoutLayerConfig,
    LayerConfig, LinearLayerConfig, NetworkConfig, PoolLayerConfig, ResidualLayerConfig,
    SpectralPoolLayerConfig,
};
pub use diagnostics::KernelDiagnostics;
pub use error::{NetworkError, Result};
pub use kernels::{LayerKernels, PairKernel};
pub use network::{BatchLoss, Network};
pub use plan::{LayerSummary, NetworkPlan, Segment};
pub use planned_memory::{NetworkMemory, PlannedBatches};
pub use shape::{InputShape, Shape};
pub use spectrum_config::{
    CfMixLayerConfig, ComplexActivationLayerConfig, ComplexBatchNormLayerConfig, SpectralCropLayerConfig,
};
pub use tensors::{NamedTensor, TensorValues};
pub use token_config::{
    DepthwiseCfConvLayerConfig, DepthwiseConvLayerConfig, LayerNormLayerConfig, PatchEmbedLayerConfig,
    SelfAttentionLayerConfig,
};
