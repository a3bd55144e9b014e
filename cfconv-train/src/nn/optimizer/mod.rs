//! Steps of optimisers and averages of weights: one fused operation over all parameters of a network.

mod cpu_kernel;
mod cuda_kernel;

use super::step_status::STEP_STATUS_LEN;
use crate::device::{Memory, Result, Span, SpanMut};

/// The numbers of one step of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate η.
    pub learning_rate: f32,
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
    /// 1 − β₁ᵗ at step t = 1, 2, …
    pub correction_1: f32,
    /// 1 − β₂ᵗ.
    pub correction_2: f32,
    /// Weight decay λ.
    pub weight_decay: f32,
    /// Whether the decay acts on the parameters (AdamW) or is added to the gradient (Adam).
    pub decoupled: bool,
}

impl AdamStep {
    /// The decay that is added to the gradient and the one that acts on the parameters; one of them is 0.
    fn decays(&self) -> (f32, f32) {
        if self.decoupled { (0.0, self.learning_rate * self.weight_decay) } else { (self.weight_decay, 0.0) }
    }
}

/// The numbers of one step of gradient descent with momentum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate η.
    pub learning_rate: f32,
    /// Momentum μ.
    pub momentum: f32,
    /// Weight decay λ.
    pub weight_decay: f32,
}

/// What a step of every optimiser reads and writes. Except for `step_status`, operands have one value for each
/// parameter.
#[derive(Debug)]
pub struct Update<'a, D: Memory> {
    /// As in [`StepStatusOp`](crate::nn::StepStatusOp): nothing changes if a step has failed, and gradients are
    /// multiplied by its factor first.
    pub step_status: Span<'a, D>,
    /// Gradients.
    pub grads: Span<'a, D>,
    /// What the weight decay is multiplied by: 1 for parameters that decay, 0 for the others.
    pub decay: Span<'a, D>,
    /// Parameters.
    pub params: SpanMut<'a, D>,
}

/// The moments that Adam keeps, one value of each for each parameter.
#[derive(Debug)]
pub struct AdamMoments<'a, D: Memory> {
    /// m.
    pub first: SpanMut<'a, D>,
    /// v.
    pub second: SpanMut<'a, D>,
}

impl<D: Memory> Update<'_, D> {
    fn check(&self, op: &'static str) -> Result<()> {
        self.step_status.expect_len(op, "step_status", STEP_STATUS_LEN)?;
        self.grads.expect_len(op, "grads", self.params.len())?;
        self.decay.expect_len(op, "decay", self.params.len())
    }
}

/// Optimiser steps on a device.
pub trait OptimizerOp: Memory {
    /// `g ← factor·grad (+ λ·decay·p)`, `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`,
    /// `p ← (1 − ηλ·decay)p − η·(m/(1 − β₁ᵗ))/(√(v/(1 − β₂ᵗ)) + ε)`; of the two decays only one is taken.
    ///
    /// # Errors
    /// If the lengths differ.
    fn adam_step(
        &self,
        step: &AdamStep,
        moments: AdamMoments<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "adam_step";
        update.check(OP)?;
        moments.first.expect_len(OP, "first_moment", update.params.len())?;
        moments.second.expect_len(OP, "second_moment", update.params.len())?;
        self.adam_step_kernel(step, moments, update)
    }

    /// `g ← factor·grad + λ·decay·p`, `v ← μv + g`, `p ← p − ηv`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn sgd_step(&self, step: &SgdStep, velocity: SpanMut<'_, Self>, update: Update<'_, Self>) -> Result<()> {
        update.check("sgd_step")?;
        velocity.expect_len("sgd_step", "velocity", update.params.len())?;
        self.sgd_step_kernel(step, velocity, update)
    }

    /// `average ← average + weight·(params − average)`, unless `step_status` says that a step has failed.
    ///
    /// # Errors
    /// If the lengths differ.
    fn average_step(
        &self,
        weight: f32,
        step_status: Span<'_, Self>,
        params: Span<'_, Self>,
        average: SpanMut<'_, Self>,
    ) -> Result<()> {
        step_status.expect_len("average_step", "step_status", STEP_STATUS_LEN)?;
        average.expect_len("average_step", "average", params.len())?;
        self.average_step_kernel(weight, step_status, params, average)
    }

    /// [`adam_step`](Self::adam_step) of checked operands.
    fn adam_step_kernel(
        &self,
        step: &AdamStep,
        moments: AdamMoments<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()>;

    /// [`sgd_step`](Self::sgd_step) of checked operands.
    fn sgd_step_kernel(
        &self,
        step: &SgdStep,
        velocity: SpanMut<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()>;

    /// [`average_step`](Self::average_step) of checked operands.
    fn average_step_kernel(
        &self,
        weight: f32,
        step_status: Span<'_, Self>,
        params: Span<'_, Self>,
        average: SpanMut<'_, Self>,
    ) -> Result<()>;
}
