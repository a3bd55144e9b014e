//! Smaller images from the low frequencies.

use super::prelude::*;
use crate::nn::{SpectralPoolPlan, SpectralPoolSizes};

/// A layer of type `spectral-pool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralPoolLayerConfig {
    /// Rows and columns of the output.
    pub size: usize,
}

impl LayerKind for SpectralPoolLayerConfig {
    type Op = SpectralPoolSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<SpectralPoolSizes>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let size = self.size;
        at.smaller("size", size, height.min(width))?;
        let sizes = SpectralPoolSizes { channels, height, width, output_height: size, output_width: size };
        let output = Shape::Image { channels, height: size, width: size };
        Ok(Planned::new(sizes, output))
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

impl LayerOp for SpectralPoolSizes {
    type State<D: Device> = SpectralPoolPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<SpectralPoolPlan<D>, DeviceError> {
        device.plan_spectral_pool(self)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.spectral_pool(pass.state, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.spectral_pool_adjoint(pass.state, io)
    }
}
