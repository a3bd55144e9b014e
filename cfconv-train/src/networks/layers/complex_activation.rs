//! Nonlinear functions of complex values.

use super::prelude::*;
use crate::nn::{ComplexActivation, ComplexActivationSizes};

/// A layer of type `complex-activation`.
///
/// The phase gate begins as a smooth cardioid: angle 0, slope 2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexActivationLayerConfig {
    /// The function. Default: `modrelu`.
    pub kind: ComplexActivation,
    /// The learned bias of `modrelu` and `phase-gate` before the first step; refused for other functions.
    /// Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_bias: Option<f64>,
}

impl LayerKind for ComplexActivationLayerConfig {
    type Op = ComplexActivationSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ComplexActivationSizes>, NetworkError> {
        let spectrum = at.spectrum()?;
        let initial_bias = self.initial_bias.unwrap_or(0.0);
        let param = |name, value| Param::constant(name, [spectrum.channels], value);
        let bias = param("bias", initial_bias as f32);
        let params = match self.kind {
            ComplexActivation::Modrelu => vec![bias],
            ComplexActivation::PhaseGate => vec![param("angle", 0.0), param("slope", 2.0), bias],
            ComplexActivation::Crelu | ComplexActivation::Zrelu | ComplexActivation::Cardioid => vec![],
        };
        if self.initial_bias.is_some() && params.is_empty() {
            return Err(at.setting("initial_bias", "none: this function has no bias", initial_bias));
        }
        if !initial_bias.is_finite() {
            return Err(at.setting("initial_bias", "finite", initial_bias));
        }
        let sizes = ComplexActivationSizes { spectrum, function: self.kind };
        Ok(Planned { params, ..Planned::new(sizes, at.shape) })
    }
}

impl LayerOp for ComplexActivationSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.complex_activation(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.complex_activation_vjp(self, io)
    }
}
