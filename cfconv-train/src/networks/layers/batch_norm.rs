//! Batch normalisation.

use super::prelude::*;
use crate::nn::{BatchNormSizes, BatchStatistics};

/// A layer of type `batch-norm`: an activation directly behind it becomes part of its pass over memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormLayerConfig {
    /// Weight of a batch in the running statistics. Default: 0.1.
    pub momentum: f64,
    /// What is added to variances. Default: 1e-5.
    pub epsilon: f64,
}

impl Default for BatchNormLayerConfig {
    fn default() -> Self {
        Self { momentum: 0.1, epsilon: 1e-5 }
    }
}

impl LayerKind for BatchNormLayerConfig {
    type Op = BatchNormSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<BatchNormSizes>, NetworkError> {
        at.normalization(self.momentum, self.epsilon)?;
        let (channels, pixels) = match at.shape {
            Shape::Image { channels, height, width } => (channels, height * width),
            Shape::Features(features) => (features, 1),
            Shape::Spectrum { .. } => return Err(at.complex_input("complex-batch-norm")),
        };
        let (momentum, epsilon) = (self.momentum as f32, self.epsilon as f32);
        let sizes = BatchNormSizes { channels, pixels, epsilon, momentum, activation: None };
        Ok(Planned {
            params: vec![
                Param::constant("weight", [channels], 1.0),
                Param::constant("bias", [channels], 0.0),
            ],
            running: vec![
                RunningBlock { name: "running_mean", len: channels, initial: 0.0 },
                RunningBlock { name: "running_var", len: channels, initial: 1.0 },
            ],
            ..Planned::new(sizes, at.shape)
        })
    }
}

impl LayerOp for BatchNormSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        let (device, running, saved) = (pass.device, pass.running, pass.saved);
        if pass.training {
            device.batch_norm_train(self, BatchStatistics { running, saved }, io)
        } else {
            device.batch_norm_eval(self, running.into_span(), io)
        }
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.batch_norm_vjp(self, pass.saved.into_span(), io)
    }
}
