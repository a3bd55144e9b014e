//! Fully connected layers.

use super::prelude::*;
use crate::nn::LinearSizes;

/// A layer of type `linear`.
///
/// Initial weights have the variance 1/fan_in (LeCun et al., 1998, eq. 16).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearLayerConfig {
    /// Output features. Default: the number of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_features: Option<usize>,
    /// Whether a learned constant is added to each feature. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl LayerKind for LinearLayerConfig {
    type Op = LinearSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<LinearSizes>, NetworkError> {
        let Shape::Features(in_features) = at.shape else {
            return Err(at.input("features: put global-avg-pool or flatten before it"));
        };
        let out_features = self.out_features.unwrap_or(at.classes);
        at.at_least_one("out_features", out_features)?;
        let mut params = vec![Param::weight("weight", [out_features, in_features], 1.0 / in_features as f64)];
        params.extend(self.bias.then(|| Param::constant("bias", [out_features], 0.0)));
        let sizes = LinearSizes { in_features, out_features, bias: self.bias };
        Ok(Planned { params, ..Planned::new(sizes, Shape::Features(out_features)) })
    }
}

impl LayerOp for LinearSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.linear(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.linear_vjp(self, io)
    }
}
