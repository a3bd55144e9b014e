//! The mean over all pixels.

use super::prelude::*;

/// A layer of type `global-avg-pool`: one feature for each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPoolLayerConfig {}

impl LayerKind for GlobalAvgPoolLayerConfig {
    type Op = GlobalAvgPool;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<GlobalAvgPool>, NetworkError> {
        let (channels, height, width) = at.image()?;
        Ok(Planned::new(GlobalAvgPool { pixels: height * width }, Shape::Features(channels)))
    }
}

/// The mean over this many pixels.
#[derive(Clone, Debug)]
pub(crate) struct GlobalAvgPool {
    pixels: usize,
}

impl LayerOp for GlobalAvgPool {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.global_average_pool(self.pixels, io.batch, io.input, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let Some(grad_input) = io.grad_input else { return Ok(()) };
        pass.device.global_average_pool_adjoint(self.pixels, io.batch, io.grad_output, grad_input)
    }
}
