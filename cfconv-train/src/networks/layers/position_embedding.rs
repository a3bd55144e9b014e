//! A learned image, added to every image.

use super::prelude::*;

/// Standard deviation of initial embeddings, as in the published code of Dosovitskiy et al., 2021.
const INITIAL_DEVIATION: f64 = 0.02;

/// A layer of type `position-embedding`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionEmbeddingLayerConfig {}

impl LayerKind for PositionEmbeddingLayerConfig {
    type Op = PositionEmbedding;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<PositionEmbedding>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let initial = Initial::Normal { variance: INITIAL_DEVIATION.powi(2) };
        let shape = vec![channels, height, width];
        let params = vec![Param { name: "weight".to_owned(), shape, decays: false, initial }];
        Ok(Planned { params, ..Planned::new(PositionEmbedding, at.shape) })
    }
}

/// Adds the parameters to every image.
#[derive(Clone, Debug)]
pub(crate) struct PositionEmbedding;

impl LayerOp for PositionEmbedding {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.position_embedding(io.batch, io.input, io.params, io.output)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.position_embedding_vjp(io.batch, io.grad_output, io.grad_input, io.grad_params)
    }
}
