//! The continuous Fourier convolution on the processor: the engine of `cfconv-core`.

use cfconv_core::engine::{
    CfConv2dEngine, CfConvWorkspace, Domain, EnginePlan, PlannedMemory, TransferFunction,
};
use cfconv_core::{CfConv2dConfig, CoreError, KernelRinging, RefreshHistory, StepSeed};
use cfconv_fft::Complex;
use cfconv_mlp::ParameterSegment;

use super::{CfConv2d, CfConv2dOp, CfConv2dState, EvaluationWeights};
use crate::device::{Cpu, Result, Span, SpanMut, check_len};
use crate::nn::verdict::{VERDICT_LEN, gradient_factor};

/// The engine in `f32`.
#[derive(Debug)]
pub struct CpuCfConv2d {
    engine: CfConv2dEngine<f32>,
}

impl CfConv2dOp for Cpu {
    type CfConv2d = CpuCfConv2d;
}

impl CfConv2d for CpuCfConv2d {
    type Device = Cpu;
    type Workspace = CfConvWorkspace<f32>;

    fn try_new(_device: &Cpu, config: &CfConv2dConfig) -> Result<Self> {
        Ok(Self { engine: CfConv2dEngine::try_new(config)? })
    }

    fn try_new_mix(_device: &Cpu, config: &CfConv2dConfig, gain: f64) -> Result<Self> {
        Ok(Self { engine: CfConv2dEngine::try_between_spectra(config, gain)? })
    }

    fn planned_memory(
        _device: &Cpu,
        config: &CfConv2dConfig,
        domain: Domain,
        training_batch: usize,
        evaluation_batch: usize,
        dense_evaluation: bool,
    ) -> Result<PlannedMemory> {
        let threads = rayon::current_num_threads();
        let plan = match domain {
            Domain::Images => EnginePlan::new(config),
            Domain::Spectra => EnginePlan::between_spectra(config),
        };
        Ok(plan.memory::<f32>(config, training_batch, evaluation_batch, threads, dense_evaluation)?)
    }

    fn num_parameters(&self) -> usize {
        self.engine.num_parameters()
    }

    fn parameter_segments(&self) -> Vec<ParameterSegment> {
        self.engine.parameter_segments()
    }

    fn initialize(&mut self, seed: StepSeed, params: SpanMut<'_, Cpu>) -> Result<()> {
        Ok(self.engine.initialize(seed, params.into_slice())?)
    }

    fn begin_step(
        &mut self,
        seed: StepSeed,
        params: Span<'_, Cpu>,
        workspace: &mut Self::Workspace,
    ) -> Result<()> {
        Ok(self.engine.begin_step(params.as_slice(), seed, workspace)?)
    }

    fn keep_undo(&mut self, kept: bool) {
        self.engine.keep_undo(kept);
    }

    fn undo_step_if_failed(&mut self, verdict: Span<'_, Cpu>) -> Result<()> {
        verdict.expect_len("CfConv2d::undo_step_if_failed", "verdict", VERDICT_LEN)?;
        if gradient_factor(verdict).is_none() {
            self.engine.undo_step()?;
        }
        Ok(())
    }

    /// The engine forgets a step when it is undone.
    fn forget_failed_steps(&mut self, _steps: usize) {}

    fn begin_evaluation(&mut self, weights: EvaluationWeights, params: Span<'_, Cpu>) -> Result<()> {
        match weights {
            EvaluationWeights::Trained => self.engine.begin_evaluation(params.as_slice())?,
            EvaluationWeights::Other => self.engine.begin_dense_evaluation(params.as_slice())?,
        }
        Ok(())
    }

    fn transfer_function(&self) -> Result<TransferFunction<f32>> {
        Ok(self.engine.transfer_function()?)
    }

    fn begin_transferred_evaluation(&mut self, function: &TransferFunction<f32>) -> Result<()> {
        Ok(self.engine.begin_transferred_evaluation(function)?)
    }

    fn forward(
        &mut self,
        batch: usize,
        params: Span<'_, Cpu>,
        input: Span<'_, Cpu>,
        output: SpanMut<'_, Cpu>,
        workspace: &mut Self::Workspace,
    ) -> Result<()> {
        let (params, input) = (params.as_slice(), input.as_slice());
        Ok(self.engine.forward(params, batch, input, output.into_slice(), workspace)?)
    }

    fn backward(
        &mut self,
        batch: usize,
        params: Span<'_, Cpu>,
        grad_output: Span<'_, Cpu>,
        grad_input: Option<SpanMut<'_, Cpu>>,
        grad_params: SpanMut<'_, Cpu>,
        workspace: &mut Self::Workspace,
    ) -> Result<()> {
        Ok(self.engine.backward(
            params.as_slice(),
            batch,
            grad_output.as_slice(),
            grad_input.map(SpanMut::into_slice),
            grad_params.into_slice(),
            workspace,
        )?)
    }

    fn state(&self) -> Result<CfConv2dState> {
        Ok(CfConv2dState {
            values: bytemuck::cast_slice(self.engine.kernel_state().values()).to_vec(),
            history: self.engine.refresh_history().to_words(),
            output_scale: self.engine.output_scale(),
        })
    }

    fn load_state(&mut self, state: &CfConv2dState) -> Result<()> {
        const OP: &str = "CfConv2d::load_state";
        check_len(OP, "values", 2 * self.num_positions(), state.values.len())?;
        let Some(history) = RefreshHistory::from_words(&state.history) else {
            return Err(CoreError::InvalidSetting {
                setting: "history",
                expected: "the words of RefreshHistory::to_words",
                got: format!("{} words that are not", state.history.len()),
            }
            .into());
        };
        let values: &[Complex<f32>] = bytemuck::cast_slice(&state.values);
        Ok(self.engine.load_state(values, history, state.output_scale)?)
    }

    fn shadow_gap(&self, params: Span<'_, Cpu>, positions: usize, seed: StepSeed) -> Result<f64> {
        Ok(self.engine.sampled_shadow_gap(params.as_slice(), positions, seed)?)
    }

    fn ringing(&self, channel_pairs: usize) -> Result<KernelRinging> {
        Ok(self.engine.ringing(channel_pairs)?)
    }

    fn coverage(&self, steps: usize) -> f64 {
        self.engine.coverage(steps)
    }

    fn positions_per_step(&self) -> usize {
        self.engine.sampler().max_positions()
    }

    fn num_positions(&self) -> usize {
        self.engine.kernel_state().values().len()
    }

    fn state_bytes(&self) -> usize {
        self.engine.state_bytes()
    }

    fn working_bytes(&self) -> usize {
        self.engine.saved_bytes() + self.engine.scratch_bytes()
    }

    fn workspace_bytes(workspace: &Self::Workspace) -> usize {
        workspace.bytes()
    }
}
