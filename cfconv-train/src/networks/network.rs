//! A network on a device.

use cfconv_core::StepSeed;

use super::arena::Arena;
use super::config::NetworkConfig;
use super::error::{NetworkError, Result};
use super::layers::{PassWith, PreparedOp, initial_values};
use super::memory_plan::GradRoute;
use super::plan::{NetworkPlan, PlannedLayer, Segment, Step};
use super::shape::InputShape;
use crate::device::{Buffer, Device, DeviceError, IndexBuffer, Span, SpanMut};
use crate::nn::{
    Backward, CfConv2d, CfConv2dWorkspace, CrossEntropy, Forward, KernelSource, StepMonitor, StepSums,
};

/// The loss of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchLoss {
    /// Sum of the images' losses.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_of_squares: f64,
    /// Number of images whose label has the largest logit.
    pub correct: usize,
    /// Number of images.
    pub images: usize,
}

impl BatchLoss {
    /// The loss of a step with `images` images.
    pub fn from_sums(sums: &StepSums, images: usize) -> Self {
        Self { sum: sums.loss, sum_of_squares: sums.loss_squares, correct: sums.correct as usize, images }
    }

    /// The mean loss.
    pub fn mean(&self) -> f64 {
        self.sum / self.images as f64
    }

    /// The variance that the mean loss has because the batch is a sample of the images: the variance of the images'
    /// losses over their number. `None` of a single image.
    pub fn sampling_variance(&self) -> Option<f64> {
        let count = self.images as f64;
        let spread = self.sum_of_squares - self.sum * self.sum / count;
        (self.images > 1).then(|| spread.max(0.0) / (count - 1.0) / count)
    }
}

/// A network on a device: parameters, gradients, states and the memory of a step.
///
/// All parameters lie in one flat buffer, their gradients in another, so that optimisers, clipping and averaging
/// are one operation each. Buffers are allocated once.
///
/// A training step is [`begin_step`](Self::begin_step), then for one or more batches
/// [`forward`](Self::forward), [`loss`](Self::loss), [`backward`](Self::backward); gradients add up from batch to
/// batch. An evaluation is [`begin_evaluation`](Self::begin_evaluation), then [`forward`](Self::forward) and
/// [`loss`](Self::loss) or [`probabilities`](Self::probabilities) for any number of batches.
///
/// # Examples
/// ```
/// use cfconv_train::device::Cpu;
/// use cfconv_train::networks::{InputShape, Network, NetworkConfig};
///
/// let config: NetworkConfig = toml::from_str(
///     "[[layers]]
///      type = 'flatten'
///      [[layers]]
///      type = 'linear'",
/// )?;
/// let input = InputShape { channels: 1, height: 1, width: 2 };
/// let mut network = Network::try_new(Cpu::default(), &config, input, 2, 4)?;
/// network.initialize(7)?;
/// network.begin_step(0)?;
/// // Two images; the layout is [C, H, W, B], so each image is a column.
/// network.forward(2, &[1.0, 0.0, 0.0, 1.0])?;
/// let loss = network.loss(&[0, 1], 0.0)?;
/// network.backward()?;
/// assert_eq!(loss.images, 2);
/// assert!(loss.sum > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Network<D: Device> {
    pub(super) device: D,
    pub(super) plan: NetworkPlan,
    pub(super) layers: Vec<Layer<D>>,
    pub(super) params: Buffer<D>,
    grads: Buffer<D>,
    /// Running statistics of all normalisations.
    pub(super) running: Buffer<D>,
    /// Statistics of the last training batch.
    saved: Buffer<D>,
    /// The running statistics before the step, where steps can be rolled back.
    pub(super) running_before_step: Option<Buffer<D>>,
    arena: Arena<D>,
    workspace: CfConv2dWorkspace<D>,
    scratch: Buffer<D>,
    labels: IndexBuffer<D>,
    losses: Buffer<D>,
    correct: Buffer<D>,
    probabilities: Buffer<D>,
    max_batch: usize,
    pub(super) run_seed: u64,
    pub(super) step: u64,
    phase: Phase,
}

/// A planned layer on a device.
pub(super) struct Layer<D: Device> {
    pub(super) plan: PlannedLayer,
    /// The layer's number in random streams.
    pub(super) number: u64,
    step: Step<PreparedOp<D>>,
}

impl<D: Device> Layer<D> {
    fn try_new(
        device: &D,
        plan: &PlannedLayer,
        number: u64,
        max_batch: usize,
    ) -> crate::device::Result<Self> {
        let step = match &plan.step {
            Step::Operation(op) => Step::Operation(op.prepare(device, max_batch)?),
            Step::Sum(second) => Step::Sum(*second),
        };
        Ok(Self { plan: plan.clone(), number, step })
    }

    pub(super) fn cf_conv(&self) -> Option<&CfConv2d<D>> {
        self.step.operation().and_then(PreparedOp::cf_conv)
    }

    pub(super) fn cf_conv_mut(&mut self) -> Option<&mut CfConv2d<D>> {
        self.step.operation_mut().and_then(PreparedOp::cf_conv_mut)
    }

    /// Bytes that the layer holds besides buffers of the network and kernel states.
    fn working_bytes(&self, device: &D, max_batch: usize) -> usize {
        self.step.operation().map_or(0, |op| op.working_bytes(device, max_batch))
    }
}

/// What the last calls have prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Step(Progress),
    Evaluation(Progress),
}

/// How far the current batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Begun,
    Forward { batch: usize },
    Loss { batch: usize },
}

impl Progress {
    fn batch(self) -> Option<usize> {
        match self {
            Self::Begun => None,
            Self::Forward { batch } | Self::Loss { batch } => Some(batch),
        }
    }
}

impl<D: Device> Network<D> {
    /// Plans and allocates a network for batches of up to `max_batch` images. Parameters are zero until
    /// [`initialize`](Self::initialize) or an import.
    ///
    /// # Errors
    /// [`NetworkError`] names the layer that does not fit, or what the device refuses.
    pub fn try_new(
        device: D,
        config: &NetworkConfig,
        input: InputShape,
        classes: usize,
        max_batch: usize,
    ) -> Result<Self> {
        let plan = NetworkPlan::try_new(config, input, classes)?;
        if max_batch == 0 {
            return Err(NetworkError::ZeroSize { name: "max_batch" });
        }
        let mut layers = Vec::with_capacity(plan.layers.len());
        for (number, layer) in plan.layers.iter().enumerate() {
            let prepared = Layer::try_new(&device, layer, number as u64, max_batch);
            layers.push(prepared.map_err(|source| Self::layer_error(layer, source))?);
        }
        Ok(Self {
            params: device.alloc(plan.num_parameters())?,
            grads: device.alloc(plan.num_parameters())?,
            running: device.alloc(plan.running_len)?,
            saved: device.alloc(plan.running_len)?,
            running_before_step: None,
            arena: Arena::try_new(&device, plan.memory.buffer_lens.iter().map(|len| len * max_batch))?,
            workspace: CfConv2dWorkspace::<D>::default(),
            scratch: device.alloc(plan.scratch_len(max_batch))?,
            labels: device.alloc_indices(max_batch)?,
            losses: device.alloc(max_batch)?,
            correct: device.alloc(max_batch)?,
            probabilities: device.alloc(classes * max_batch)?,
            device,
            plan,
            layers,
            max_batch,
            run_seed: 0,
            step: 0,
            phase: Phase::Idle,
        })
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Layers, shapes and memory.
    pub fn plan(&self) -> &NetworkPlan {
        &self.plan
    }

    /// Number of parameters.
    pub fn num_parameters(&self) -> usize {
        self.plan.num_parameters()
    }

    /// Names, shapes and places of the parameters.
    pub fn segments(&self) -> &[Segment] {
        self.plan.segments()
    }

    /// The largest batch.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// The parameters.
    pub fn params(&self) -> &Buffer<D> {
        &self.params
    }

    /// The gradients.
    pub fn grads(&self) -> &Buffer<D> {
        &self.grads
    }

    /// Parameters to change and their gradients.
    pub fn params_and_grads(&mut self) -> (&mut Buffer<D>, &Buffer<D>) {
        (&mut self.params, &self.grads)
    }

    /// The running statistics of all normalisations.
    pub fn running(&self) -> &Buffer<D> {
        &self.running
    }

    /// Exchanges parameters and running statistics with other buffers of the same lengths, such as averages.
    pub fn swap_weights(&mut self, params: &mut Buffer<D>, running: &mut Buffer<D>) {
        debug_assert_eq!(self.device.buffer_len(params), self.plan.num_parameters());
        debug_assert_eq!(self.device.buffer_len(running), self.plan.running_len);
        std::mem::swap(&mut self.params, params);
        std::mem::swap(&mut self.running, running);
        self.forget_phase();
    }

    /// Bytes of all buffers, kernel states and working memory at present; CF-Conv layers take theirs at their
    /// first batch.
    pub fn memory_bytes(&self) -> usize {
        let words = 2 * self.plan.num_parameters()
            + (2 + usize::from(self.running_before_step.is_some())) * self.plan.running_len
            + (3 + self.plan.classes) * self.max_batch;
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| {
                layer.working_bytes(&self.device, self.max_batch)
                    + layer.cf_conv().map_or(0, |cf_conv| cf_conv.state_bytes())
            })
            .sum();
        words * size_of::<f32>()
            + self.plan.activation_bytes(self.max_batch)
            + layers
            + self.workspace.bytes()
    }

    /// Initialises parameters and states; the same seed gives the same network.
    ///
    /// # Errors
    /// What a layer reports.
    pub fn initialize(&mut self, run_seed: u64) -> Result<()> {
        self.set_run_seed(run_seed);
        for layer in &mut self.layers {
            let seed = StepSeed { run_seed, layer: layer.number, step: 0 };
            let target = SpanMut::new(&mut self.params, layer.plan.params.clone());
            let outcome = match layer.cf_conv_mut() {
                Some(cf_conv) => cf_conv.initialize(seed, target),
                None if target.is_empty() => Ok(()),
                None => self.device.upload(&initial_values(&layer.plan.param_blocks, seed), target),
            };
            outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            if !layer.plan.running.is_empty() {
                let blocks = layer.plan.running_blocks.iter();
                let values: Vec<f32> =
                    blocks.flat_map(|block| std::iter::repeat_n(block.initial, block.len)).collect();
                let running = SpanMut::new(&mut self.running, layer.plan.running.clone());
                self.device.upload(&values, running)?;
            }
        }
        self.device.fill(SpanMut::new(&mut self.grads, 0..self.plan.num_parameters()), 0.0)?;
        self.forget_phase();
        Ok(())
    }

    /// Sets the seed of the random streams without touching parameters: what a resumed run needs.
    pub fn set_run_seed(&mut self, run_seed: u64) {
        self.run_seed = run_seed;
    }

    /// Sets the number of the last step, which the streams of diagnostics follow: what a resumed run needs.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }

    /// Begins training step number `step`: sets gradients to zero and refreshes the kernel states.
    ///
    /// # Errors
    /// What a layer reports.
    pub fn begin_step(&mut self, step: u64) -> Result<()> {
        self.forget_phase();
        self.step = step;
        self.record_running()?;
        self.device.fill(SpanMut::new(&mut self.grads, 0..self.plan.num_parameters()), 0.0)?;
        for layer in &mut self.layers {
            let seed = StepSeed { run_seed: self.run_seed, layer: layer.number, step };
            let params = Span::new(&self.params, layer.plan.params.clone());
            if let Some(cf_conv) = layer.cf_conv_mut() {
                let outcome = cf_conv.begin_step(seed, params, &mut self.workspace);
                outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            }
        }
        self.phase = Phase::Step(Progress::Begun);
        Ok(())
    }

    /// Begins an evaluation of the parameters being trained, or of others put in their place by
    /// [`swap_weights`](Self::swap_weights).
    ///
    /// # Errors
    /// What a layer reports.
    pub fn begin_evaluation(&mut self, kernel: KernelSource) -> Result<()> {
        self.forget_phase();
        for layer in &mut self.layers {
            let params = Span::new(&self.params, layer.plan.params.clone());
            if let Some(cf_conv) = layer.cf_conv_mut() {
                let outcome = cf_conv.begin_evaluation(kernel, params);
                outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            }
        }
        self.begin_evaluation_phase();
        Ok(())
    }

    /// The kernels of an evaluation are ready.
    pub(super) fn begin_evaluation_phase(&mut self) {
        self.phase = Phase::Evaluation(Progress::Begun);
    }

    /// Computes the logits of a batch.
    ///
    /// # Shapes
    /// `images` `[C, H, W, batch]`.
    ///
    /// # Errors
    /// [`NetworkError::WrongOrder`], [`NetworkError::Batch`], a wrong length of `images`, or what a layer reports.
    pub fn forward(&mut self, batch: usize, images: &[f32]) -> Result<()> {
        const OP: &str = "Network::forward";
        let training = match self.phase {
            Phase::Idle => {
                return Err(NetworkError::WrongOrder { op: OP, needed: "begin_step or begin_evaluation" });
            }
            Phase::Step(_) => true,
            Phase::Evaluation(_) => false,
        };
        if !(1..=self.max_batch).contains(&batch) {
            return Err(NetworkError::Batch { op: OP, largest: self.max_batch, got: batch });
        }
        let plan = &self.plan;
        let memory = &plan.memory;
        let len = |value: usize| plan.value_lens[value] * batch;
        crate::device::check_len(OP, "images", len(0), images.len())?;
        self.arena.write(memory.values[0], len(0), |_, input| self.device.upload(images, input))?;
        let device = &self.device;
        for Layer { plan: layer, number, step } in &mut self.layers {
            let outcome =
                self.arena.write(memory.values[layer.output], len(layer.output), |arena, output| {
                    let span = |value: usize| arena.span(memory.values[value], len(value));
                    let input = span(layer.input);
                    let op = match step {
                        Step::Operation(op) => op,
                        Step::Sum(second) => return device.add(input, span(*second), output),
                    };
                    let pass = PassWith {
                        state: (),
                        device,
                        training,
                        seed: StepSeed { run_seed: self.run_seed, layer: *number, step: self.step },
                        running: SpanMut::new(&mut self.running, layer.running.clone()),
                        saved: SpanMut::new(&mut self.saved, layer.running.clone()),
                        workspace: &mut self.workspace,
                        scratch: SpanMut::new(&mut self.scratch, 0..layer.scratch_len(batch)),
                    };
                    let params = Span::new(&self.params, layer.params.clone());
                    op.forward(pass, Forward { batch, input, params, output })
                });
            outcome.map_err(|source| Self::layer_error(layer, source))?;
        }
        let progress = Progress::Forward { batch };
        self.phase = if training { Phase::Step(progress) } else { Phase::Evaluation(progress) };
        Ok(())
    }

    /// Computes the loss of the last batch, and in a training step the gradient of its mean.
    ///
    /// # Shapes
    /// `labels` `[batch]`.
    ///
    /// # Errors
    /// [`NetworkError::WrongOrder`], [`NetworkError::Batch`] for a wrong number of labels,
    /// [`DeviceError::LabelOutOfRange`].
    pub fn loss(&mut self, labels: &[u32], label_smoothing: f32) -> Result<BatchLoss> {
        let images = self.cross_entropy("Network::loss", labels, label_smoothing)?;
        let losses = self.device.to_host(Span::new(&self.losses, 0..images))?;
        let correct = self.device.to_host(Span::new(&self.correct, 0..images))?;
        Ok(BatchLoss {
            sum: losses.iter().map(|&loss| f64::from(loss)).sum(),
            sum_of_squares: losses.iter().map(|&loss| f64::from(loss).powi(2)).sum(),
            correct: correct.iter().filter(|&&correct| correct == 1.0).count(),
            images,
        })
    }

    /// As [`loss`](Self::loss), without waiting for the device: `monitor` has the sums after
    /// [`StepMonitor::sync`]. A step that a monitor checks has one batch.
    ///
    /// # Errors
    /// As for [`loss`](Self::loss), and if the monitor is full.
    pub fn enqueue_loss(
        &mut self,
        labels: &[u32],
        label_smoothing: f32,
        monitor: &mut StepMonitor<D>,
    ) -> Result<()> {
        let images = self.cross_entropy("Network::enqueue_loss", labels, label_smoothing)?;
        let losses = Span::new(&self.losses, 0..images);
        let correct = Span::new(&self.correct, 0..images);
        Ok(monitor.sum_losses(&self.device, losses, correct)?)
    }

    /// Each image's loss, whether its label has the largest logit, and in a training step the gradient; gives the
    /// number of images.
    fn cross_entropy(&mut self, op: &'static str, labels: &[u32], label_smoothing: f32) -> Result<usize> {
        let (training, batch) = match self.phase {
            Phase::Step(Progress::Forward { batch }) => (true, batch),
            Phase::Evaluation(Progress::Forward { batch } | Progress::Loss { batch }) => (false, batch),
            _ => return Err(NetworkError::WrongOrder { op, needed: "forward" }),
        };
        let classes = self.plan.classes;
        crate::device::check_len(op, "labels", batch, labels.len())?;
        if let Some(&got) = labels.iter().find(|&&label| label as usize >= classes) {
            return Err(DeviceError::LabelOutOfRange { op, classes, got }.into());
        }
        self.device.upload_indices(labels, &mut self.labels)?;
        let Self { device, plan, arena, labels, losses, correct, .. } = self;
        let logits = plan.layers[plan.layers.len() - 1].output;
        let logits_buffer = plan.memory.values[logits];
        let len = classes * batch;
        let mut run = |arena: &Arena<D>, grad_logits: Option<SpanMut<'_, D>>| {
            device.cross_entropy(CrossEntropy {
                batch,
                smoothing: label_smoothing,
                logits: arena.span(logits_buffer, len),
                labels,
                losses: SpanMut::new(losses, 0..batch),
                correct: SpanMut::new(correct, 0..batch),
                grad_logits,
            })
        };
        match plan.memory.grads[logits].filter(|_| training) {
            Some(grads) => arena.write(grads, len, |arena, grad_logits| run(arena, Some(grad_logits)))?,
            None => run(arena, None)?,
        }
        let progress = Progress::Loss { batch };
        self.phase = if training { Phase::Step(progress) } else { Phase::Evaluation(progress) };
        Ok(batch)
    }

    /// Adds the gradients of the mean loss of the last batch.
    ///
    /// # Errors
    /// [`NetworkError::WrongOrder`], or what a layer reports.
    pub fn backward(&mut self) -> Result<()> {
        let Phase::Step(Progress::Loss { batch }) = self.phase else {
            let needed = "begin_step, forward and loss";
            return Err(NetworkError::WrongOrder { op: "Network::backward", needed });
        };
        let plan = &self.plan;
        let memory = &plan.memory;
        let len = |value: usize| plan.value_lens[value] * batch;
        let device = &self.device;
        for (Layer { plan: layer, number, step }, routes) in self.layers.iter_mut().zip(&memory.routes).rev()
        {
            let Some(grad_output) = memory.grads[layer.output] else { continue };
            let arena = &mut self.arena;
            let op = match step {
                Step::Operation(op) => op,
                Step::Sum(_) => {
                    let len = len(layer.output);
                    let outcome = backward_of_sum(device, arena, memory, layer, routes, grad_output, len);
                    outcome.map_err(|source| Self::layer_error(layer, source))?;
                    continue;
                }
            };
            let input_len = len(layer.input);
            let mut run = |arena: &Arena<D>, grad_input: Option<SpanMut<'_, D>>| {
                let pass = PassWith {
                    state: (),
                    device,
                    training: true,
                    seed: StepSeed { run_seed: self.run_seed, layer: *number, step: self.step },
                    running: SpanMut::new(&mut self.running, layer.running.clone()),
                    saved: SpanMut::new(&mut self.saved, layer.running.clone()),
                    workspace: &mut self.workspace,
                    scratch: SpanMut::new(&mut self.scratch, 0..layer.scratch_len(batch)),
                };
                let reads_input = layer.backward_reads_input();
                let io = Backward {
                    batch,
                    input: reads_input.then(|| arena.span(memory.values[layer.input], input_len)),
                    params: Span::new(&self.params, layer.params.clone()),
                    grad_output: arena.span(grad_output, len(layer.output)),
                    grad_input,
                    grad_params: SpanMut::new(&mut self.grads, layer.params.clone()),
                };
                op.backward(pass, io)
            };
            let outcome = match (routes[0], memory.grads[layer.input]) {
                (GradRoute::Overwrite, Some(target)) => {
                    arena.write(target, input_len, |arena, grad_input| run(arena, Some(grad_input)))
                }
                (GradRoute::Add { through }, Some(target)) => arena
                    .write(through, input_len, |arena, grad_input| run(arena, Some(grad_input)))
                    .and_then(|()| {
                        arena.write(target, input_len, |arena, sum| {
                            device.add_assign(arena.span(through, input_len), sum)
                        })
                    }),
                _ => run(arena, None),
            };
            outcome.map_err(|source| Self::layer_error(layer, source))?;
        }
        self.phase = Phase::Step(Progress::Begun);
        Ok(())
    }

    /// The logits of the last batch, `[classes, batch]`.
    ///
    /// # Errors
    /// [`NetworkError::WrongOrder`] before a forward pass.
    pub fn logits(&self) -> Result<Vec<f32>> {
        let span = self.logits_span(self.forwarded_batch("Network::logits")?);
        Ok(self.device.to_host(span)?)
    }

    /// The probability of each class for each image of the last batch, `[classes, batch]`.
    ///
    /// # Errors
    /// [`NetworkError::WrongOrder`] before a forward pass.
    pub fn probabilities(&mut self) -> Result<Vec<f32>> {
        let batch = self.forwarded_batch("Network::probabilities")?;
        let len = self.plan.classes * batch;
        let logits = self.plan.layers[self.plan.layers.len() - 1].output;
        let logits = self.arena.span(self.plan.memory.values[logits], len);
        self.device.softmax(batch, logits, SpanMut::new(&mut self.probabilities, 0..len))?;
        Ok(self.device.to_host(Span::new(&self.probabilities, 0..len))?)
    }

    fn logits_span(&self, batch: usize) -> Span<'_, D> {
        let logits = self.plan.layers[self.plan.layers.len() - 1].output;
        self.arena.span(self.plan.memory.values[logits], self.plan.classes * batch)
    }

    fn forwarded_batch(&self, op: &'static str) -> Result<usize> {
        let batch = match self.phase {
            Phase::Idle => None,
            Phase::Step(progress) | Phase::Evaluation(progress) => progress.batch(),
        };
        batch.ok_or(NetworkError::WrongOrder { op, needed: "forward" })
    }

    /// Whatever was prepared no longer fits.
    pub(super) fn forget_phase(&mut self) {
        self.phase = Phase::Idle;
    }

    pub(super) fn layer_error(layer: &PlannedLayer, source: impl Into<DeviceError>) -> NetworkError {
        NetworkError::Layer { layer: layer.name.clone(), kind: layer.kind, source: Box::new(source.into()) }
    }
}

/// Hands the gradient of a sum on to both operands.
fn backward_of_sum<D: Device>(
    device: &D,
    arena: &mut Arena<D>,
    memory: &super::memory_plan::MemoryPlan,
    layer: &PlannedLayer,
    routes: &[GradRoute; 2],
    grad_output: usize,
    len: usize,
) -> crate::device::Result<()> {
    for (value, route) in layer.operands().zip(routes) {
        let Some(target) = memory.grads[value] else { continue };
        arena.write(target, len, |arena, target| {
            let source = arena.span(grad_output, len);
            match route {
                GradRoute::Skip => Ok(()),
                GradRoute::Overwrite => device.copy(source, target),
                // The gradient is already there: it needs no copy.
                GradRoute::Add { .. } => device.add_assign(source, target),
            }
        })?;
    }
    Ok(())
}
