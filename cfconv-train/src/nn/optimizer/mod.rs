//! Steps of optimisers and averages of weights: one fused operation over all parameters of a network.

mod cpu_kernel;
mod cuda_kernel;

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

/// Optimiser steps on a device.
///
/// # Shapes
/// `verdict` as in [`VerdictOp`](crate::nn::VerdictOp): nothing changes if a step has failed, and gradients are
/// multiplied by its factor first. All other operands have one value for each parameter. `decay` is what the weight
/// decay is multiplied by: 1 for parameters that decay, 0 for the others.
pub trait OptimizerOp: Memory {
    /// `g ← factor·grad (+ λ·decay·p)`, `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`,
    /// `p ← (1 − ηλ·decay)p − η·(m/(1 − β₁ᵗ))/(√(v/(1 − β₂ᵗ)) + ε)`; of the two decays only one is taken.
    ///
    /// # Errors
    /// If the lengths differ.
    fn adam_step(
        &self,
        step: &AdamStep,
        verdict: Span<'_, Self>,
        grads: Span<'_, Self>,
        decay: Span<'_, Self>,
        first_moment: SpanMut<'_, Self>,
        second_moment: SpanMut<'_, Self>,
        params: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// `g ← factor·grad + λ·decay·p`, `v ← μv + g`, `p ← p − ηv`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn sgd_step(
        &self,
        step: &SgdStep,
        verdict: Span<'_, Self>,
        grads: Span<'_, Self>,
        decay: Span<'_, Self>,
        velocity: SpanMut<'_, Self>,
        params: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// `average ← average + weight·(params − average)`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn average_step(
        &self,
        weight: f32,
        verdict: Span<'_, Self>,
        params: Span<'_, Self>,
        average: SpanMut<'_, Self>,
    ) -> Result<()>;
}
