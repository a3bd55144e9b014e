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
pub mod group_norm;
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
pub mod step_status;
#[cfg(test)]
mod testing;

pub use op_plan::OpPlan;
pub use operands::{Backward, Forward, OpSizes};
pub use pool_window::PoolSizes;
pub(crate) use seed::{Purpose, stream};
pub use spectrum_sizes::SpectrumSizes;

use crate::device::Memory;

/// Re-exports each operation's trait and types, and makes the trait of a device that has all of them.
macro_rules! operations {
    ($($module:ident::$Op:ident $(, $Item:ident)*;)+) => {
        $(pub use $module::{$Op, $($Item),*};)+

        /// Memory and every operation, forward and backward.
        pub trait Operations: Memory $(+ $Op)+ {}

        impl<D: Memory $(+ $Op)+> Operations for D {}
    };
}

// Every operation: its folder, its trait, the types that go with it.
operations! {
    activation::ActivationOp, Activation, ActivationSizes;
    add::AddOp;
    average_pool::AveragePoolOp;
    batch_norm::BatchNormOp, BatchNormSizes, BatchStatistics;
    cf_conv2d::CfConv2dOp, CfConv2d, CfConv2dState, CfConv2dWorkspace, KernelSource;
    complex_activation::ComplexActivationOp, ComplexActivation, ComplexActivationSizes;
    complex_batch_norm::ComplexBatchNormOp, ComplexBatchNormSizes, SpectrumStatistics;
    conv2d::Conv2dOp, Conv2dPlan, Conv2dSizes;
    cross_entropy::CrossEntropyOp, CrossEntropy;
    depthwise_conv2d::DepthwiseConv2dOp, DepthwiseConv2dPlan, DepthwiseConv2dSizes;
    dropout::DropoutOp, DropoutSizes;
    global_average_pool::GlobalAveragePoolOp, GlobalAveragePoolSizes;
    group_norm::GroupNormOp, GroupNormSizes;
    layer_norm::LayerNormOp, LayerNormSizes;
    linear::LinearOp, LinearSizes;
    max_pool::MaxPoolOp;
    optimizer::OptimizerOp, AdamMoments, AdamStep, SgdStep, Update;
    patch_embed::PatchEmbedOp, PatchEmbedPlan, PatchEmbedSizes;
    position_embedding::PositionEmbeddingOp, PositionEmbeddingSizes;
    self_attention::SelfAttentionOp, SelfAttentionMemory, SelfAttentionPlan, SelfAttentionSizes;
    spectral_crop::SpectralCropOp, SpectralCropPlan, SpectralCropSizes;
    spectral_pool::SpectralPoolOp, SpectralPoolPlan, SpectralPoolSizes;
    spectrum_transform::SpectrumTransformOp, SpectrumTransformPlan, ToImageSizes, ToSpectrumSizes;
    step_status::StepStatusOp, StepMonitor, StepSums;
}

/// Values that one parallel task of an element-wise operation handles: 64 KiB of `f32`.
pub(crate) const VALUES_PER_TASK: usize = 1 << 14;
