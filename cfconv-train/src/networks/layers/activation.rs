//! Nonlinear functions of real values.

use super::prelude::*;
use crate::nn::Activation;

/// A layer of type `activation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActivationLayerConfig {
    /// The function. Default: `relu`.
    pub kind: Activation,
}

impl LayerKind for ActivationLayerConfig {
    type Op = Activation;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<Activation>, NetworkError> {
        if let Shape::Spectrum { .. } = at.shape {
            return Err(at.complex_input("complex-activation"));
        }
        Ok(Planned::new(self.kind, at.shape))
    }
}

impl LayerOp for Activation {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = true;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.activation(*self, io.input, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let Some(grad_input) = io.grad_input else { return Ok(()) };
        pass.device.activation_vjp(*self, io.input.expect(KEPT), io.grad_output, grad_input)
    }
}
