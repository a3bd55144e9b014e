//! Element-wise nonlinear functions.

mod cpu_kernel;
pub(crate) mod cuda_kernel;
pub(crate) mod function;

use serde::{Deserialize, Serialize};

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{Memory, Result, Span};

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

/// Sizes of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationSizes {
    /// The function.
    pub function: Activation,
    /// Values of one image.
    pub features: usize,
}

impl OpSizes for ActivationSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("features", self.features)])
    }

    fn input_len(&self, batch: usize) -> usize {
        self.features * batch
    }
}

/// Activation functions on a device.
///
/// # Shapes
/// Input and output `[F, B]`.
pub trait ActivationOp: Memory {
    /// Computes `output = f(input)`.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn activation(&self, sizes: &ActivationSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("activation", sizes)?;
        self.activation_kernel(sizes.function, io)
    }

    /// Computes `grad_input = grad_output·f'(input)`.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn activation_vjp(&self, sizes: &ActivationSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("activation_vjp", sizes)?;
        let input = io.checked_input();
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.activation_vjp_kernel(sizes.function, input, io)
    }

    /// [`activation`](Self::activation) of checked operands.
    fn activation_kernel(&self, function: Activation, io: Forward<'_, Self>) -> Result<()>;

    /// [`activation_vjp`](Self::activation_vjp) of checked operands: from the gradient of the output to that of the
    /// input.
    fn activation_vjp_kernel(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
