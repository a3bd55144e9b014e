//! Smaller half spectra of the low frequencies.

use super::prelude::*;
use crate::nn::{SpectralCropPlan, SpectralCropSizes, SpectralPoolSizes, SpectrumSizes};

/// A layer of type `spectral-crop`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralCropLayerConfig {
    /// Rows and columns of the image that the smaller half spectrum belongs to.
    pub size: usize,
}

impl LayerKind for SpectralCropLayerConfig {
    type Op = SpectralCropSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<SpectralCropSizes>, NetworkError> {
        let SpectrumSizes { channels, height, width } = at.spectrum()?;
        let size = self.size;
        at.smaller("size", size, height.min(width))?;
        let sizes = SpectralPoolSizes { channels, height, width, output_height: size, output_width: size };
        let output = Shape::Spectrum { channels, height: size, width: size };
        Ok(Planned::new(SpectralCropSizes(sizes), output))
    }
}

impl LayerOp for SpectralCropSizes {
    type State<D: Device> = SpectralCropPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<SpectralCropPlan<D>, DeviceError> {
        device.plan_spectral_crop(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.spectral_crop(pass.state, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.spectral_crop_adjoint(pass.state, io)
    }
}
