//! Optimiser steps on the CUDA device.

use super::{AdamStep, OptimizerOp, SgdStep};
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> OptimizerOp for L {
    fn adam_step(
        &self,
        step: &AdamStep,
        grads: Span<'_, Self>,
        decay: Span<'_, Self>,
        first_moment: SpanMut<'_, Self>,
        second_moment: SpanMut<'_, Self>,
        params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "adam_step";
        grads.expect_len(OP, "grads", params.len())?;
        decay.expect_len(OP, "decay", params.len())?;
        first_moment.expect_len(OP, "first_moment", params.len())?;
        second_moment.expect_len(OP, "second_moment", params.len())?;
        let (coupled, decoupled) = if step.decoupled {
            (0.0, step.learning_rate * step.weight_decay)
        } else {
            (step.weight_decay, 0.0)
        };
        let len = count(params.len());
        launch!(
            self,
            "adam_step",
            Grid::over(len, L::THREADS),
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
            step.gradient_factor,
            len
        )
    }

    fn sgd_step(
        &self,
        step: &SgdStep,
        grads: Span<'_, Self>,
        decay: Span<'_, Self>,
        velocity: SpanMut<'_, Self>,
        params: SpanMut<'_, Self>,
    ) -> Result<()> {
        grads.expect_len("sgd_step", "grads", params.len())?;
        decay.expect_len("sgd_step", "decay", params.len())?;
        velocity.expect_len("sgd_step", "velocity", params.len())?;
        let len = count(params.len());
        launch!(
            self,
            "sgd_step",
            Grid::over(len, L::THREADS),
            grads,
            decay,
            velocity,
            params,
            step.learning_rate,
            step.momentum,
            step.weight_decay,
            step.gradient_factor,
            len
        )
    }

    fn average_step(&self, weight: f32, params: Span<'_, Self>, average: SpanMut<'_, Self>) -> Result<()> {
        average.expect_len("average_step", "average", params.len())?;
        let len = count(params.len());
        launch!(self, "average_step", Grid::over(len, L::THREADS), params, average, weight, len)
    }
}
