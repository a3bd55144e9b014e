//! Smaller half spectra of the low frequencies.

use super::prelude::*;
use crate::nn::{SpectralPoolSizes, SpectrumSizes};

/// A layer of type `spectral-crop`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralCropLayerConfig {
    /// Rows and columns of the image that the smaller half spectrum belongs to.
    pub size: usize,
}

impl LayerKind for SpectralCropLayerConfig {
    type Op = SpectralCrop;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<SpectralCrop>, NetworkError> {
        let SpectrumSizes { channels, height, width } = at.spectrum()?;
        let size = self.size;
        at.smaller("size", size, height.min(width))?;
        let sizes = SpectralPoolSizes { channels, height, width, output_height: size, output_width: size };
        let output = Shape::Spectrum { channels, height: size, width: size };
        Ok(Planned::new(SpectralCrop(sizes), output))
    }
}

/// The low frequencies of a half spectrum.
#[derive(Clone, Debug)]
pub(crate) struct SpectralCrop(SpectralPoolSizes);

impl LayerOp for SpectralCrop {
    type State<D: Device> = D::SpectralCropPlan;
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<D::SpectralCropPlan, DeviceError> {
        device.plan_spectral_crop(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.spectral_crop(pass.state, io.batch, io.input, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let Some(grad_input) = io.grad_input else { return Ok(()) };
        pass.device.spectral_crop_adjoint(pass.state, io.batch, io.grad_output, grad_input)
    }
}
