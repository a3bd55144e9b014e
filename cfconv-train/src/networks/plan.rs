//! A network as inspectable data: layers in order, shapes, parameters, memory.

use std::fmt;
use std::ops::Range;

use cfconv_core::CfConv2dConfig;
use cfconv_fft::Complex;

use super::config::NetworkConfig;
use super::error::{NetworkError, Result};
use super::layers::structure::{FlattenLayerConfig, ResidualLayerConfig};
use super::layers::{
    Context, LayerConfig, LayerName, LayerPlan, Param, Planned, PlannedKernel, PlannedOp, PlannedTaps,
    RunningBlock,
};
use super::memory_plan::MemoryPlan;
use super::shape::{InputShape, Shape};

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

/// What a layer of the plan computes; `Op` is its operation, planned or prepared.
#[derive(Clone, Debug)]
pub(super) enum Step<Op> {
    /// An operation on its input.
    Operation(Op),
    /// The sum of its input and a second value: the end of a residual block.
    Sum(ValueId),
}

impl<Op> Step<Op> {
    pub(super) fn operation(&self) -> Option<&Op> {
        match self {
            Self::Operation(op) => Some(op),
            Self::Sum(_) => None,
        }
    }

    pub(super) fn operation_mut(&mut self) -> Option<&mut Op> {
        match self {
            Self::Operation(op) => Some(op),
            Self::Sum(_) => None,
        }
    }
}

/// A layer of the plan, fused ones counted once.
#[derive(Clone, Debug)]
pub(super) struct PlannedLayer {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) step: Step<PlannedOp>,
    pub(super) input: ValueId,
    pub(super) output: ValueId,
    /// Place in the flat parameters.
    pub(super) params: Range<usize>,
    /// What lies there, one after the other.
    pub(super) param_blocks: Vec<Param>,
    /// Place in the flat running statistics.
    pub(super) running: Range<usize>,
    /// What lies there, one after the other.
    pub(super) running_blocks: Vec<RunningBlock>,
    pub(super) kernel: Option<PlannedKernel>,
    pub(super) taps: Option<PlannedTaps>,
}

impl PlannedLayer {
    pub(super) fn operands(&self) -> impl Iterator<Item = ValueId> {
        let second = match self.step {
            Step::Operation(_) => None,
            Step::Sum(second) => Some(second),
        };
        std::iter::once(self.input).chain(second)
    }

    /// Whether the backward pass reads the layer's operands again.
    pub(super) fn backward_reads_input(&self) -> bool {
        self.step.operation().is_some_and(PlannedOp::backward_reads_input)
    }

    /// Values of scratch that a pass over a batch needs.
    pub(super) fn scratch_len(&self, batch: usize) -> usize {
        self.step.operation().map_or(0, |op| op.scratch_len(batch))
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
        let cf_conv = config.cf_conv_settings();
        let mut planner = Planner {
            cf_conv: &cf_conv,
            classes,
            layers: Vec::new(),
            value_lens: vec![Shape::from(input).len()],
            running_len: 0,
            num_parameters: 0,
            segments: Vec::new(),
            summaries: Vec::new(),
        };
        let last = planner.add_layers("layers", &config.layers, Value { id: 0, shape: input.into() })?;
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

    /// Names of the layers whose kernel is a network of the frequency, with the number of positions of each.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = (&str, usize)> {
        self.layers.iter().filter_map(|layer| Some((layer.name.as_str(), layer.kernel?.num_positions)))
    }

    /// Values of the scratch that layers use in turn.
    pub(super) fn scratch_len(&self, batch: usize) -> usize {
        self.layers.iter().map(|layer| layer.scratch_len(batch)).max().unwrap_or(0)
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

/// A value between layers and its shape.
#[derive(Clone, Copy)]
struct Value {
    id: ValueId,
    shape: Shape,
}

struct Planner<'a> {
    /// What CF-Conv layers share.
    cf_conv: &'a CfConv2dConfig,
    classes: usize,
    layers: Vec<PlannedLayer>,
    value_lens: Vec<usize>,
    running_len: usize,
    num_parameters: usize,
    segments: Vec<Segment>,
    summaries: Vec<LayerSummary>,
}

impl Planner<'_> {
    /// Plans the layers at `path` one after another and returns the value behind the last.
    fn add_layers(&mut self, path: &str, layers: &[LayerConfig], mut value: Value) -> Result<Value> {
        for (index, layer) in layers.iter().enumerate() {
            let place = format!("{path}.{index}");
            let name = LayerName { path: &place, kind: layer.kind() };
            let previous = index.checked_sub(1).map(|previous| &layers[previous]);
            if self.fuse(layer, previous) {
                self.summarize(name, value.shape, 0, 0);
                continue;
            }
            let at = Context { name, shape: value.shape, classes: self.classes, cf_conv: self.cf_conv };
            value = match layer.plan(&at)? {
                LayerPlan::Operation(planned) => self.push(name, planned.map(Step::Operation), value.id),
                LayerPlan::Flatten(FlattenLayerConfig {}) => {
                    // The values already lie in the order of the features.
                    let shape = Shape::Features(value.shape.len());
                    self.summarize(name, shape, 0, 0);
                    Value { id: value.id, shape }
                }
                LayerPlan::Residual(residual) => self.add_residual(name, residual, value)?,
            };
        }
        Ok(value)
    }

    /// Makes an activation directly behind a batch normalisation part of the normalisation's pass over memory. Returns
    /// whether the layers are such a pair.
    fn fuse(&mut self, layer: &LayerConfig, previous: Option<&LayerConfig>) -> bool {
        if let (LayerConfig::Activation(activation), Some(LayerConfig::BatchNorm(_))) = (layer, previous)
            && let Some(last) = self.layers.last_mut()
            && let Step::Operation(PlannedOp::BatchNorm(sizes)) = &mut last.step
        {
            sizes.activation = Some(activation.kind);
            return true;
        }
        false
    }

    fn add_residual(
        &mut self,
        name: LayerName<'_>,
        residual: &ResidualLayerConfig,
        value: Value,
    ) -> Result<Value> {
        if residual.layers.is_empty() {
            return Err(name.setting("layers", "at least one layer", "none"));
        }
        let main = self.add_layers(&format!("{}.layers", name.path), &residual.layers, value)?;
        let shortcut = self.add_layers(&format!("{}.shortcut", name.path), &residual.shortcut, value)?;
        if main.shape != shortcut.shape {
            return Err(NetworkError::Branches {
                layer: name.path.to_owned(),
                main: main.shape,
                shortcut: shortcut.shape,
            });
        }
        Ok(self.push(name, Planned::new(Step::Sum(shortcut.id), main.shape), main.id))
    }

    /// Gives a planned layer its place behind the last one.
    fn push(&mut self, name: LayerName<'_>, planned: Planned<Step<PlannedOp>>, input: ValueId) -> Value {
        let Planned { op: step, output: shape, params, running, kernel, taps } = planned;
        let first = self.num_parameters;
        for param in &params {
            let start = self.num_parameters;
            self.num_parameters += param.len();
            self.segments.push(Segment {
                name: format!("{}.{}", name.path, param.name),
                shape: param.shape.clone(),
                range: start..self.num_parameters,
                decays: param.decays,
            });
        }
        let running_len = running.iter().map(|block| block.len).sum::<usize>();
        let running_range = self.running_len..self.running_len + running_len;
        self.running_len = running_range.end;
        let output = self.value_lens.len();
        self.value_lens.push(shape.len());
        self.layers.push(PlannedLayer {
            name: name.path.to_owned(),
            kind: name.kind,
            step,
            input,
            output,
            params: first..self.num_parameters,
            param_blocks: params,
            running: running_range,
            running_blocks: running,
            kernel,
            taps,
        });
        let kernel_bytes = kernel.map_or(0, |kernel| kernel.num_positions * size_of::<Complex<f32>>());
        let state_bytes = kernel_bytes + running_len * size_of::<f32>();
        self.summarize(name, shape, self.num_parameters - first, state_bytes);
        Value { id: output, shape }
    }

    fn summarize(&mut self, name: LayerName<'_>, output: Shape, parameters: usize, state_bytes: usize) {
        self.summaries.push(LayerSummary {
            name: name.path.to_owned(),
            kind: name.kind,
            output,
            parameters,
            state_bytes,
        });
    }
}
