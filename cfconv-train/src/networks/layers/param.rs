//! Parameters of layers, each with the values it begins with.

use cfconv_core::StepSeed;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::nn::{Purpose, stream};

/// A block of parameters that a layer learns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Param {
    /// The name within the layer, such as `weight`.
    pub(crate) name: String,
    /// Its shape, last index contiguous.
    pub(crate) shape: Vec<usize>,
    /// Whether weight decay acts on it.
    pub(crate) decays: bool,
    /// What it begins with.
    pub(crate) initial: Initial,
}

/// The values that parameters begin with.
///
/// Weights before a rectifier have the variance 2/fan_in, which keeps the variance through ReLU; those of linear
/// layers, patch embeddings and the projections of attention, behind which no function follows, 1/fan_in. Each
/// layer's file states its values.
///
/// # Source
/// He et al., "Delving deep into rectifiers", 2015, eq. 10; LeCun et al., "Efficient BackProp", 1998, eq. 16.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initial {
    /// Independent normal values with mean 0.
    Normal {
        /// Their variance.
        variance: f64,
    },
    /// One value.
    Constant(f32),
    /// One value for each index of the first axis.
    Rows(&'static [f32]),
    /// What the kernel network of a CF-Conv layer draws.
    ByKernel,
}

impl Param {
    /// Weights: normal values of this variance, on which weight decay acts.
    pub(crate) fn weight<const N: usize>(name: &str, shape: [usize; N], variance: f64) -> Self {
        let initial = Initial::Normal { variance };
        Self { name: name.to_owned(), shape: shape.to_vec(), decays: true, initial }
    }

    /// Biases and parameters of normalisation: one value at first, and no weight decay.
    pub(crate) fn constant<const N: usize>(name: &str, shape: [usize; N], value: f32) -> Self {
        let initial = Initial::Constant(value);
        Self { name: name.to_owned(), shape: shape.to_vec(), decays: false, initial }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn draw(&self, rng: &mut impl Rng, values: &mut Vec<f32>) {
        let len = self.len();
        match self.initial {
            Initial::Normal { variance } => {
                let deviation = variance.sqrt();
                values.extend((0..len).map(|_| {
                    let draw: f64 = StandardNormal.sample(rng);
                    (deviation * draw) as f32
                }));
            }
            Initial::Constant(value) => values.extend(std::iter::repeat_n(value, len)),
            Initial::Rows(rows) => {
                debug_assert_eq!(self.shape.first(), Some(&rows.len()));
                let row_len = len / rows.len();
                values.extend(rows.iter().flat_map(|&row| std::iter::repeat_n(row, row_len)));
            }
            Initial::ByKernel => unreachable!("only layers with a kernel network leave values to it"),
        }
    }
}

/// The initial values of a layer's parameters, one block after the other, from the stream of `seed`.
pub(crate) fn initial_values(params: &[Param], seed: StepSeed) -> Vec<f32> {
    let mut rng = stream(seed.run_seed, Purpose::InitializeLayer, seed.layer, seed.step);
    let mut values = Vec::new();
    for param in params {
        param.draw(&mut rng, &mut values);
    }
    values
}
