//! The layer's machinery on flat slices in the engine's layout.
//!
//! Activations are `[C, H, W, B]`, the batch innermost, so that every operation is the same on 16 contiguous
//! values of 16 images. The trainer works on this layout throughout; [`CfConv2d`](crate::CfConv2d) converts
//! at its edges. The plans of single convolutions check sizes with `debug_assert!` only: they serve
//! [`CfConv2dEngine`] and the trainer's layers, which validate.

mod applied_form;
mod cf_conv2d;
mod channel_mix;
mod depthwise_conv;
mod depthwise_spectral;
mod direct_conv;
mod exact_growth;
mod few_images;
mod kernel_application;
mod kernel_samples;
mod measured_gaps;
mod plan;
mod planned_memory;
mod scratch_pool;
mod spectral_conv;
mod step_undo;
mod transfer_function;

pub use cf_conv2d::{CfConv2dEngine, CfConvWorkspace};
pub use depthwise_conv::{DepthwiseConv, DepthwiseConvSizes};
pub use depthwise_spectral::{DepthwiseSpectralConv, DepthwiseSpectralSizes};
pub use direct_conv::{DirectConv, DirectConvSizes, PaddingMode};
pub use measured_gaps::measure_gaps;
pub use plan::{AppliedForm, EnginePlan};
pub use planned_memory::{PlannedMemory, PlannedWorkspace};
pub use spectral_conv::{Domain, SavedSpectrum, SpectralConv, SpectralConvSizes, SpectralWorkspace};
pub use transfer_function::TransferFunction;
