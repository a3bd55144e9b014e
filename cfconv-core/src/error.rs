//! What can go wrong in this crate.

use cfconv_fft::FftError;
use cfconv_mlp::MlpError;

/// Errors of `cfconv-core`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// An operand's shape or length is not the one the operation needs.
    #[error("{op}: {operand} has shape {got:?}, expected {expected:?}")]
    ShapeMismatch {
        /// The operation.
        op: &'static str,
        /// The operand with the wrong shape.
        operand: &'static str,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The shape it has.
        got: Vec<usize>,
    },
    /// A setting has a value outside its range.
    #[error("{setting} = {got} is not allowed: expected {expected}")]
    InvalidSetting {
        /// The setting's name in configuration files.
        setting: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// The value it has.
        got: String,
    },
    /// Two settings exclude each other.
    #[error("{setting} = {value} cannot be combined with {other} = {other_value}: {reason}")]
    ConflictingSettings {
        /// The setting to change.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The setting it conflicts with.
        other: &'static str,
        /// That setting's value.
        other_value: String,
        /// Why the two exclude each other.
        reason: &'static str,
    },
    /// The kernel has more positions than a 32-bit index can name.
    #[error(
        "a kernel of {height}×{half_width} frequencies × {in_channels}×{out_channels} channels has more than 2^32 − 1 positions"
    )]
    TooManyPositions {
        /// Rows of the half spectrum.
        height: usize,
        /// Columns of the half spectrum.
        half_width: usize,
        /// Input channels.
        in_channels: usize,
        /// Output channels.
        out_channels: usize,
    },
    /// A method was called before the one that prepares for it.
    #[error("{op}: call {needed} first")]
    WrongOrder {
        /// The method called.
        op: &'static str,
        /// The method that must come before it.
        needed: &'static str,
    },
    /// The kernel network's values cannot be scaled, since they are all zero or not finite.
    #[error("the initial kernel gives an output variance of {variance}, so no output scale can be chosen")]
    DegenerateKernel {
        /// The variance for white noise.
        variance: f64,
    },
    /// An error of the kernel network.
    #[error(transparent)]
    Mlp(#[from] MlpError),
    /// An error of a transform.
    #[error(transparent)]
    Fft(#[from] FftError),
}

/// Results of `cfconv-core`.
pub type Result<T> = std::result::Result<T, CoreError>;

/// Checks the length of a slice.
pub(crate) fn check_len(op: &'static str, operand: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(CoreError::ShapeMismatch { op, operand, expected: vec![expected], got: vec![got] })
}

/// Checks that a size is not zero.
pub(crate) fn check_size(setting: &'static str, size: usize) -> Result<()> {
    if size > 0 {
        return Ok(());
    }
    Err(CoreError::InvalidSetting { setting, expected: "at least 1", got: size.to_string() })
}
