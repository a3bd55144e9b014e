//! The layer's machinery on flat slices in the engine's layout.
//!
//! Activations are `[C, H, W, B]`, the batch innermost, so that every operation is the same on 16 contiguous
//! values of 16 images. The trainer works on this layout throughout; [`CfConv2d`](crate::CfConv2d) converts
//! at its edges. Functions here check sizes with `debug_assert!` only: the public layers validate.

mod direct_conv;
mod scratch_pool;
mod spectral_conv;

pub use direct_conv::{DirectConv, DirectConvSizes, PaddingMode};
pub use spectral_conv::{SavedSpectrum, SpectralConv, SpectralConvSizes, SpectralWorkspace};
