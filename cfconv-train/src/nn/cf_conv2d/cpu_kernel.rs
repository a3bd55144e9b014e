//! The continuous Fourier convolution on the processor.

use cfconv_core::engine::{CpuBackend, EnginePlan, PlannedMemory};

use super::CfConv2dOp;
use crate::device::{Cpu, Result, Span, SpanMut};

impl CfConv2dOp for Cpu {
    type CfConvBackend = CpuBackend<f32>;

    fn cf_conv2d_backend(&self, plan: &EnginePlan) -> Result<CpuBackend<f32>> {
        Ok(CpuBackend::try_new(plan)?)
    }

    fn cf_conv2d_memory(
        &self,
        plan: &EnginePlan,
        training_batch: usize,
        evaluation_batch: usize,
        dense_evaluation: bool,
    ) -> PlannedMemory {
        let threads = rayon::current_num_threads();
        plan.memory::<f32>(training_batch, evaluation_batch, threads, dense_evaluation)
    }

    fn operand(span: Span<'_, Self>) -> &[f32] {
        span.as_slice()
    }

    fn operand_mut(span: SpanMut<'_, Self>) -> &mut [f32] {
        span.into_slice()
    }
}
