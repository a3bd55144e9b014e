//! Smaller images from the low frequencies.

use super::prelude::*;
use crate::nn::SpectralPoolSizes;

/// A layer of type `spectral-pool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralPoolLayerConfig {
    /// Rows and columns of the output.
    pub size: usize,
}

impl LayerKind for SpectralPoolLayerConfig {
    type Op = SpectralPool;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<SpectralPool>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let size = self.size;
        at.smaller("size", size, height.min(width))?;
        let sizes = SpectralPoolSizes { channels, height, width, output_height: size, output_width: size };
        let output = Shape::Image { channels, height: size, width: size };
        Ok(Planned::new(SpectralPool(sizes), output))
    }

    fn resize(&mut self, at: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        let whole = growth.scaled(self.size).filter(|&size| size > 0);
        self.size = whole.ok_or_else(|| {
            let Growth { old, new } = growth;
            let expected = format!("a size that stays whole when {old} pixels become {new}");
            at.setting("size", &expected, self.size)
        })?;
        Ok(growth)
    }
}

/// The low frequencies of an image, as a smaller image.
#[derive(Clone, Debug)]
pub(crate) struct SpectralPool(SpectralPoolSizes);

impl LayerOp for SpectralPool {
    type State<D: Device> = D::SpectralPoolPlan;
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<D::SpectralPoolPlan, DeviceError> {
        device.plan_spectral_pool(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.spectral_pool(pass.state, io.batch, io.input, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let Some(grad_input) = io.grad_input else { return Ok(()) };
        pass.device.spectral_pool_adjoint(pass.state, io.batch, io.grad_output, grad_input)
    }
}
