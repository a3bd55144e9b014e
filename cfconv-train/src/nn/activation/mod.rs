//! Element-wise nonlinear functions.

mod cpu_kernel;
pub(crate) mod cuda_kernel;
pub(crate) mod function;

use serde::{Deserialize, Serialize};

use crate::device::{Memory, Result, Span, SpanMut};

/// A nonlinear function of each value z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(z, 0), with derivative 0 at 0.
    #[default]
    Relu,
    /// `z·σ(√(8/π)·(z + 0.044715·z³))`, the tanh form of GELU: within 5e-4 of z·Φ(z).
    Gelu,
    /// z·σ(z).
    Silu,
    /// tanh z.
    Tanh,
}

impl Activation {
    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
        }
    }
}

/// Activation functions on a device.
pub trait ActivationOp: Memory {
    /// Computes `output = f(input)`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn activation(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes `grad_input = grad_output·f'(input)`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn activation_vjp(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()>;
}
