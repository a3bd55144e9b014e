//! The channel mix of a continuous Fourier convolution, between half spectra.

use cfconv_core::engine::EnginePlan;

use super::kernel_layer::{KernelLayer, kernel_layer_config};
use super::prelude::*;
use crate::nn::SpectrumSizes;

kernel_layer_config! {
    /// A layer of type `cf-mix`: the channel mix of `cf-conv` between half spectra. Every optional field stands in for
    /// the field of the same name in `[network]`.
    spectra CfMixLayerConfig {
        /// Output channels.
        pub out_channels: usize,
        /// Whether a learned constant is added to each channel's image: a value at the zero frequency.
        /// Default: true.
        #[serde(default = "yes")]
        pub bias: bool,
        /// Output variance at initialisation for white noise of unit variance. Default: 2, as for `cf-conv`.
        #[serde(default = "two")]
        pub gain: f64,
    }
}

fn two() -> f64 {
    2.0
}

impl LayerKind for CfMixLayerConfig {
    type Op = KernelLayer;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<KernelLayer>, NetworkError> {
        let SpectrumSizes { channels, height, width } = at.spectrum()?;
        at.positive("gain", self.gain)?;
        let config = self.on_spectra(at, (channels, height, width), self.out_channels)?;
        let output = Shape::Spectrum { channels: self.out_channels, height, width };
        KernelLayer::plan(at, EnginePlan::try_between_spectra(&config, self.gain), output)
    }

    fn resize(&mut self, _: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        self.sampler = None;
        Ok(growth)
    }
}
