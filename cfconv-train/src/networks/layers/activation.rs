//! Nonlinear functions of real values.

use super::prelude::*;
use crate::nn::{Activation, ActivationSizes};

/// A layer of type `activation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActivationLayerConfig {
    /// The function. Default: `relu`.
    pub kind: Activation,
}

impl LayerKind for ActivationLayerConfig {
    type Op = ActivationSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ActivationSizes>, NetworkError> {
        if let Shape::Spectrum { .. } = at.shape {
            return Err(at.complex_input("complex-activation"));
        }
        let sizes = ActivationSizes { function: self.kind, features: at.shape.len() };
        Ok(Planned::new(sizes, at.shape))
    }
}

impl LayerOp for ActivationSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.activation(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.activation_vjp(self, io)
    }
}
