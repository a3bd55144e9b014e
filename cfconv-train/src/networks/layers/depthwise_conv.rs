//! Spatial convolution of each channel on its own.

use super::prelude::*;
use crate::nn::conv2d::PaddingMode;
use crate::nn::depthwise_conv2d::DepthwiseConvSizes;
use crate::nn::{DepthwiseConv2dPlan, DepthwiseConv2dSizes};

/// A layer of type `depthwise-conv`: stride 1, output as large as the input.
///
/// Initial weights have the variance 2/fan_in (He et al., 2015, eq. 10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseConvLayerConfig {
    /// Rows and columns of the kernels; odd. Default: 3.
    #[serde(default = "three")]
    pub kernel_size: usize,
    /// What lies beyond the border. Default: `zeros`.
    #[serde(default = "zeros")]
    pub padding: PaddingMode,
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl LayerKind for DepthwiseConvLayerConfig {
    type Op = DepthwiseConv2dSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<DepthwiseConv2dSizes>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let Self { kernel_size, padding, bias } = *self;
        at.odd("kernel_size", kernel_size)?;
        let variance = 2.0 / (kernel_size * kernel_size) as f64;
        let mut params = vec![Param::weight("weight", [channels, kernel_size, kernel_size], variance)];
        params.extend(bias.then(|| Param::constant("bias", [channels], 0.0)));
        let conv = DepthwiseConvSizes { channels, height, width, kernel_size, padding };
        let (in_channels, out_channels) = (channels, channels);
        let taps = PlannedTaps { in_channels, out_channels, kernel_size, height, width, depthwise: true };
        Ok(Planned {
            params,
            taps: Some(taps),
            ..Planned::new(DepthwiseConv2dSizes { conv, bias }, at.shape)
        })
    }
}

impl LayerOp for DepthwiseConv2dSizes {
    type State<D: Device> = DepthwiseConv2dPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<DepthwiseConv2dPlan<D>, DeviceError> {
        device.plan_depthwise_conv2d(self)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.depthwise_conv2d(pass.state, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.depthwise_conv2d_vjp(pass.state, io)
    }
}
