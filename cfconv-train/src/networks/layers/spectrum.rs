//! From images to half spectra and back.

use super::prelude::*;
use crate::nn::SpectrumSizes;

/// A layer of type `to-spectrum`: orthonormal, 1/√(H·W).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToSpectrumLayerConfig {}

/// A layer of type `to-image`: orthonormal, 1/√(H·W).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToImageLayerConfig {}

impl LayerKind for ToSpectrumLayerConfig {
    type Op = ToSpectrum;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ToSpectrum>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let sizes = SpectrumSizes { channels, height, width };
        Ok(Planned::new(ToSpectrum(sizes), Shape::Spectrum { channels, height, width }))
    }

    fn resize(&mut self, at: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        // Orthonormal spectra grow with the number of pixels, which statistics and thresholds do not.
        if growth.new != growth.old {
            let expected = format!("{}: values of half spectra depend on it", growth.old);
            return Err(at.setting("size of the images", &expected, growth.new));
        }
        Ok(growth)
    }
}

impl LayerKind for ToImageLayerConfig {
    type Op = ToImage;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ToImage>, NetworkError> {
        let sizes = at.spectrum()?;
        let SpectrumSizes { channels, height, width } = sizes;
        Ok(Planned::new(ToImage(sizes), Shape::Image { channels, height, width }))
    }
}

/// The half spectrum of an image.
#[derive(Clone, Debug)]
pub(crate) struct ToSpectrum(SpectrumSizes);

impl LayerOp for ToSpectrum {
    type State<D: Device> = D::SpectrumTransformPlan;
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<D::SpectrumTransformPlan, DeviceError> {
        device.plan_spectrum_transform(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.to_spectrum(pass.state, io.batch, io.input, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let Some(grad_input) = io.grad_input else { return Ok(()) };
        pass.device.to_spectrum_adjoint(pass.state, io.batch, io.grad_output, grad_input)
    }
}

/// The image of a half spectrum.
#[derive(Clone, Debug)]
pub(crate) struct ToImage(SpectrumSizes);

impl LayerOp for ToImage {
    type State<D: Device> = D::SpectrumTransformPlan;
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<D::SpectrumTransformPlan, DeviceError> {
        device.plan_spectrum_transform(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.to_image(pass.state, io.batch, io.input, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let Some(grad_input) = io.grad_input else { return Ok(()) };
        pass.device.to_image_adjoint(pass.state, io.batch, io.grad_output, grad_input)
    }
}
