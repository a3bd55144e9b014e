//! What can go wrong in this crate.

/// Errors of `cfconv-fft`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FftError {
    /// An operand's shape is not the one the operation needs.
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
    /// A size that must be at least one is zero.
    #[error("{op}: {name} must be at least 1, got 0")]
    ZeroSize {
        /// The operation.
        op: &'static str,
        /// The size.
        name: &'static str,
    },
}

/// Results of `cfconv-fft`.
pub type Result<T> = std::result::Result<T, FftError>;
