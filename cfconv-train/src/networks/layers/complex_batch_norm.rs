//! Batch normalisation of complex values.

use std::f32::consts::FRAC_1_SQRT_2;

use super::prelude::*;
use crate::nn::{BatchStatistics, ComplexBatchNormSizes, SpectrumStatistics};

/// A layer of type `complex-batch-norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexBatchNormLayerConfig {
    /// The values that share a mean and a covariance. Default: `channel`.
    pub statistics: SpectrumStatistics,
    /// Weight of a batch in the running statistics. Default: 0.1.
    pub momentum: f64,
    /// What is added to variances. Default: 1e-5.
    pub epsilon: f64,
}

impl Default for ComplexBatchNormLayerConfig {
    fn default() -> Self {
        Self { statistics: SpectrumStatistics::default(), momentum: 0.1, epsilon: 1e-5 }
    }
}

impl LayerKind for ComplexBatchNormLayerConfig {
    type Op = ComplexBatchNormSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<ComplexBatchNormSizes>, NetworkError> {
        let spectrum = at.spectrum()?;
        at.normalization(self.momentum, self.epsilon)?;
        let sizes = ComplexBatchNormSizes {
            spectrum,
            statistics: self.statistics,
            epsilon: self.epsilon as f32,
            momentum: self.momentum as f32,
        };
        let channels = spectrum.channels;
        // γ_rr, γ_ii and γ_ri: both parts begin with the variance 1/2, the complex value with 1 (Trabelsi et al.,
        // "Deep complex networks", 2018, section 3.5).
        let weight = Param {
            initial: Initial::Rows(&[FRAC_1_SQRT_2, FRAC_1_SQRT_2, 0.0]),
            ..Param::constant("weight", [3, channels], 0.0)
        };
        let values = channels * sizes.rings();
        let block = |name, len, initial| RunningBlock { name, len, initial };
        Ok(Planned {
            params: vec![weight, Param::constant("bias", [2, channels], 0.0)],
            running: vec![
                block("running_mean", 2 * values, 0.0),
                block("running_var", 2 * values, 1.0),
                block("running_cov", values, 0.0),
            ],
            ..Planned::new(sizes, at.shape)
        })
    }
}

impl LayerOp for ComplexBatchNormSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        let (device, running, saved) = (pass.device, pass.running, pass.saved);
        if pass.training {
            device.complex_batch_norm_train(self, BatchStatistics { running, saved }, io)
        } else {
            device.complex_batch_norm_eval(self, running.into_span(), io)
        }
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.complex_batch_norm_vjp(self, pass.saved.into_span(), io)
    }
}
