//! Initial parameters of ordinary layers; CF-Conv layers initialise themselves.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::plan::{PlannedLayer, PlannedOp};
use crate::nn::{BatchNormSizes, ComplexActivation, LayerNormSizes, Purpose, stream};

/// Standard deviation of initial position embeddings.
const POSITION_DEVIATION: f64 = 0.02;

/// The initial parameters of a layer that has some, or `None`.
///
/// Convolutions: weights of variance 2/fan_in, which keeps the variance through ReLU; linear layers, patch embeddings
/// and the projections of attention, behind which no function follows: 1/fan_in; position embeddings: deviation 0.02;
/// biases 0; normalisation: factor 1, offset 0. Complex normalisation gives values of variance 1: factors 1/√2 of the
/// whitened parts. The phase gate begins as a smooth cardioid: angle 0, slope 2.
///
/// # Source
/// He et al., "Delving deep into rectifiers", 2015, eq. 10; LeCun et al., "Efficient BackProp", 1998, eq. 16; position
/// embeddings as in the published code of Dosovitskiy et al., 2021; Trabelsi et al., "Deep complex networks", 2018,
/// section 3.5.
pub(super) fn initial_parameters(layer: &PlannedLayer, run_seed: u64, number: u64) -> Option<Vec<f32>> {
    let mut rng = stream(run_seed, Purpose::InitializeLayer, number, 0);
    let len = layer.params.len();
    match &layer.op {
        PlannedOp::Conv(sizes) => {
            let weights = sizes.conv.num_weights();
            let fan_in = weights / sizes.conv.out_channels;
            Some(normal(&mut rng, weights, 2.0 / fan_in as f64, len))
        }
        PlannedOp::Linear(sizes) => {
            Some(normal(&mut rng, sizes.num_weights(), 1.0 / sizes.in_features as f64, len))
        }
        PlannedOp::DepthwiseConv(sizes) => {
            let fan_in = sizes.conv.kernel_size * sizes.conv.kernel_size;
            Some(normal(&mut rng, sizes.conv.num_weights(), 2.0 / fan_in as f64, len))
        }
        PlannedOp::PatchEmbed(sizes) => {
            Some(normal(&mut rng, sizes.num_weights(), 1.0 / sizes.patch_len() as f64, len))
        }
        PlannedOp::SelfAttention(sizes) => {
            Some(normal(&mut rng, sizes.num_weights(), 1.0 / sizes.channels as f64, len))
        }
        PlannedOp::PositionEmbedding => Some(normal(&mut rng, len, POSITION_DEVIATION.powi(2), len)),
        PlannedOp::BatchNorm(BatchNormSizes { channels, .. })
        | PlannedOp::LayerNorm(LayerNormSizes { channels, .. }) => {
            let mut params = vec![0.0; len];
            params[..*channels].fill(1.0);
            Some(params)
        }
        PlannedOp::ComplexActivation { sizes, initial_bias } if len > 0 => {
            // The bias is the last; the slope of a gate is 2, its angle 0.
            let channels = sizes.spectrum.channels;
            let mut params = vec![0.0; len];
            params[len - channels..].fill(*initial_bias);
            if sizes.function == ComplexActivation::PhaseGate {
                params[channels..2 * channels].fill(2.0);
            }
            Some(params)
        }
        PlannedOp::ComplexBatchNorm(sizes) => {
            // Both parts have the variance 1/2, the complex value 1.
            let mut params = vec![0.0; len];
            params[..2 * sizes.spectrum.channels].fill(std::f32::consts::FRAC_1_SQRT_2);
            Some(params)
        }
        _ => None,
    }
}

/// `weights` normal values of this variance, then zeros.
fn normal(rng: &mut impl Rng, weights: usize, variance: f64, len: usize) -> Vec<f32> {
    let deviation = variance.sqrt();
    let mut params = vec![0.0; len];
    for value in &mut params[..weights] {
        let draw: f64 = StandardNormal.sample(rng);
        *value = (deviation * draw) as f32;
    }
    params
}
