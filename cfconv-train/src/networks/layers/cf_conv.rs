//! Continuous Fourier convolution.

use cfconv_core::engine::EnginePlan;

use super::kernel_layer::{KernelLayer, kernel_layer_config};
use super::prelude::*;

kernel_layer_config! {
    /// A layer of type `cf-conv`. Every optional field but `bias` stands in for the field of the same name in
    /// `[network]`.
    images CfConvLayerConfig {
        /// Output channels.
        pub out_channels: usize,
        /// Whether a learned constant is added to each channel; none is needed before batch normalisation.
        /// Default: true.
        #[serde(default = "yes")]
        pub bias: bool,
    }
}

impl LayerKind for CfConvLayerConfig {
    type Op = KernelLayer;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<KernelLayer>, NetworkError> {
        let size @ (_, height, width) = at.image()?;
        let config = self.on_images(at, size, self.out_channels)?;
        let output = Shape::Image { channels: self.out_channels, height, width };
        KernelLayer::plan(at, EnginePlan::try_new(&config), output)
    }

    fn resize(&mut self, _: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        self.sampler = None;
        Ok(growth)
    }
}
