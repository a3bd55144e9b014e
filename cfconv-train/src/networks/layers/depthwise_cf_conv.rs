//! Continuous Fourier convolution of each channel with its own kernel.

use cfconv_core::CfConv2dConfig;
use cfconv_core::engine::EnginePlan;

use super::kernel_layer::{KernelLayer, kernel_layer_config};
use super::prelude::*;

kernel_layer_config! {
    /// A layer of type `depthwise-cf-conv`: one kernel for each channel, Φ(h, w, c). Every optional field but `bias`
    /// stands in for the field of the same name in `[network]`.
    images DepthwiseCfConvLayerConfig {
        /// Whether a learned constant is added to each channel. Default: true.
        #[serde(default = "yes")]
        pub bias: bool,
    }
}

impl LayerKind for DepthwiseCfConvLayerConfig {
    type Op = KernelLayer;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<KernelLayer>, NetworkError> {
        let size @ (channels, ..) = at.image()?;
        let config = CfConv2dConfig { depthwise: true, ..self.on_images(at, size, channels)? };
        KernelLayer::plan(at, EnginePlan::try_new(&config), at.shape)
    }

    fn resize(&mut self, _: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        self.sampler = None;
        Ok(growth)
    }
}
