//! The layer's machinery on flat slices in the engine's layout.
//!
//! Activations are `[C, H, W, B]`, the batch innermost, so that every operation is the same on 16 contiguous
//! values of 16 images. The trainer works on this layout throughout; [`CfConv2d`](crate::CfConv2d) converts
//! at its edges.
//!
//! A layer is planned once ([`EnginePlan`]). The [`Engine`] says what happens in which order, and its
//! [`EngineBackend`] does it: [`CpuBackend`] here, the trainer's on a graphics card. The plans of single convolutions
//! check sizes with `debug_assert!` only: they serve backends and the trainer's layers, which validate.

mod backend;
mod buffers;
mod cf_conv2d;
mod channel_mix;
mod conv_kind;
mod cpu_backend;
mod depthwise_conv;
mod depthwise_spectral;
mod direct_conv;
mod kernel_conv;
mod kernel_samples;
mod plan;
mod planned_memory;
mod rollback;
mod scratch_pool;
mod shadow_gap;
mod small_batch;
mod spectral_conv;
mod transfer_function;

pub use backend::{EngineBackend, EngineMemory};
pub use cf_conv2d::{CfConv2dEngine, CfConvWorkspace, Engine, EngineWorkspace};
pub use cpu_backend::CpuBackend;
pub use depthwise_conv::{DepthwiseConv, DepthwiseConvSizes};
pub use depthwise_spectral::{DepthwiseSpectralConv, DepthwiseSpectralSizes};
pub use direct_conv::{DirectConv, DirectConvSizes, PaddingMode};
pub use plan::{EnginePlan, PlannedAlgorithm};
pub use planned_memory::{PlannedMemory, PlannedWorkspace};
pub use spectral_conv::{Domain, SavedSpectrum, SpectralConv, SpectralConvSizes, SpectralWorkspace};
pub use transfer_function::TransferFunction;
