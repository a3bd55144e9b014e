//! Optimiser steps on the CUDA device.

use super::{AdamStep, OptimizerOp, SgdStep};
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};
use crate::nn::verdict::VERDICT_LEN;

impl<L: Launcher> OptimizerOp for L {
    fn adam_step(
        &self,
        step: &AdamStep,
        verdict: Span<'_, Self>,
        grads: Span<'_, Self>,
        decay: Span<'_, Self>,
        first_moment: SpanMut<'_, Self>,
        second_moment: SpanMut<'_, Self>,
        params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "adam_step";
        verdict.expect_len(OP, "verdict", VERDICT_LEN)?;
        grads.expect_len(OP, "grads", params.len())?;
        decay.expect_len(OP, "decay", params.len())?;
        first_moment.expect_len(OP, "first_moment", params.len())?;
        second_moment.expect_len(OP, "second_moment", params.len())?;
        let (coupled, decoupled) = step.decays();
        let len = count(params.len());
        launch!(
            self,
            "adam_step",
            Grid::over(len, L::THREADS),
            verdict,
            grads,
            decay,
            first_moment,
            second_moment,
            params,
            step.learning_rate / step.correction_1,
            step.beta_1,
            step.beta_2,
            step.epsilon,
            step.correction_2.sqrt().recip(),
            coupled,
            decoupled,
            len
        )
    }

    fn sgd_step(
        &self,
        step: &SgdStep,
        verdict: Span<'_, Self>,
        grads: Span<'_, Self>,
        decay: Span<'_, Self>,
        velocity: SpanMut<'_, Self>,
        params: SpanMut<'_, Self>,
    ) -> Result<()> {
        verdict.expect_len("sgd_step", "verdict", VERDICT_LEN)?;
        grads.expect_len("sgd_step", "grads", params.len())?;
        decay.expect_len("sgd_step", "decay", params.len())?;
        velocity.expect_len("sgd_step", "velocity", params.len())?;
        let len = count(params.len());
        launch!(
            self,
            "sgd_step",
            Grid::over(len, L::THREADS),
            verdict,
            grads,
            decay,
            velocity,
            params,
            step.learning_rate,
            step.momentum,
            step.weight_decay,
            len
        )
    }

    fn average_step(
        &self,
        weight: f32,
        verdict: Span<'_, Self>,
        params: Span<'_, Self>,
        average: SpanMut<'_, Self>,
    ) -> Result<()> {
        verdict.expect_len("average_step", "verdict", VERDICT_LEN)?;
        average.expect_len("average_step", "average", params.len())?;
        let len = count(params.len());
        launch!(self, "average_step", Grid::over(len, L::THREADS), verdict, params, average, weight, len)
    }
}
