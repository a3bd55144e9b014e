//! Layer normalisation over the channels of each pixel.

use super::prelude::*;
use crate::nn::LayerNormSizes;

/// A layer of type `layer-norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNormLayerConfig {
    /// What is added to variances. Default: 1e-6.
    pub epsilon: f64,
}

impl Default for LayerNormLayerConfig {
    fn default() -> Self {
        Self { epsilon: 1e-6 }
    }
}

impl LayerKind for LayerNormLayerConfig {
    type Op = LayerNormSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<LayerNormSizes>, NetworkError> {
        at.positive("epsilon", self.epsilon)?;
        let (channels, pixels) = match at.shape {
            Shape::Features(features) => (features, 1),
            Shape::Image { .. } | Shape::Spectrum { .. } => {
                at.image().map(|(channels, height, width)| (channels, height * width))?
            }
        };
        let params =
            vec![Param::constant("weight", [channels], 1.0), Param::constant("bias", [channels], 0.0)];
        let sizes = LayerNormSizes { channels, pixels, epsilon: self.epsilon as f32 };
        Ok(Planned { params, ..Planned::new(sizes, at.shape) })
    }
}

impl LayerOp for LayerNormSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.layer_norm(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.layer_norm_vjp(self, io)
    }
}
