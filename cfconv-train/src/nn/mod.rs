//! Operations on a device: each a forward function and its vector-Jacobian product.
//!
//! One folder holds one operation: `mod.rs` the sizes and the trait, `cpu_kernel.rs` and `cuda_kernel.rs` what each
//! device computes. The methods of a trait check their operands ([`Forward::check`], [`Backward::check`]) and then call
//! the method of the same name with `_kernel` at its end. A device implements the kernels alone: a kernel relies on its
//! operands, and its errors are what the device reports. Everybody else calls the method that checks.
//!
//! Activations are `[C, H, W, B]`, the batch innermost, and half spectra `[C, H, Wr, 2, B]` ([`SpectrumSizes`]).
//! Gradients of parameters accumulate, gradients of inputs overwrite. An operation's parameters are contiguous, weights
//! before biases.

pub mod activation;
pub mod add;
pub mod average_pool;
pub mod batch_norm;
pub mod cf_conv2d;
pub mod complex_activation;
pub mod complex_batch_norm;
pub mod conv2d;
pub mod cross_entropy;
pub mod depthwise_conv2d;
pub mod dropout;
pub mod global_average_pool;
mod lane_sum;
pub mod layer_norm;
pub mod linear;
pub mod max_pool;
mod op_plan;
mod operands;
pub mod optimizer;
pub mod patch_embed;
mod pool_window;
pub mod position_embedding;
mod seed;
pub mod self_attention;
mod slices;
pub mod spectral_crop;
pub mod spectral_pool;
mod spectrum_sizes;
pub mod spectrum_transform;
#[cfg(test)]
mod testing;
pub mod verdict;

pub use activation::{Activation, ActivationOp, ActivationSizes};
pub use add::AddOp;
pub use average_pool::AveragePoolOp;
pub use batch_norm::{BatchNormOp, BatchNormSizes, BatchStatistics};
pub use cf_conv2d::{CfConv2d, CfConv2dOp, CfConv2dState, CfConv2dWorkspace, KernelSource};
pub use complex_activation::{ComplexActivation, ComplexActivationOp, ComplexActivationSizes};
pub use complex_batch_norm::{ComplexBatchNormOp, ComplexBatchNormSizes, SpectrumStatistics};
pub use conv2d::{Conv2dOp, Conv2dPlan, Conv2dSizes};
pub use cross_entropy::{CrossEntropy, CrossEntropyOp};
pub use depthwise_conv2d::{DepthwiseConv2dOp, DepthwiseConv2dPlan, DepthwiseConv2dSizes};
pub use dropout::{DropoutOp, DropoutSizes};
pub use global_average_pool::{GlobalAveragePoolOp, GlobalAveragePoolSizes};
pub use layer_norm::{LayerNormOp, LayerNormSizes};
pub use linear::{LinearOp, LinearSizes};
pub use max_pool::MaxPoolOp;
pub use op_plan::OpPlan;
pub use operands::{Backward, Forward, OpSizes};
pub use optimizer::{AdamMoments, AdamStep, OptimizerOp, SgdStep, Update};
pub use patch_embed::{PatchEmbedOp, PatchEmbedPlan, PatchEmbedSizes};
pub use pool_window::PoolSizes;
pub use position_embedding::{PositionEmbeddingOp, PositionEmbeddingSizes};
pub(crate) use seed::{Purpose, stream};
pub use self_attention::{SelfAttentionMemory, SelfAttentionOp, SelfAttentionPlan, SelfAttentionSizes};
pub use spectral_crop::{SpectralCropOp, SpectralCropPlan, SpectralCropSizes};
pub use spectral_pool::{SpectralPoolOp, SpectralPoolPlan, SpectralPoolSizes};
pub use spectrum_sizes::SpectrumSizes;
pub use spectrum_transform::{SpectrumTransformOp, SpectrumTransformPlan, ToImageSizes, ToSpectrumSizes};
pub use verdict::{StepLedger, StepSums, VerdictOp};

/// Values that one parallel task of an element-wise operation handles: 64 KiB of `f32`.
pub(crate) const VALUES_PER_TASK: usize = 1 << 14;
