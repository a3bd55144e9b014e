//! From images to half spectra and back.

use super::prelude::*;
use crate::nn::{SpectrumSizes, SpectrumTransformPlan, ToImageSizes, ToSpectrumSizes};

/// A layer of type `to-spectrum`: orthonormal, 1/√(H·W).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToSpectrumLayerConfig {}

/// A layer of type `to-image`: orthonormal, 1/√(H·W).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToImageLayerConfig {}

impl LayerKind for ToSpectrumLayerConfig {
    type Op = ToSpectrumSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ToSpectrumSizes>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let sizes = SpectrumSizes { channels, height, width };
        Ok(Planned::new(ToSpectrumSizes(sizes), Shape::Spectrum { channels, height, width }))
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
    type Op = ToImageSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ToImageSizes>, NetworkError> {
        let sizes = at.spectrum()?;
        let SpectrumSizes { channels, height, width } = sizes;
        Ok(Planned::new(ToImageSizes(sizes), Shape::Image { channels, height, width }))
    }
}

impl LayerOp for ToSpectrumSizes {
    type State<D: Device> = SpectrumTransformPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<SpectrumTransformPlan<D>, DeviceError> {
        device.plan_spectrum_transform(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.to_spectrum(pass.state, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.to_spectrum_adjoint(pass.state, io)
    }
}

impl LayerOp for ToImageSizes {
    type State<D: Device> = SpectrumTransformPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<SpectrumTransformPlan<D>, DeviceError> {
        device.plan_spectrum_transform(&self.0)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.to_image(pass.state, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.to_image_adjoint(pass.state, io)
    }
}
