//! The engine against explicit sums, adjoint identities, and itself.

mod between_spectra;
mod depthwise_conv;
mod direct_conv;
mod spectral_conv;
mod support;
