//! From a place of the grid to the numbers that enter an MLP.
//!
//! Input features, in order: the two frequency coordinates (or 2F Fourier features: F cosines, then F sines),
//! then the input channel, then the output channel, each as one coordinate or as an embedding.

use cfconv_fft::Real;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use crate::config::{FrequencyGrid, KernelMlpConfig, OmegaMode};
use crate::input_tables::ChannelTable;
use crate::layout::ParameterLayout;
use crate::{ChannelAxis, GridPoint, KernelGrid};

/// The coordinate of row `h` of `height`.
pub(crate) fn row_coordinate(grid: FrequencyGrid, h: usize, height: usize) -> f64 {
    match grid {
        FrequencyGrid::Signed if h <= (height - 1) / 2 => 2.0 * h as f64 / height as f64,
        FrequencyGrid::Signed => -2.0 * (height - h) as f64 / height as f64,
        FrequencyGrid::Unit => unit_coordinate(h, height),
    }
}

/// The coordinate of column `w` of the half spectrum of an image with `width` columns.
pub(crate) fn column_coordinate(grid: FrequencyGrid, w: usize, width: usize) -> f64 {
    match grid {
        FrequencyGrid::Signed => 2.0 * w as f64 / width as f64,
        FrequencyGrid::Unit => unit_coordinate(w, width / 2 + 1),
    }
}

/// The coordinate of channel `c` of `channels`.
pub(crate) fn channel_coordinate(grid: FrequencyGrid, c: usize, channels: usize) -> f64 {
    match grid {
        FrequencyGrid::Signed if channels == 1 => 0.0,
        FrequencyGrid::Signed => 2.0 * unit_coordinate(c, channels) - 1.0,
        FrequencyGrid::Unit => unit_coordinate(c, channels),
    }
}

fn unit_coordinate(index: usize, size: usize) -> f64 {
    if size == 1 { 0.0 } else { index as f64 / (size - 1) as f64 }
}

/// The fixed random vectors b_f of the Fourier features, `[fourier_features][2]` (row, column).
///
/// A function of the configuration alone: a checkpoint that holds the configuration reproduces them.
pub(crate) fn fourier_vectors(config: &KernelMlpConfig) -> Vec<[f64; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(config.fourier_seed);
    (0..config.fourier_features)
        .map(|_| [(); 2].map(|()| config.fourier_scale * rng.sample::<f64, _>(StandardNormal)))
        .collect()
}

/// How the two frequency axes enter.
#[derive(Clone, Debug)]
enum FrequencyInputs<T> {
    /// A value for each row and each column.
    Coordinates { row: Vec<T>, column: Vec<T> },
    /// cos and sin of each axis' part of the phase: the features follow by angle addition.
    Fourier { row: AxisPhases<T>, column: AxisPhases<T> },
}

/// `[size][F]` each.
#[derive(Clone, Debug)]
struct AxisPhases<T> {
    features: usize,
    cosine: Vec<T>,
    sine: Vec<T>,
}

impl<T: Real> AxisPhases<T> {
    fn new(slopes: &[f64], coordinates: &[f64]) -> Self {
        let phases: Vec<f64> =
            coordinates.iter().flat_map(|x| slopes.iter().map(move |slope| slope * x)).collect();
        Self {
            features: slopes.len(),
            cosine: phases.iter().map(|phase| T::cast(phase.cos())).collect(),
            sine: phases.iter().map(|phase| T::cast(phase.sin())).collect(),
        }
    }

    /// cos and sin of every feature's phase at one place of the axis.
    fn phasors(&self, place: usize) -> (&[T], &[T]) {
        let range = place * self.features..(place + 1) * self.features;
        (&self.cosine[range.clone()], &self.sine[range])
    }
}

/// How one channel axis enters.
#[derive(Clone, Debug)]
enum ChannelInputs<T> {
    /// A value for each channel.
    Coordinates(Vec<T>),
    /// `dim` parameters for each channel from `start` on, multiplied by `factor`.
    Embedding { start: usize, dim: usize, factor: T },
}

/// Tables that give the input features of any place of one grid.
#[derive(Clone, Debug)]
pub(crate) struct InputEncoder<T> {
    frequency: FrequencyInputs<T>,
    channels: Vec<(ChannelAxis, ChannelInputs<T>)>,
    frequency_features: usize,
    grid: KernelGrid,
}

impl<T: Real> InputEncoder<T> {
    pub(crate) fn new(config: &KernelMlpConfig, grid: &KernelGrid, layout: &ParameterLayout) -> Self {
        // Folded: omega is in the initial weights, not in the coordinates.
        let factor = |omega: f64| match config.omega_mode {
            OmegaMode::Folded => 1.0,
            OmegaMode::Multiplier => omega,
        };
        let kind = config.frequency_grid;
        let rows: Vec<f64> = (0..grid.height).map(|h| row_coordinate(kind, h, grid.height)).collect();
        let columns: Vec<f64> =
            (0..grid.half_width()).map(|w| column_coordinate(kind, w, grid.width)).collect();
        let scaled = |values: &[f64], factor: f64| values.iter().map(|x| T::cast(factor * x)).collect();
        let frequency = if config.fourier_features == 0 {
            let factor = factor(config.omega_frequency);
            FrequencyInputs::Coordinates { row: scaled(&rows, factor), column: scaled(&columns, factor) }
        } else {
            let vectors = fourier_vectors(config);
            let slopes = |axis: usize| -> Vec<f64> {
                vectors.iter().map(|b| config.omega_frequency * b[axis]).collect()
            };
            FrequencyInputs::Fourier {
                row: AxisPhases::new(&slopes(0), &rows),
                column: AxisPhases::new(&slopes(1), &columns),
            }
        };
        let axes = config.parameterization.channel_inputs().iter().enumerate();
        let channels = axes
            .map(|(index, &axis)| {
                let factor = factor(config.omega_channel);
                let inputs = match layout.embeddings.get(index) {
                    Some(range) => ChannelInputs::Embedding {
                        start: range.start,
                        dim: config.embedding_dim,
                        factor: T::cast(factor),
                    },
                    None => {
                        let count = axis.channels(grid);
                        let values: Vec<f64> =
                            (0..count).map(|c| channel_coordinate(kind, c, count)).collect();
                        ChannelInputs::Coordinates(scaled(&values, factor))
                    }
                };
                (axis, inputs)
            })
            .collect();
        Self { frequency, channels, frequency_features: config.frequency_features(), grid: *grid }
    }

    /// Number of input features.
    pub(crate) fn in_features(&self) -> usize {
        let axes = 0..self.channels.len();
        self.frequency_features + axes.map(|axis| self.channel_features(axis)).sum::<usize>()
    }

    /// Writes the features of `point` to `inputs`.
    pub(crate) fn encode(&self, point: GridPoint, params: &[T], inputs: &mut [T]) {
        let (frequency, mut rest) = inputs.split_at_mut(self.frequency_features);
        self.encode_frequency(point, frequency);
        for axis in 0..self.channels.len() {
            let (features, after) = rest.split_at_mut(self.channel_features(axis));
            self.encode_channel(axis, self.channel_of(axis, point), params, features);
            rest = after;
        }
    }

    /// Writes the features of the frequency of `point`.
    pub(crate) fn encode_frequency(&self, point: GridPoint, features: &mut [T]) {
        match &self.frequency {
            FrequencyInputs::Coordinates { row, column } => {
                features[0] = row[point.h];
                features[1] = column[point.w];
            }
            FrequencyInputs::Fourier { row, column } => {
                let (cosines, sines) = features.split_at_mut(self.frequency_features / 2);
                let (row_cosine, row_sine) = row.phasors(point.h);
                let (column_cosine, column_sine) = column.phasors(point.w);
                for feature in 0..cosines.len() {
                    let (rc, rs) = (row_cosine[feature], row_sine[feature]);
                    let (cc, cs) = (column_cosine[feature], column_sine[feature]);
                    cosines[feature] = rc * cc - rs * cs;
                    sines[feature] = rs * cc + rc * cs;
                }
            }
        }
    }

    /// Writes the features of one channel of a channel axis.
    #[inline(always)]
    pub(crate) fn encode_channel(&self, axis: usize, channel: usize, params: &[T], features: &mut [T]) {
        match &self.channels[axis].1 {
            ChannelInputs::Coordinates(values) => features[0] = values[channel],
            &ChannelInputs::Embedding { start, dim, factor } => {
                let embedding = &params[start + channel * dim..][..dim];
                for (feature, &value) in features.iter_mut().zip(embedding) {
                    *feature = factor * value;
                }
            }
        }
    }

    /// What enters for the channels of an axis.
    pub(crate) fn channel_table(&self, axis: usize) -> ChannelTable<T> {
        match &self.channels[axis].1 {
            ChannelInputs::Coordinates(values) => ChannelTable::Coordinates(values.clone()),
            &ChannelInputs::Embedding { start, dim, factor } => {
                ChannelTable::Embedding { start, dim, factor }
            }
        }
    }

    /// Number of features of a channel axis.
    #[inline(always)]
    pub(crate) fn channel_features(&self, axis: usize) -> usize {
        match self.channels[axis].1 {
            ChannelInputs::Coordinates(_) => 1,
            ChannelInputs::Embedding { dim, .. } => dim,
        }
    }

    /// The channel of `point` on a channel axis.
    #[inline(always)]
    pub(crate) fn channel_of(&self, axis: usize, point: GridPoint) -> usize {
        self.channels[axis].0.of(point)
    }

    /// Number of channels of each channel axis.
    pub(crate) fn channel_counts(&self) -> impl Iterator<Item = usize> {
        self.channels.iter().map(|(axis, _)| axis.channels(&self.grid))
    }

    /// Whether some inputs are parameters.
    pub(crate) fn has_embeddings(&self) -> bool {
        self.channels.iter().any(|(_, inputs)| matches!(inputs, ChannelInputs::Embedding { .. }))
    }

    /// Number of features before the channels': they take no gradient.
    pub(crate) fn frequency_features(&self) -> usize {
        self.frequency_features
    }

    /// Adds the gradients of the channel features of `point` to the gradients of the embeddings;
    /// `first_parameter` is the parameter that `grad_embeddings[0]` belongs to.
    pub(crate) fn encode_vjp(
        &self,
        point: GridPoint,
        grad_channels: &[T],
        first_parameter: usize,
        grad_embeddings: &mut [T],
    ) {
        let mut rest = grad_channels;
        for (axis, inputs) in &self.channels {
            match inputs {
                ChannelInputs::Coordinates(_) => rest = &rest[1..],
                &ChannelInputs::Embedding { start, dim, factor } => {
                    let (grads, after) = rest.split_at(dim);
                    let first = start - first_parameter + axis.of(point) * dim;
                    for (target, &grad) in grad_embeddings[first..first + dim].iter_mut().zip(grads) {
                        *target += factor * grad;
                    }
                    rest = after;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_rows_are_twice_fftfreq() {
        let rows = |height| (0..height).map(|h| row_coordinate(FrequencyGrid::Signed, h, height)).collect();
        let even: Vec<f64> = rows(4);
        assert_eq!(even, [0.0, 0.5, -1.0, -0.5]);
        let odd: Vec<f64> = rows(5);
        assert_eq!(odd, [0.0, 0.4, 0.8, -0.8, -0.4]);
        assert_eq!(row_coordinate(FrequencyGrid::Signed, 0, 1), 0.0);
    }

    #[test]
    fn signed_columns_reach_one_at_the_nyquist_frequency() {
        assert_eq!(column_coordinate(FrequencyGrid::Signed, 3, 6), 1.0);
        assert_eq!(column_coordinate(FrequencyGrid::Signed, 2, 5), 0.8);
        assert_eq!(column_coordinate(FrequencyGrid::Signed, 0, 1), 0.0);
    }

    #[test]
    fn unit_coordinates_span_zero_to_one() {
        let unit = FrequencyGrid::Unit;
        assert_eq!((row_coordinate(unit, 0, 7), row_coordinate(unit, 6, 7)), (0.0, 1.0));
        assert_eq!((column_coordinate(unit, 0, 7), column_coordinate(unit, 3, 7)), (0.0, 1.0));
        assert_eq!((channel_coordinate(unit, 0, 1), channel_coordinate(unit, 2, 3)), (0.0, 1.0));
    }

    #[test]
    fn fourier_vectors_are_a_function_of_the_configuration() {
        let config = KernelMlpConfig { fourier_features: 4000, fourier_scale: 3.0, ..Default::default() };
        let vectors = fourier_vectors(&config);
        assert_eq!(vectors, fourier_vectors(&config));
        assert_ne!(vectors, fourier_vectors(&KernelMlpConfig { fourier_seed: 1, ..config }));
        let variance = vectors.iter().flatten().map(|b| b * b).sum::<f64>() / 8000.0;
        // Standard error of the variance: 9·√(2/8000) = 0.14.
        assert!((variance - 9.0).abs() < 0.6, "{variance}");
    }
}
