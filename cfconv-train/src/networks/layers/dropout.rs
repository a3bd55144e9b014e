//! Dropout.

use cfconv_core::StepSeed;

use super::prelude::*;
use crate::nn::DropoutSizes;

/// A layer of type `dropout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropoutLayerConfig {
    /// Share of the values that are set to zero, in [0, 1).
    pub rate: f64,
}

impl LayerKind for DropoutLayerConfig {
    type Op = Dropout;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<Dropout>, NetworkError> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(at.setting("rate", "0 to below 1", self.rate));
        }
        if let Shape::Spectrum { .. } = at.shape {
            return Err(at.complex_input("dropout behind to-image"));
        }
        Ok(Planned::new(Dropout { features: at.shape.len(), rate: self.rate }, at.shape))
    }
}

/// Dropout while training, a copy in evaluations.
#[derive(Clone, Debug)]
pub(crate) struct Dropout {
    features: usize,
    rate: f64,
}

impl Dropout {
    fn sizes<D: Device>(&self, pass: &Pass<'_, Self, D>) -> DropoutSizes {
        let StepSeed { run_seed, layer, step } = pass.seed;
        DropoutSizes { features: self.features, rate: self.rate, run_seed, layer, step }
    }
}

impl LayerOp for Dropout {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = DropoutSizes::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        if pass.training {
            pass.device.dropout(&self.sizes(&pass), io)
        } else {
            pass.device.copy(io.input, io.output)
        }
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.dropout_adjoint(&self.sizes(&pass), io)
    }
}
