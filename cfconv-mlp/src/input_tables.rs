//! The numbers that enter the networks of one grid, as plain tables.

use cfconv_fft::Real;

use crate::coords::InputEncoder;
use crate::{GridPoint, KernelGrid};

/// What enters the networks at each place of a grid: first the features of the frequency, then those of the channel
/// axes that are inputs, the input channel before the output channel.
///
/// # Examples
/// ```
/// use cfconv_mlp::{ChannelTable, KernelGrid, KernelMlp, KernelMlpConfig};
///
/// let grid = KernelGrid { height: 2, width: 2, in_channels: 3, out_channels: 1 };
/// let tables = KernelMlp::<f64>::try_new(&KernelMlpConfig::default(), grid)?.input_tables();
/// // Row and column frequency of the bins (0, 0), (0, 1), (1, 0), (1, 1), twice those in cycles per sample.
/// assert_eq!(tables.frequency_features, 2);
/// assert_eq!(tables.frequencies, [0.0, 0.0, 0.0, 1.0, -1.0, 0.0, -1.0, 1.0]);
/// assert_eq!(tables.channels[0], ChannelTable::Coordinates(vec![-1.0, 0.0, 1.0]));
/// # Ok::<(), cfconv_mlp::MlpError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct InputTables<T> {
    /// Features of a frequency.
    pub frequency_features: usize,
    /// `[height, half width, frequency_features]`
    pub frequencies: Vec<T>,
    /// Each channel axis that is an input.
    pub channels: Vec<ChannelTable<T>>,
}

/// How the channels of one axis enter.
#[derive(Clone, Debug, PartialEq)]
pub enum ChannelTable<T> {
    /// One number for each channel.
    Coordinates(Vec<T>),
    /// `factor` times parameters, `dim` for each channel from `start` on.
    Embedding {
        /// The first parameter.
        start: usize,
        /// Parameters of a channel.
        dim: usize,
        /// What they are multiplied by.
        factor: T,
    },
}

impl<T: Real> InputTables<T> {
    pub(crate) fn new(encoder: &InputEncoder<T>, grid: &KernelGrid) -> Self {
        let features = encoder.frequency_features();
        let mut frequencies = vec![T::ZERO; grid.height * grid.half_width() * features];
        for (bin, target) in frequencies.chunks_exact_mut(features).enumerate() {
            let (h, w) = (bin / grid.half_width(), bin % grid.half_width());
            encoder.encode_frequency(GridPoint { h, w, i: 0, o: 0 }, target);
        }
        let channels =
            (0..encoder.channel_counts().count()).map(|axis| encoder.channel_table(axis)).collect();
        Self { frequency_features: features, frequencies, channels }
    }
}
