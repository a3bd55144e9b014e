//! Where each weight lies in the flat slice of parameters.

use std::ops::Range;

use crate::config::{KernelMlpConfig, Parameterization};
use crate::{KernelGrid, Result};

/// A named block of the flat parameter slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSegment {
    /// What the block holds, such as `layer0.weight`.
    pub name: String,
    /// Its shape, last index contiguous.
    pub shape: Vec<usize>,
    /// Its place in the flat slice.
    pub range: Range<usize>,
}

/// One fully connected layer of every MLP of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearLayout {
    pub(crate) in_features: usize,
    pub(crate) out_features: usize,
    /// Start of `[num_mlps, out_features, in_features]` in the parameters.
    pub(crate) weight: usize,
    /// Start of `[num_mlps, out_features]` in the parameters.
    pub(crate) bias: usize,
    /// Start of this layer's weight in the gradient of one MLP; its bias follows.
    pub(crate) local: usize,
}

impl LinearLayout {
    pub(crate) fn weight_len(&self) -> usize {
        self.in_features * self.out_features
    }

    /// The weight `[out_features, in_features]` of MLP `mlp`.
    pub(crate) fn weight_range(&self, mlp: usize) -> Range<usize> {
        let start = self.weight + mlp * self.weight_len();
        start..start + self.weight_len()
    }

    /// The bias `[out_features]` of MLP `mlp`.
    pub(crate) fn bias_range(&self, mlp: usize) -> Range<usize> {
        let start = self.bias + mlp * self.out_features;
        start..start + self.out_features
    }
}

/// The parameters of a kernel: its layers, embeddings and mixing coefficients.
#[derive(Clone, Debug)]
pub(crate) struct ParameterLayout {
    /// Hidden layers and the output layer, first to last.
    pub(crate) layers: Vec<LinearLayout>,
    pub(crate) num_mlps: usize,
    /// Parameters of one MLP without embeddings.
    pub(crate) mlp_len: usize,
    /// `[Cin, embedding_dim]`.
    pub(crate) embedding_in: Option<Range<usize>>,
    /// `[Cout, embedding_dim]`.
    pub(crate) embedding_out: Option<Range<usize>>,
    /// C, `[Cin, Cout, basis_size]`.
    pub(crate) mixing: Option<Range<usize>>,
    pub(crate) segments: Vec<ParameterSegment>,
}

impl ParameterLayout {
    pub(crate) fn new(config: &KernelMlpConfig, grid: &KernelGrid) -> Self {
        let (cin, cout) = (grid.in_channels, grid.out_channels);
        // Leading axes of each weight: one index for each MLP.
        let (mlps, channel_axes): (Vec<usize>, usize) = match config.parameterization {
            Parameterization::Hw => (vec![cin, cout], 0),
            Parameterization::HwCin => (vec![cout], 1),
            Parameterization::HwCinCout => (vec![], 2),
            Parameterization::SharedBasis => (vec![], 0),
        };
        let num_mlps = mlps.iter().product();
        let frequency_features = if config.fourier_features == 0 { 2 } else { 2 * config.fourier_features };
        let in_features = frequency_features + channel_axes * config.embedding().unwrap_or(1);
        let out_features = match config.parameterization {
            Parameterization::SharedBasis => 2 * config.basis_size,
            _ => 2,
        };

        let mut segments = Vec::new();
        let mut end = 0;
        let mut push = |name: String, shape: Vec<usize>| {
            let range = end..end + shape.iter().product::<usize>();
            end = range.end;
            segments.push(ParameterSegment { name, shape, range: range.clone() });
            range
        };
        let mut layers = Vec::with_capacity(config.hidden_layers + 1);
        let mut mlp_len = 0;
        for index in 0..=config.hidden_layers {
            let is_output = index == config.hidden_layers;
            let inputs = if index == 0 { in_features } else { config.hidden_width };
            let outputs = if is_output { out_features } else { config.hidden_width };
            let name = if is_output { "output".to_owned() } else { format!("layer{index}") };
            let weight = push(format!("{name}.weight"), [mlps.as_slice(), &[outputs, inputs]].concat()).start;
            let bias = push(format!("{name}.bias"), [mlps.as_slice(), &[outputs]].concat()).start;
            layers.push(LinearLayout {
                in_features: inputs,
                out_features: outputs,
                weight,
                bias,
                local: mlp_len,
            });
            mlp_len += inputs * outputs + outputs;
        }
        let embedding = config.embedding();
        let embedding_in = embedding
            .filter(|_| channel_axes >= 1)
            .map(|dim| push("embedding_in".to_owned(), vec![cin, dim]));
        let embedding_out = embedding
            .filter(|_| channel_axes >= 2)
            .map(|dim| push("embedding_out".to_owned(), vec![cout, dim]));
        let mixing = (config.parameterization == Parameterization::SharedBasis)
            .then(|| push("mixing".to_owned(), vec![cin, cout, config.basis_size]));
        Self { layers, num_mlps, mlp_len, embedding_in, embedding_out, mixing, segments }
    }

    pub(crate) fn num_parameters(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.range.end)
    }

    /// The first parameter of the embeddings, which lie together; 0 without embeddings.
    pub(crate) fn first_embedding(&self) -> usize {
        self.embedding_in.as_ref().map_or(0, |range| range.start)
    }

    /// Number of parameters of the embeddings.
    pub(crate) fn embeddings_len(&self) -> usize {
        [&self.embedding_in, &self.embedding_out].into_iter().flatten().map(ExactSizeIterator::len).sum()
    }

    pub(crate) fn in_features(&self) -> usize {
        self.layers[0].in_features
    }

    pub(crate) fn out_features(&self) -> usize {
        self.layers[self.layers.len() - 1].out_features
    }
}

impl KernelMlpConfig {
    /// Number of parameters of the kernel on `grid`; the height and width do not matter.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and a grid with a size of zero or too many positions.
    pub fn num_parameters(&self, grid: KernelGrid) -> Result<usize> {
        Ok(self.parameter_segments(grid)?.last().map_or(0, |segment| segment.range.end))
    }

    /// The named parts of the flat parameter slice of the kernel on `grid`, in order and without gaps.
    ///
    /// # Errors
    /// As [`num_parameters`](Self::num_parameters).
    pub fn parameter_segments(&self, grid: KernelGrid) -> Result<Vec<ParameterSegment>> {
        self.validate()?;
        grid.validate()?;
        Ok(ParameterLayout::new(self, &grid).segments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChannelEncoding;

    #[test]
    fn parameter_counts_equal_hand_counts() {
        let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 5 };
        let config = KernelMlpConfig { hidden_width: 7, ..Default::default() };
        let count = |edit: fn(&mut KernelMlpConfig)| {
            let mut config = config.clone();
            edit(&mut config);
            config.num_parameters(grid).unwrap()
        };
        // 4 → 7 → 7 → 2.
        assert_eq!(count(|_| ()), 35 + 56 + 16);
        // 3 → 7 → 7 → 2, five times.
        assert_eq!(count(|c| c.parameterization = Parameterization::HwCin), 5 * (28 + 56 + 16));
        // 2 → 7 → 7 → 2, fifteen times.
        assert_eq!(count(|c| c.parameterization = Parameterization::Hw), 15 * (21 + 56 + 16));
        // 2 → 7 → 7 → 8 and 15·4 coefficients.
        assert_eq!(count(|c| c.parameterization = Parameterization::SharedBasis), 21 + 56 + 64 + 60);
        // (2·6 + 2) → 7 → 2.
        assert_eq!(
            count(|c| {
                c.fourier_features = 6;
                c.hidden_layers = 1;
            }),
            14 * 7 + 7 + 16
        );
        // (2 + 2·4) → 7 → 7 → 2 and 8 embeddings of 4 numbers.
        assert_eq!(
            count(|c| {
                c.channel_encoding = ChannelEncoding::Embedding;
                c.embedding_dim = 4;
            }),
            10 * 7 + 7 + 56 + 16 + 32
        );
        // (2 + 4) → 7 → 7 → 2 five times and 3 embeddings of 4 numbers.
        assert_eq!(
            count(|c| {
                c.parameterization = Parameterization::HwCin;
                c.channel_encoding = ChannelEncoding::Embedding;
                c.embedding_dim = 4;
            }),
            5 * (6 * 7 + 7 + 56 + 16) + 12
        );
    }

    #[test]
    fn segments_tile_the_parameters() {
        let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 5 };
        let config = KernelMlpConfig {
            parameterization: Parameterization::HwCin,
            channel_encoding: ChannelEncoding::Embedding,
            ..Default::default()
        };
        let layout = ParameterLayout::new(&config, &grid);
        let names: Vec<&str> = layout.segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "layer0.weight",
                "layer0.bias",
                "layer1.weight",
                "layer1.bias",
                "output.weight",
                "output.bias",
                "embedding_in"
            ]
        );
        let mut end = 0;
        for segment in &layout.segments {
            assert_eq!(segment.range.start, end);
            end = segment.range.end;
            assert_eq!(segment.range.len(), segment.shape.iter().product::<usize>());
        }
        assert_eq!(layout.segments[0].shape, [5, 64, 10]);
        assert_eq!(end, layout.num_parameters());
    }
}
