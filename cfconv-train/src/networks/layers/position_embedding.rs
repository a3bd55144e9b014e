//! A learned image, added to every image.

use super::prelude::*;
use crate::nn::PositionEmbeddingSizes;

/// Standard deviation of initial embeddings, as in the published code of Dosovitskiy et al., 2021.
const INITIAL_DEVIATION: f64 = 0.02;

/// A layer of type `position-embedding`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionEmbeddingLayerConfig {}

impl LayerKind for PositionEmbeddingLayerConfig {
    type Op = PositionEmbeddingSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<PositionEmbeddingSizes>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let initial = Initial::Normal { variance: INITIAL_DEVIATION.powi(2) };
        let shape = vec![channels, height, width];
        let params = vec![Param { name: "weight".to_owned(), shape, decays: false, initial }];
        Ok(Planned { params, ..Planned::new(PositionEmbeddingSizes { features: at.shape.len() }, at.shape) })
    }
}

impl LayerOp for PositionEmbeddingSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.position_embedding(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.position_embedding_vjp(self, io)
    }
}
