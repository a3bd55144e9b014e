//! Optimiser steps on the CUDA device.

use super::{AdamMoments, AdamStep, OptimizerOp, SgdStep, Update};
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> OptimizerOp for L {
    fn adam_step_kernel(
        &self,
        step: &AdamStep,
        moments: AdamMoments<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()> {
        let Update { step_status, grads, decay, params } = update;
        let (coupled, decoupled) = step.decays();
        let len = count(params.len());
        launch!(
            self,
            "adam_step",
            Grid::over(len, L::THREADS),
            step_status,
            grads,
            decay,
            moments.first,
            moments.second,
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

    fn sgd_step_kernel(
        &self,
        step: &SgdStep,
        velocity: SpanMut<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()> {
        let Update { step_status, grads, decay, params } = update;
        let len = count(params.len());
        launch!(
            self,
            "sgd_step",
            Grid::over(len, L::THREADS),
            step_status,
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

    fn average_step_kernel(
        &self,
        weight: f32,
        step_status: Span<'_, Self>,
        params: Span<'_, Self>,
        average: SpanMut<'_, Self>,
    ) -> Result<()> {
        let len = count(params.len());
        launch!(self, "average_step", Grid::over(len, L::THREADS), step_status, params, average, weight, len)
    }
}
