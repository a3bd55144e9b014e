//! Spatial convolution.

use super::prelude::*;
use crate::nn::conv2d::{DirectConvSizes, PaddingMode};
use crate::nn::{Conv2dPlan, Conv2dSizes};

/// A layer of type `conv`: stride 1, output as large as the input.
///
/// Initial weights have the variance 2/fan_in (He et al., 2015, eq. 10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvLayerConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Rows and columns of the kernel; odd. Default: 3.
    #[serde(default = "three")]
    pub kernel_size: usize,
    /// What lies beyond the border. Default: `zeros`.
    #[serde(default = "zeros")]
    pub padding: PaddingMode,
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl LayerKind for ConvLayerConfig {
    type Op = Conv2dSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<Conv2dSizes>, NetworkError> {
        let (in_channels, height, width) = at.image()?;
        let Self { out_channels, kernel_size, padding, bias } = *self;
        at.at_least_one("out_channels", out_channels)?;
        at.odd("kernel_size", kernel_size)?;
        let fan_in = in_channels * kernel_size * kernel_size;
        let shape = [out_channels, in_channels, kernel_size, kernel_size];
        let mut params = vec![Param::weight("weight", shape, 2.0 / fan_in as f64)];
        params.extend(bias.then(|| Param::constant("bias", [out_channels], 0.0)));
        let conv = DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding };
        let output = Shape::Image { channels: out_channels, height, width };
        let taps = PlannedTaps { in_channels, out_channels, kernel_size, height, width, depthwise: false };
        Ok(Planned { params, taps: Some(taps), ..Planned::new(Conv2dSizes { conv, bias }, output) })
    }
}

impl LayerOp for Conv2dSizes {
    type State<D: Device> = Conv2dPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<Conv2dPlan<D>, DeviceError> {
        device.plan_conv2d(self)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.conv2d(pass.state, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.conv2d_vjp(pass.state, io)
    }

    fn memory<D: Device>(&self, device: &D, _: &PlannedBatches) -> Result<LayerMemory, DeviceError> {
        let plan = device.plan_conv2d(self)?;
        Ok(LayerMemory::working(device.conv2d_planned_bytes(&plan)))
    }

    fn working_bytes<D: Device>(&self, plan: &Conv2dPlan<D>, device: &D, _: usize) -> usize {
        device.conv2d_scratch_bytes(plan)
    }
}
