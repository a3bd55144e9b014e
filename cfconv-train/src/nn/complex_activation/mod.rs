//! Nonlinear functions of complex values, for networks that stay in the frequency domain.

mod cpu_kernel;
mod cuda_kernel;
mod function;

use serde::{Deserialize, Serialize};

use super::{Backward, Forward, OpSizes, SpectrumSizes};
use crate::device::{Memory, Result};

/// A nonlinear function of each complex value z of a half spectrum.
///
/// |z| is √(re² + im² + 10⁻¹²) throughout: every function is then continuous, and every derivative finite, at z = 0,
/// where all values are 0.
///
/// # Source
/// Formulas and gradients: docs/derivations/complex-activations.md. modReLU: Arjovsky, Shah and Bengio, "Unitary
/// evolution recurrent neural networks", 2016, eq. 8. CReLU: Trabelsi et al., "Deep complex networks", 2018, section
/// 3.4. zReLU: Guberman, "On complex valued convolutional neural networks", 2016, section 4.2.1. Cardioid: Virtue, Yu
/// and Lustig, "Better than real: complex-valued neural nets for MRI fingerprinting", 2017, eq. 3. Phase gate: the
/// cardioid with learned direction, sharpness and threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComplexActivation {
    /// `max(0, 1 + b/|z|)·z` with a learned b for each channel: shrinks or keeps, leaves the phase alone.
    #[default]
    Modrelu,
    /// `max(0, re) + i·max(0, im)`, with derivative 0 at 0.
    Crelu,
    /// z where neither part is negative, else 0.
    Zrelu,
    /// `(1 + re/|z|)/2·z`: passes the positive real axis, stops the negative.
    Cardioid,
    /// `σ(a·Re(exp(−iθ)·z)/|z| + b)·z` with learned θ, a and b for each channel.
    PhaseGate,
}

impl ComplexActivation {
    /// Every function.
    pub const ALL: [Self; 5] = [Self::Modrelu, Self::Crelu, Self::Zrelu, Self::Cardioid, Self::PhaseGate];

    /// The names of what a channel learns, in the order in which they lie in `params`, `[parameters, C]`.
    ///
    /// # Examples
    /// ```
    /// use cfconv_train::nn::ComplexActivation;
    ///
    /// assert_eq!(ComplexActivation::Modrelu.parameters(), ["bias"]);
    /// assert_eq!(ComplexActivation::PhaseGate.parameters(), ["angle", "slope", "bias"]);
    /// assert!(ComplexActivation::Crelu.parameters().is_empty());
    /// ```
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Modrelu => &["bias"],
            Self::Crelu | Self::Zrelu | Self::Cardioid => &[],
            Self::PhaseGate => &["angle", "slope", "bias"],
        }
    }
}

/// Sizes of a complex activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComplexActivationSizes {
    /// The values.
    pub spectrum: SpectrumSizes,
    /// The function.
    pub function: ComplexActivation,
}

impl OpSizes for ComplexActivationSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        self.spectrum.validate(op)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.spectrum.len(batch)
    }

    fn num_parameters(&self) -> usize {
        self.spectrum.channels * self.function.parameters().len()
    }
}

/// Complex activations on a device.
///
/// # Shapes
/// Values `[C, H, Wr, 2, B]`, `params` `[P, C]` for the P parameters of
/// [`ComplexActivation::parameters`].
pub trait ComplexActivationOp: Memory {
    /// Computes `output = f(input)`.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn complex_activation(&self, sizes: &ComplexActivationSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("complex_activation", sizes)?;
        self.complex_activation_kernel(sizes, io)
    }

    /// Computes the gradient of the input, if it is wanted, and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn complex_activation_vjp(&self, sizes: &ComplexActivationSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("complex_activation_vjp", sizes)?;
        self.complex_activation_vjp_kernel(sizes, io)
    }

    /// [`complex_activation`](Self::complex_activation) of checked operands.
    fn complex_activation_kernel(&self, sizes: &ComplexActivationSizes, io: Forward<'_, Self>) -> Result<()>;

    /// [`complex_activation_vjp`](Self::complex_activation_vjp) of checked operands.
    fn complex_activation_vjp_kernel(
        &self,
        sizes: &ComplexActivationSizes,
        io: Backward<'_, Self>,
    ) -> Result<()>;
}
