//! Where each weight lies in the flat slice of parameters.

use std::ops::Range;

use crate::{ChannelAxis, KernelGrid, KernelMlpConfig, Result};

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

/// Where the parameters of one fully connected layer lie, of every MLP of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearLayout {
    /// Features that enter.
    pub in_features: usize,
    /// Features that leave.
    pub out_features: usize,
    /// Start of `[num_networks, out_features, in_features]` in the parameters.
    pub weight: usize,
    /// Start of `[num_networks, out_features]` in the parameters.
    pub bias: usize,
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

/// Where each parameter of a kernel lies in the flat slice.
///
/// # Examples
/// ```
/// use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, Parameterization};
///
/// let parameterization = Parameterization::HwCin;
/// let config = KernelMlpConfig { parameterization, hidden_width: 7, hidden_layers: 1, ..Default::default() };
/// let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 5 };
/// let phi = KernelMlp::<f32>::try_new(&config, grid)?;
/// // 3 → 7 → 2, five times.
/// let layout = phi.layout();
/// assert_eq!((layout.num_networks, layout.network_len), (5, 3 * 7 + 7 + 7 * 2 + 2));
/// assert_eq!(layout.layers[0].bias, 5 * 3 * 7);
/// assert_eq!(layout.layers[1].weight, 5 * (3 * 7 + 7));
/// # Ok::<(), cfconv_mlp::MlpError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterLayout {
    /// Hidden layers and the output layer, first to last.
    pub layers: Vec<LinearLayout>,
    /// Number of MLPs.
    pub num_networks: usize,
    /// Parameters of one MLP without embeddings.
    pub network_len: usize,
    /// `[channels, embedding_dim]` of each [channel input](crate::Parameterization::channel_inputs), one behind the
    /// other; empty where channels enter as coordinates.
    pub embeddings: Vec<Range<usize>>,
    /// The coefficients `[Cin, Cout, basis_size]` of a shared basis.
    pub mixing: Option<Range<usize>>,
    /// The same blocks by name, in order and without gaps.
    pub segments: Vec<ParameterSegment>,
}

impl ParameterLayout {
    pub(crate) fn new(config: &KernelMlpConfig, grid: &KernelGrid) -> Self {
        let parameterization = config.parameterization;
        // Leading axes of each weight: one index for each MLP.
        let networks: Vec<usize> =
            parameterization.network_axes().iter().map(|axis| axis.channels(grid)).collect();
        let basis_size = parameterization.has_shared_basis().then_some(config.basis_size);
        let in_features = config.frequency_features() + config.channel_features();
        let out_features = 2 * basis_size.unwrap_or(1);

        let mut segments = Vec::new();
        let mut end = 0;
        let mut push = |name: String, shape: Vec<usize>| {
            let range = end..end + shape.iter().product::<usize>();
            end = range.end;
            segments.push(ParameterSegment { name, shape, range: range.clone() });
            range
        };
        let mut layers = Vec::with_capacity(config.hidden_layers + 1);
        let mut network_len = 0;
        for index in 0..=config.hidden_layers {
            let is_output = index == config.hidden_layers;
            let inputs = if index == 0 { in_features } else { config.hidden_width };
            let outputs = if is_output { out_features } else { config.hidden_width };
            let name = if is_output { "output".to_owned() } else { format!("layer{index}") };
            let weight =
                push(format!("{name}.weight"), [networks.as_slice(), &[outputs, inputs]].concat()).start;
            let bias = push(format!("{name}.bias"), [networks.as_slice(), &[outputs]].concat()).start;
            layers.push(LinearLayout {
                in_features: inputs,
                out_features: outputs,
                weight,
                bias,
                local: network_len,
            });
            network_len += inputs * outputs + outputs;
        }
        let embeddings = config.embedding().map_or_else(Vec::new, |dim| {
            let axes = parameterization.channel_inputs().iter();
            axes.map(|&axis| {
                let name = match axis {
                    ChannelAxis::In => "embedding_in",
                    ChannelAxis::Out => "embedding_out",
                };
                push(name.to_owned(), vec![axis.channels(grid), dim])
            })
            .collect()
        });
        let mixing =
            basis_size.map(|size| push("mixing".to_owned(), vec![grid.in_channels, grid.out_channels, size]));
        let num_networks = parameterization.num_networks(grid);
        Self { layers, num_networks, network_len, embeddings, mixing, segments }
    }

    /// Length of the flat slice.
    pub fn num_parameters(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.range.end)
    }

    /// Input features of an MLP.
    pub fn in_features(&self) -> usize {
        self.layers[0].in_features
    }

    /// Output features of an MLP: two for each complex value.
    pub fn out_features(&self) -> usize {
        self.layers[self.layers.len() - 1].out_features
    }

    /// The first parameter of the embeddings, which lie together; 0 without embeddings.
    pub(crate) fn first_embedding(&self) -> usize {
        self.embeddings.first().map_or(0, |range| range.start)
    }

    /// Number of parameters of the embeddings.
    pub fn embeddings_len(&self) -> usize {
        self.embeddings.iter().map(ExactSizeIterator::len).sum()
    }
}

impl KernelMlpConfig {
    /// Number of parameters of the kernel on `grid`; the height and width do not matter.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and a grid with a size of zero or too many positions.
    pub fn num_parameters(&self, grid: KernelGrid) -> Result<usize> {
        self.validate()?;
        grid.validate()?;
        Ok(ParameterLayout::new(self, &grid).num_parameters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelEncoding, Parameterization};

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
