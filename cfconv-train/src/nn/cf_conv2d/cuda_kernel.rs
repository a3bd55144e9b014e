//! The engine's primitives on the CUDA device.
//!
//! Kernel state, Φ, transforms and mixes are on the device. Positions are drawn on the host, by the same sampler as on
//! the CPU, and uploaded: both devices visit the same.

use std::borrow::Cow;
use std::ops::Range;

use cfconv_core::SampledPositions;
use cfconv_core::engine::{EngineBackend, EngineMemory, EnginePlan, PlannedMemory, PlannedWorkspace};
use cfconv_fft::Complex;
use cfconv_mlp::KernelMlp;

use super::CfConv2dOp;
use crate::device::cuda::{
    Argument, Grid, KernelConv, Launcher, Phi, PhiSchedule, Scratch, count, launch, part, part_mut,
    run_gradient_bytes,
};
use crate::device::{DeviceError, IndexBuffer, Result, Span, SpanMut};

/// The CUDA device, with operands in spans.
pub struct CudaBackend<L: Launcher> {
    device: L,
    phi: Phi<L>,
    positions: DevicePositions<L>,
    conv: KernelConv<L>,
}

/// Complex numbers on the device.
pub struct CudaValues<L: Launcher>(Option<Scratch<L>>);

impl<L: Launcher> Default for CudaValues<L> {
    fn default() -> Self {
        Self(None)
    }
}

impl<L: Launcher> CudaValues<L> {
    /// Number of floats.
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Scratch::len)
    }

    fn all(&self) -> Span<'_, L> {
        self.0.as_ref().expect("the engine makes room before it writes").all()
    }

    fn all_mut(&mut self) -> SpanMut<'_, L> {
        self.0.as_mut().expect("the engine makes room first").all_mut()
    }
}

/// The positions of a step and the order in which they go through Φ.
struct DevicePositions<L: Launcher> {
    /// The list and its schedule, unless the step visits every position.
    listed: Option<(IndexBuffer<L>, PhiSchedule<L>)>,
    /// The schedule of every position, once it was needed.
    all: Option<PhiSchedule<L>>,
}

impl<L: Launcher> DevicePositions<L> {
    /// Uploads a list and plans its way through Φ.
    fn set(&mut self, device: &L, phi: &Phi<L>, positions: &SampledPositions) -> Result<()> {
        self.listed = None;
        if let Some(list) = positions.list() {
            let mut buffer = device.alloc_indices(list.len().max(1))?;
            device.upload_indices(list, &mut buffer)?;
            let schedule = PhiSchedule::new(device, phi, Some(list), positions.population())?;
            self.listed = Some((buffer, schedule));
        }
        Ok(())
    }

    /// The list on the device; `None` for every position.
    fn list(&self, positions: &SampledPositions) -> Option<&IndexBuffer<L>> {
        let listed = positions.list().and(self.listed.as_ref());
        listed.map(|(list, _)| list)
    }

    /// The list on the device and its schedule.
    fn scheduled(
        &mut self,
        device: &L,
        phi: &Phi<L>,
        positions: &SampledPositions,
    ) -> Result<(Option<&IndexBuffer<L>>, &PhiSchedule<L>)> {
        if let (Some(_), Some((list, schedule))) = (positions.list(), &self.listed) {
            return Ok((Some(list), schedule));
        }
        let schedule = match &mut self.all {
            Some(schedule) => schedule,
            empty => empty.insert(PhiSchedule::new(device, phi, None, positions.population())?),
        };
        Ok((None, schedule))
    }
}

impl<L: Launcher> CfConv2dOp for L {
    type CfConvBackend = CudaBackend<L>;

    fn cf_conv2d_backend(&self, plan: &EnginePlan) -> Result<CudaBackend<L>> {
        let mlp = KernelMlp::try_new(&plan.config().mlp, plan.grid).map_err(cfconv_core::CoreError::from)?;
        Ok(CudaBackend {
            phi: Phi::new(self, mlp)?,
            positions: DevicePositions { listed: None, all: None },
            conv: KernelConv::new(self, plan)?,
            device: self.clone(),
        })
    }

    fn cf_conv2d_memory(
        &self,
        plan: &EnginePlan,
        training_batch: usize,
        evaluation_batch: usize,
        dense_evaluation: bool,
    ) -> PlannedMemory {
        planned_memory(plan, training_batch, evaluation_batch, dense_evaluation)
    }

    fn operand(span: Span<'_, L>) -> Span<'_, L> {
        span
    }

    fn operand_mut(span: SpanMut<'_, L>) -> SpanMut<'_, L> {
        span
    }
}

impl<L: Launcher> EngineMemory for CudaBackend<L> {
    type Real = f32;
    type Slice<'a> = Span<'a, L>;
    type SliceMut<'a> = SpanMut<'a, L>;
    type Values = CudaValues<L>;
    type Error = DeviceError;

    fn len(slice: Span<'_, L>) -> usize {
        slice.len()
    }

    fn len_mut(slice: &SpanMut<'_, L>) -> usize {
        slice.len()
    }

    fn part<'a>(slice: Self::Slice<'a>, range: Range<usize>) -> Self::Slice<'a> {
        part(slice, range)
    }

    fn part_mut<'a>(slice: &'a mut SpanMut<'_, L>, range: Range<usize>) -> SpanMut<'a, L> {
        part_mut(slice, range)
    }

    fn to_host<'a>(&self, slice: Self::Slice<'a>) -> Result<Cow<'a, [f32]>> {
        Ok(Cow::Owned(self.device.to_host(slice)?))
    }

    fn upload(&self, host: &[f32], target: SpanMut<'_, L>) -> Result<()> {
        self.device.upload(host, target)
    }

    fn values_to_host<'a>(&self, values: &'a CudaValues<L>) -> Result<Cow<'a, [Complex<f32>]>> {
        let mut host = vec![Complex::default(); values.len() / 2];
        self.device.download(values.all(), bytemuck::cast_slice_mut(&mut host))?;
        Ok(Cow::Owned(host))
    }

    fn upload_values(&self, host: &[Complex<f32>], values: &mut CudaValues<L>) -> Result<()> {
        self.device.upload(bytemuck::cast_slice(host), values.all_mut())
    }

    fn resize(&self, values: &mut CudaValues<L>, len: usize) -> Result<()> {
        if values.0.is_none() || values.len() != 2 * len {
            values.0 = None;
            values.0 = Some(Scratch::new(&self.device, 2 * len)?);
        }
        Ok(())
    }

    /// Gives the memory back to the device, whose operations share what is free.
    fn release(&self, values: &mut CudaValues<L>) {
        values.0 = None;
    }

    fn values_bytes(values: &CudaValues<L>) -> usize {
        values.len() * size_of::<f32>()
    }
}

impl<L: Launcher> EngineBackend for CudaBackend<L> {
    /// Operations take working memory from the device while they run: there is nothing to share.
    type Workspace = ();

    fn mlp(&self) -> &KernelMlp<f32> {
        self.phi.mlp()
    }

    fn mlp_mut(&mut self) -> &mut KernelMlp<f32> {
        self.phi.mlp_mut()
    }

    fn set_positions(&mut self, positions: &SampledPositions) -> Result<()> {
        self.positions.set(&self.device, &self.phi, positions)
    }

    fn evaluate(
        &mut self,
        network: Span<'_, L>,
        positions: &SampledPositions,
        output: &mut CudaValues<L>,
    ) -> Result<()> {
        let (list, schedule) = self.positions.scheduled(&self.device, &self.phi, positions)?;
        self.phi.evaluate(&self.device, network, list, schedule, output.all_mut())
    }

    fn evaluate_vjp(
        &mut self,
        network: Span<'_, L>,
        positions: &SampledPositions,
        grads: &CudaValues<L>,
        grad_network: SpanMut<'_, L>,
    ) -> Result<()> {
        let (list, schedule) = self.positions.scheduled(&self.device, &self.phi, positions)?;
        self.phi.evaluate_vjp(&self.device, network, list, schedule, grads.all(), grad_network)
    }

    fn blend(
        &self,
        state: &mut CudaValues<L>,
        positions: &SampledPositions,
        phi: &CudaValues<L>,
        ema_alpha: f32,
    ) -> Result<()> {
        let entries = count(positions.len());
        launch!(
            &self.device,
            "refresh_state",
            Grid::over(entries, L::THREADS),
            state.all_mut(),
            phi.all(),
            Argument::indices(self.positions.list(positions)),
            entries,
            ema_alpha
        )
    }

    fn blend_into(&self, state: &CudaValues<L>, phi: &mut CudaValues<L>, ema_alpha: f32) -> Result<()> {
        let len = count(phi.len());
        let grid = Grid::over(len, L::THREADS);
        launch!(&self.device, "refresh_into", grid, state.all(), phi.all_mut(), len, ema_alpha)
    }

    fn gather(
        &self,
        state: &CudaValues<L>,
        positions: &SampledPositions,
        values: &mut CudaValues<L>,
    ) -> Result<()> {
        let entries = count(positions.len());
        launch!(
            &self.device,
            "gather_state",
            Grid::over(entries, L::THREADS),
            state.all(),
            Argument::indices(self.positions.list(positions)),
            values.all_mut(),
            entries
        )
    }

    fn scatter(
        &self,
        values: &CudaValues<L>,
        positions: &SampledPositions,
        state: &mut CudaValues<L>,
        step_status: Option<Span<'_, L>>,
    ) -> Result<()> {
        let entries = count(positions.len());
        launch!(
            &self.device,
            "restore_state",
            Grid::over(entries, L::THREADS),
            step_status,
            values.all(),
            Argument::indices(self.positions.list(positions)),
            state.all_mut(),
            entries
        )
    }

    fn divide(&self, values: &mut CudaValues<L>, divisors: impl Iterator<Item = f64>) -> Result<()> {
        let factors: Vec<f32> = divisors.map(|divisor| (1.0 / divisor) as f32).collect();
        let entries = factors.len();
        let factors = self.device.to_device(&factors)?;
        let factors = Span::new(&factors, 0..entries);
        let grid = Grid::over(count(2 * entries), L::THREADS);
        launch!(&self.device, "multiply_complex", grid, factors, values.all_mut(), count(entries))
    }

    fn prepare(&mut self, kernel: &CudaValues<L>) -> Result<()> {
        self.conv.prepare(&self.device, kernel.all())
    }

    fn forward(
        &mut self,
        kernel: &CudaValues<L>,
        batch: usize,
        input: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
        training: bool,
        _workspace: &mut (),
    ) -> Result<()> {
        self.conv.forward(&self.device, batch, input, kernel.all(), bias, output, training)
    }

    fn backward(
        &mut self,
        kernel: &CudaValues<L>,
        batch: usize,
        grad_output: Span<'_, L>,
        positions: &SampledPositions,
        scale: f32,
        grads: &mut CudaValues<L>,
        grad_input: Option<SpanMut<'_, L>>,
        _workspace: &mut (),
    ) -> Result<()> {
        let Self { device, positions: listed, conv, .. } = self;
        let (kernel, list, grads) = (kernel.all(), listed.list(positions), grads.all_mut());
        conv.backward(device, batch, grad_output, kernel, list, scale, grads, grad_input)
    }

    fn bias_gradient(&self, batch: usize, grad_output: Span<'_, L>, grad_bias: SpanMut<'_, L>) -> Result<()> {
        self.conv.backward_bias(&self.device, batch, grad_output, grad_bias)
    }

    fn saved_bytes(&self) -> usize {
        self.conv.saved_bytes()
    }

    fn scratch_bytes(&self) -> usize {
        self.conv.scratch_bytes()
    }

    fn workspace_bytes(_workspace: &()) -> usize {
        0
    }
}

/// What a layer takes: as on the CPU for what is kept, and the largest working memory of a pass, which a pool then
/// keeps.
fn planned_memory(
    plan: &EnginePlan,
    training_batch: usize,
    evaluation_batch: usize,
    dense_evaluation: bool,
) -> PlannedMemory {
    let config = plan.config();
    let complex = size_of::<Complex<f32>>();
    let mut memory = plan.memory::<f32>(training_batch, evaluation_batch, 1, dense_evaluation);
    let bins = plan.torus.0 * (plan.torus.1 / 2 + 1);
    let spectra = |channels: usize, batch: usize| channels * bins * batch * complex;
    let batch = training_batch.max(evaluation_batch);
    if memory.workspace.spectra > 0 || config.depthwise {
        memory.saved = spectra(config.in_channels, training_batch);
        // Mixed spectra and the columns of the inverse transform.
        memory.workspace.spectra = 3 * spectra(config.in_channels.max(config.out_channels), batch);
    }
    let networks = config.mlp.parameterization.num_networks(&plan.grid);
    let bias = if config.bias { config.out_channels } else { 0 };
    let parameters = plan.num_parameters() - bias;
    let runs = run_gradient_bytes(memory.workspace.values / complex, networks, parameters);
    // Φ or its gradient at the positions, with a list of them.
    let values = 2 * memory.workspace.values + runs;
    memory.workspace = PlannedWorkspace { values, ..memory.workspace };
    memory
}
