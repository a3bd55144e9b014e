//! A network as inspectable data: layers in order, shapes, parameters, memory.

use std::fmt;
use std::ops::Range;

use cfconv_core::engine::EnginePlan;
use cfconv_fft::Complex;

use super::config::{BatchNormLayerConfig, LayerConfig, NetworkConfig, PoolLayerConfig, ResidualLayerConfig};
use super::error::{NetworkError, Result};
use super::memory_plan::MemoryPlan;
use super::shape::{InputShape, Shape};
use super::spectrum_plan::draft_spectrum_layer;
use super::token_plan::draft_token_layer;
use crate::nn::{
    Activation, BatchNormSizes, ComplexActivationSizes, ComplexBatchNormSizes, Conv2dSizes,
    DepthwiseConv2dSizes, LayerNormSizes, LinearSizes, PatchEmbedSizes, PoolSizes, SelfAttentionSizes,
    SpectralPoolSizes, SpectrumSizes,
};

/// Names a value between layers.
pub(super) type ValueId = usize;

/// A named block of the flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What the block holds, such as `layers.0.weight`.
    pub name: String,
    /// Its shape, last index contiguous.
    pub shape: Vec<usize>,
    /// Its place in the flat parameters.
    pub range: Range<usize>,
    /// Whether weight decay acts on it: not on biases and the parameters of normalisation.
    pub decays: bool,
}

/// One row of the table that [`NetworkPlan`] prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSummary {
    /// The layer's place in the configuration, such as `layers.2.layers.0`.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// What it gives for one image.
    pub output: Shape,
    /// Number of parameters.
    pub parameters: usize,
    /// Bytes of its kernel state or running statistics.
    pub state_bytes: usize,
}

impl LayerSummary {
    /// Whether the layer's kernel is a network of the frequency, with a state of its own.
    pub fn has_kernel(&self) -> bool {
        matches!(self.kind, "cf-conv" | "cf-mix" | "depthwise-cf-conv")
    }
}

/// A layer of the plan, fused ones counted once.
#[derive(Clone, Debug)]
pub(super) struct PlannedLayer {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) op: PlannedOp,
    pub(super) input: ValueId,
    /// The second operand of a sum.
    pub(super) second: Option<ValueId>,
    pub(super) output: ValueId,
    pub(super) params: Range<usize>,
    /// Place in the flat running statistics.
    pub(super) running: Range<usize>,
    /// What lies there, one after the other.
    pub(super) running_blocks: Vec<RunningBlock>,
}

/// Running statistics of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RunningBlock {
    /// The name in checkpoints.
    pub(super) name: &'static str,
    pub(super) len: usize,
    /// The value before the first step.
    pub(super) initial: f32,
}

impl PlannedLayer {
    pub(super) fn operands(&self) -> impl Iterator<Item = ValueId> {
        std::iter::once(self.input).chain(self.second)
    }

    /// Whether each channel has a kernel of its own, and no other.
    pub(super) fn is_depthwise_cf_conv(&self) -> bool {
        matches!(&self.op, PlannedOp::CfConv(plan) if plan.config().depthwise)
    }
}

/// An operation with its sizes.
#[derive(Clone, Debug)]
pub(super) enum PlannedOp {
    /// Between images or between half spectra.
    CfConv(Box<EnginePlan>),
    Conv(Conv2dSizes),
    BatchNorm(BatchNormSizes),
    Activation(Activation),
    MaxPool(PoolSizes),
    AvgPool(PoolSizes),
    SpectralPool(SpectralPoolSizes),
    GlobalAvgPool {
        pixels: usize,
    },
    Linear(LinearSizes),
    Dropout {
        rate: f64,
    },
    Add,
    ToSpectrum(SpectrumSizes),
    ToImage(SpectrumSizes),
    ComplexActivation {
        sizes: ComplexActivationSizes,
        initial_bias: f32,
    },
    ComplexBatchNorm(ComplexBatchNormSizes),
    SpectralCrop(SpectralPoolSizes),
    PatchEmbed(PatchEmbedSizes),
    PositionEmbedding,
    LayerNorm(LayerNormSizes),
    SelfAttention(SelfAttentionSizes),
    DepthwiseConv(DepthwiseConv2dSizes),
}

impl PlannedOp {
    /// Whether the backward pass reads the layer's input again.
    pub(super) fn backward_reads_input(&self) -> bool {
        matches!(
            self,
            Self::Conv(_)
                | Self::BatchNorm(_)
                | Self::Activation(_)
                | Self::Linear(_)
                | Self::ComplexActivation { .. }
                | Self::ComplexBatchNorm(_)
                | Self::PatchEmbed(_)
                | Self::LayerNorm(_)
                | Self::SelfAttention(_)
                | Self::DepthwiseConv(_)
        )
    }

    /// Values of scratch that a pass over a batch needs.
    pub(super) fn scratch_len(&self, batch: usize) -> usize {
        match self {
            Self::PatchEmbed(sizes) => sizes.input_len(batch),
            Self::SelfAttention(sizes) => sizes.scratch_len(batch),
            _ => 0,
        }
    }
}

/// A network's layers, shapes, parameters and memory, without any of the memory.
///
/// Its `Display` is a table of the layers, for example
/// ```text
/// layer     type             output        parameters       state
/// layers.0  conv             8×32×32              224         0 B
/// ```
///
/// # Examples
/// See [`NetworkConfig`].
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    pub(super) input: InputShape,
    pub(super) classes: usize,
    pub(super) layers: Vec<PlannedLayer>,
    /// Values of one image in each value.
    pub(super) value_lens: Vec<usize>,
    pub(super) memory: MemoryPlan,
    pub(super) running_len: usize,
    num_parameters: usize,
    segments: Vec<Segment>,
    summaries: Vec<LayerSummary>,
}

impl NetworkPlan {
    /// Plans a network for images of `input` and a number of classes.
    ///
    /// # Errors
    /// [`NetworkError`] names the layer that does not fit and why.
    pub fn try_new(config: &NetworkConfig, input: InputShape, classes: usize) -> Result<Self> {
        let sizes = [
            ("input channels", input.channels),
            ("input height", input.height),
            ("input width", input.width),
            ("classes", classes),
        ];
        for (name, size) in sizes {
            if size == 0 {
                return Err(NetworkError::ZeroSize { name });
            }
        }
        if config.layers.is_empty() {
            return Err(NetworkError::NoLayers);
        }
        let mut planner = Planner {
            config,
            classes,
            layers: Vec::new(),
            value_lens: vec![Shape::from(input).len()],
            running_len: 0,
            num_parameters: 0,
            segments: Vec::new(),
            summaries: Vec::new(),
        };
        let last = planner.add_layers("layers", &config.layers, Place { value: 0, shape: input.into() })?;
        if last.shape != Shape::Features(classes) {
            return Err(NetworkError::Output { classes, got: last.shape });
        }
        // Only flatten adds no operation: a network of nothing else has no logits of its own.
        if planner.layers.is_empty() {
            return Err(NetworkError::NoLayers);
        }
        Ok(Self {
            input,
            classes,
            memory: MemoryPlan::new(&planner.layers, &planner.value_lens),
            layers: planner.layers,
            value_lens: planner.value_lens,
            running_len: planner.running_len,
            num_parameters: planner.num_parameters,
            segments: planner.segments,
            summaries: planner.summaries,
        })
    }

    /// The images it takes.
    pub fn input(&self) -> InputShape {
        self.input
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of parameters.
    pub fn num_parameters(&self) -> usize {
        self.num_parameters
    }

    /// Names, shapes and places of the parameters in the flat buffer.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// One row a layer, in the order of the configuration.
    pub fn summaries(&self) -> &[LayerSummary] {
        &self.summaries
    }

    /// Values of the scratch that layers use in turn.
    pub(super) fn scratch_len(&self, batch: usize) -> usize {
        self.layers.iter().map(|layer| layer.op.scratch_len(batch)).max().unwrap_or(0)
    }

    /// Bytes of all kernel states and running statistics.
    pub fn state_bytes(&self) -> usize {
        self.summaries.iter().map(|row| row.state_bytes).sum()
    }

    /// Bytes of the running statistics of all normalisations.
    pub fn running_bytes(&self) -> usize {
        self.running_len * size_of::<f32>()
    }

    /// Bytes of the buffers that values and gradients share in turn, and of the scratch beside them, for batches of
    /// `batch` images.
    pub fn activation_bytes(&self, batch: usize) -> usize {
        (self.memory.total_len() * batch + self.scratch_len(batch)) * size_of::<f32>()
    }
}

impl fmt::Display for NetworkPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.summaries.iter().map(|row| row.name.len()).max().unwrap_or(0).max("input".len());
        writeln!(
            f,
            "{:width$}  {:15}  {:>12}  {:>10}  {:>12}",
            "layer", "type", "output", "parameters", "state"
        )?;
        writeln!(f, "{:width$}  {:15}  {:>12}", "input", "", Shape::from(self.input))?;
        for row in &self.summaries {
            writeln!(
                f,
                "{:width$}  {:15}  {:>12}  {:>10}  {:>12}",
                row.name,
                row.kind,
                row.output,
                row.parameters,
                format!("{} B", row.state_bytes),
            )?;
        }
        let total = format!("{} B", self.state_bytes());
        write!(f, "{:width$}  {:15}  {:>12}  {:>10}  {:>12}", "total", "", "", self.num_parameters, total)
    }
}

/// A value and its shape.
#[derive(Clone, Copy)]
struct Place {
    value: ValueId,
    shape: Shape,
}

struct Planner<'a> {
    config: &'a NetworkConfig,
    classes: usize,
    layers: Vec<PlannedLayer>,
    value_lens: Vec<usize>,
    running_len: usize,
    num_parameters: usize,
    segments: Vec<Segment>,
    summaries: Vec<LayerSummary>,
}

/// An operation with what it learns, before it has its place.
pub(super) struct Drafted {
    pub(super) op: PlannedOp,
    pub(super) output: Shape,
    /// Name, shape and whether it decays.
    pub(super) params: Vec<(String, Vec<usize>, bool)>,
    pub(super) running: Vec<RunningBlock>,
    /// Bytes of its kernel state.
    pub(super) kernel_bytes: usize,
}

impl Drafted {
    pub(super) fn plain(op: PlannedOp, output: Shape) -> Self {
        Self { op, output, params: Vec::new(), running: Vec::new(), kernel_bytes: 0 }
    }
}

impl Planner<'_> {
    fn add_layers(&mut self, path: &str, layers: &[LayerConfig], mut place: Place) -> Result<Place> {
        for (index, layer) in layers.iter().enumerate() {
            let name = format!("{path}.{index}");
            let context = Context { name: &name, kind: layer.kind(), shape: place.shape };
            let previous = index.checked_sub(1).map(|previous| &layers[previous]);
            place = match (layer, previous) {
                (LayerConfig::Residual(residual), _) => self.add_residual(&context, residual, place)?,
                (LayerConfig::Flatten {}, _) => {
                    let output = Shape::Features(place.shape.len());
                    self.summarize(&context, output, 0, 0);
                    Place { value: place.value, shape: output }
                }
                (LayerConfig::Activation(activation), Some(LayerConfig::BatchNorm(_))) => {
                    // Directly behind a normalisation the function is applied in the same pass over memory.
                    if let Some(PlannedOp::BatchNorm(sizes)) = self.layers.last_mut().map(|last| &mut last.op)
                    {
                        sizes.activation = Some(activation.kind);
                    }
                    self.summarize(&context, place.shape, 0, 0);
                    place
                }
                _ => {
                    let drafted = self.draft(&context, layer)?;
                    self.push(&context, drafted, place.value, None)
                }
            };
        }
        Ok(place)
    }

    fn add_residual(
        &mut self,
        context: &Context<'_>,
        residual: &ResidualLayerConfig,
        place: Place,
    ) -> Result<Place> {
        if residual.layers.is_empty() {
            return Err(context.setting("layers", "at least one layer", "none"));
        }
        let main = self.add_layers(&format!("{}.layers", context.name), &residual.layers, place)?;
        let shortcut = self.add_layers(&format!("{}.shortcut", context.name), &residual.shortcut, place)?;
        if main.shape != shortcut.shape {
            return Err(NetworkError::Branches {
                layer: context.name.to_owned(),
                main: main.shape,
                shortcut: shortcut.shape,
            });
        }
        let drafted = Drafted::plain(PlannedOp::Add, main.shape);
        Ok(self.push(context, drafted, main.value, Some(shortcut.value)))
    }

    fn push(
        &mut self,
        context: &Context<'_>,
        drafted: Drafted,
        input: ValueId,
        second: Option<ValueId>,
    ) -> Place {
        let first = self.num_parameters;
        for (name, shape, decays) in drafted.params {
            let start = self.num_parameters;
            self.num_parameters += shape.iter().product::<usize>();
            let range = start..self.num_parameters;
            self.segments.push(Segment { name: format!("{}.{name}", context.name), shape, range, decays });
        }
        let running_len = drafted.running.iter().map(|block| block.len).sum::<usize>();
        let running = self.running_len..self.running_len + running_len;
        self.running_len = running.end;
        let output = self.value_lens.len();
        self.value_lens.push(drafted.output.len());
        self.layers.push(PlannedLayer {
            name: context.name.to_owned(),
            kind: context.kind,
            op: drafted.op,
            input,
            second,
            output,
            params: first..self.num_parameters,
            running,
            running_blocks: drafted.running,
        });
        let state_bytes = drafted.kernel_bytes + running_len * size_of::<f32>();
        self.summarize(context, drafted.output, self.num_parameters - first, state_bytes);
        Place { value: output, shape: drafted.output }
    }

    fn summarize(&mut self, context: &Context<'_>, output: Shape, parameters: usize, state_bytes: usize) {
        self.summaries.push(LayerSummary {
            name: context.name.to_owned(),
            kind: context.kind,
            output,
            parameters,
            state_bytes,
        });
    }

    fn draft(&self, context: &Context<'_>, layer: &LayerConfig) -> Result<Drafted> {
        let special = draft_spectrum_layer(self.config, context, layer)
            .or_else(|| draft_token_layer(self.config, context, layer));
        if let Some(drafted) = special {
            return drafted;
        }
        match layer {
            LayerConfig::CfConv(layer) => {
                let size @ (_, height, width) = context.image()?;
                let config = self.config.cf_conv(context.name, layer, size)?;
                let output = Shape::Image { channels: config.out_channels, height, width };
                draft_kernel_layer(context, EnginePlan::try_new(&config), output)
            }
            LayerConfig::Conv(layer) => {
                let (in_channels, height, width) = context.image()?;
                let sizes = Conv2dSizes {
                    in_channels,
                    out_channels: layer.out_channels,
                    height,
                    width,
                    kernel_size: layer.kernel_size,
                    padding: layer.padding,
                    bias: layer.bias,
                };
                context.at_least_one("out_channels", sizes.out_channels)?;
                if sizes.kernel_size.is_multiple_of(2) {
                    return Err(context.setting("kernel_size", "an odd number", sizes.kernel_size));
                }
                let k = sizes.kernel_size;
                let mut params =
                    vec![("weight".to_owned(), vec![sizes.out_channels, in_channels, k, k], true)];
                if sizes.bias {
                    params.push(("bias".to_owned(), vec![sizes.out_channels], false));
                }
                let output = Shape::Image { channels: sizes.out_channels, height, width };
                Ok(Drafted { params, ..Drafted::plain(PlannedOp::Conv(sizes), output) })
            }
            LayerConfig::BatchNorm(layer) => draft_batch_norm(context, layer),
            LayerConfig::Activation(layer) => {
                if let Shape::Spectrum { .. } = context.shape {
                    return Err(context.complex_input("complex-activation"));
                }
                Ok(Drafted::plain(PlannedOp::Activation(layer.kind), context.shape))
            }
            LayerConfig::MaxPool(layer) => draft_pool(context, layer, PlannedOp::MaxPool),
            LayerConfig::AvgPool(layer) => draft_pool(context, layer, PlannedOp::AvgPool),
            LayerConfig::SpectralPool(layer) => {
                let (channels, height, width) = context.image()?;
                context.smaller("size", layer.size, height.min(width))?;
                let (output_height, output_width) = (layer.size, layer.size);
                let sizes = SpectralPoolSizes { channels, height, width, output_height, output_width };
                let output = Shape::Image { channels, height: output_height, width: output_width };
                Ok(Drafted::plain(PlannedOp::SpectralPool(sizes), output))
            }
            LayerConfig::GlobalAvgPool {} => {
                let (channels, height, width) = context.image()?;
                let op = PlannedOp::GlobalAvgPool { pixels: height * width };
                Ok(Drafted::plain(op, Shape::Features(channels)))
            }
            LayerConfig::Linear(layer) => {
                let Shape::Features(in_features) = context.shape else {
                    return Err(context.input("features: put global-avg-pool or flatten before it"));
                };
                let out_features = layer.out_features.unwrap_or(self.classes);
                context.at_least_one("out_features", out_features)?;
                let sizes = LinearSizes { in_features, out_features, bias: layer.bias };
                let mut params = vec![("weight".to_owned(), vec![out_features, in_features], true)];
                if sizes.bias {
                    params.push(("bias".to_owned(), vec![out_features], false));
                }
                let output = Shape::Features(out_features);
                Ok(Drafted { params, ..Drafted::plain(PlannedOp::Linear(sizes), output) })
            }
            LayerConfig::Dropout(layer) => {
                if !(0.0..1.0).contains(&layer.rate) {
                    return Err(context.setting("rate", "0 to below 1", layer.rate));
                }
                if let Shape::Spectrum { .. } = context.shape {
                    return Err(context.complex_input("dropout behind to-image"));
                }
                Ok(Drafted::plain(PlannedOp::Dropout { rate: layer.rate }, context.shape))
            }
            _ => unreachable!("add_layers treats layers that are no single operation"),
        }
    }
}

/// A layer with a kernel network.
pub(super) fn draft_kernel_layer(
    context: &Context<'_>,
    plan: cfconv_core::Result<EnginePlan>,
    output: Shape,
) -> Result<Drafted> {
    let plan = plan.map_err(|source| NetworkError::Layer {
        layer: context.name.to_owned(),
        kind: context.kind,
        source: Box::new(source.into()),
    })?;
    let segments = plan.parameter_segments().iter();
    let params = segments
        .map(|segment| (segment.name.clone(), segment.shape.clone(), !segment.name.ends_with("bias")))
        .collect();
    let kernel_bytes = plan.grid.num_positions() * size_of::<Complex<f32>>();
    Ok(Drafted { op: PlannedOp::CfConv(Box::new(plan)), output, params, running: Vec::new(), kernel_bytes })
}

fn draft_batch_norm(context: &Context<'_>, layer: &BatchNormLayerConfig) -> Result<Drafted> {
    context.normalization(layer.momentum, layer.epsilon)?;
    let (channels, pixels) = match context.shape {
        Shape::Image { channels, height, width } => (channels, height * width),
        Shape::Features(features) => (features, 1),
        Shape::Spectrum { .. } => return Err(context.complex_input("complex-batch-norm")),
    };
    let sizes = BatchNormSizes {
        channels,
        pixels,
        epsilon: layer.epsilon as f32,
        momentum: layer.momentum as f32,
        activation: None,
    };
    let params =
        vec![("weight".to_owned(), vec![channels], false), ("bias".to_owned(), vec![channels], false)];
    Ok(Drafted {
        params,
        running: vec![
            RunningBlock { name: "running_mean", len: channels, initial: 0.0 },
            RunningBlock { name: "running_var", len: channels, initial: 1.0 },
        ],
        ..Drafted::plain(PlannedOp::BatchNorm(sizes), context.shape)
    })
}

fn draft_pool(
    context: &Context<'_>,
    layer: &PoolLayerConfig,
    op: fn(PoolSizes) -> PlannedOp,
) -> Result<Drafted> {
    let (channels, height, width) = context.image()?;
    context.smaller("size", layer.size, height.min(width))?;
    let stride = layer.stride();
    context.at_least_one("stride", stride)?;
    let sizes = PoolSizes { channels, height, width, size: layer.size, stride };
    let output = Shape::Image { channels, height: sizes.output_height(), width: sizes.output_width() };
    Ok(Drafted::plain(op(sizes), output))
}

/// The layer that is being planned and the shape before it.
pub(super) struct Context<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'static str,
    pub(super) shape: Shape,
}

impl Context<'_> {
    pub(super) fn image(&self) -> Result<(usize, usize, usize)> {
        match self.shape {
            Shape::Image { channels, height, width } => Ok((channels, height, width)),
            Shape::Spectrum { .. } => Err(self.input("an image: put to-image before it")),
            Shape::Features(_) => Err(self.input("an image")),
        }
    }

    pub(super) fn spectrum(&self) -> Result<SpectrumSizes> {
        match self.shape {
            Shape::Spectrum { channels, height, width } => Ok(SpectrumSizes { channels, height, width }),
            Shape::Image { .. } => Err(self.input("a half spectrum: put to-spectrum before it")),
            Shape::Features(_) => Err(self.input("a half spectrum")),
        }
    }

    /// The refusal of complex values; `instead` says what there is for them.
    fn complex_input(&self, instead: &str) -> NetworkError {
        self.input(&format!("real values: for half spectra there is {instead}"))
    }

    /// Checks an output size against the input's.
    pub(super) fn smaller(&self, setting: &'static str, size: usize, largest: usize) -> Result<()> {
        if size == 0 || size > largest {
            return Err(self.setting(setting, &format!("1 to {largest}, the size of the input"), size));
        }
        Ok(())
    }

    /// Checks the settings of a normalisation.
    pub(super) fn normalization(&self, momentum: f64, epsilon: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(self.setting("momentum", "0 to 1", momentum));
        }
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(self.setting("epsilon", "finite and above 0", epsilon));
        }
        Ok(())
    }

    fn input(&self, expected: &str) -> NetworkError {
        NetworkError::LayerInput {
            layer: self.name.to_owned(),
            kind: self.kind,
            expected: expected.to_owned(),
            got: self.shape,
        }
    }

    pub(super) fn setting(&self, setting: &'static str, expected: &str, got: impl ToString) -> NetworkError {
        NetworkError::LayerSetting {
            layer: self.name.to_owned(),
            kind: self.kind,
            setting,
            expected: expected.to_owned(),
            got: got.to_string(),
        }
    }

    pub(super) fn at_least_one(&self, setting: &'static str, size: usize) -> Result<()> {
        if size == 0 { Err(self.setting(setting, "at least 1", size)) } else { Ok(()) }
    }
}
