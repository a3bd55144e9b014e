//! The mean over all pixels.

use super::prelude::*;
use crate::nn::GlobalAveragePoolSizes;

/// A layer of type `global-avg-pool`: one feature for each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPoolLayerConfig {}

impl LayerKind for GlobalAvgPoolLayerConfig {
    type Op = GlobalAveragePoolSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<GlobalAveragePoolSizes>, NetworkError> {
        let (channels, height, width) = at.image()?;
        Ok(Planned::new(
            GlobalAveragePoolSizes { channels, pixels: height * width },
            Shape::Features(channels),
        ))
    }
}

impl LayerOp for GlobalAveragePoolSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.global_average_pool(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.global_average_pool_adjoint(self, io)
    }
}
