//! What can go wrong in this crate.

/// Errors of `cfconv-mlp`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MlpError {
    /// A size of the kernel grid that must be at least one is zero.
    #[error("kernel grid: {name} must be at least 1, got 0")]
    ZeroSize {
        /// The size.
        name: &'static str,
    },
    /// The kernel has more values than a `u32` position can name.
    #[error("kernel grid: {num_positions} positions, at most {max} can be named by a u32")]
    TooManyPositions {
        /// Number of kernel values.
        num_positions: u128,
        /// The largest number supported.
        max: u64,
    },
    /// An option has a value outside its range.
    #[error("kernel MLP: `{option}` is {got}, expected {expected}")]
    InvalidOption {
        /// The option, as written in a configuration file.
        option: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// Two options contradict each other.
    #[error(
        "kernel MLP: `{option}` = \"{value}\" has no effect with `parameterization` = \"{parameterization}\""
    )]
    UnusedOption {
        /// The option that would be ignored.
        option: &'static str,
        /// Its value.
        value: &'static str,
        /// The parameterisation that has no use for it.
        parameterization: &'static str,
    },
    /// A slice does not have the length the operation needs.
    #[error("{op}: {operand} has length {got}, expected {expected}")]
    LengthMismatch {
        /// The operation.
        op: &'static str,
        /// The slice with the wrong length.
        operand: &'static str,
        /// The length it should have.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// A position lies outside the kernel.
    #[error("{op}: position {position} is outside the kernel of {num_positions} values")]
    PositionOutOfRange {
        /// The operation.
        op: &'static str,
        /// The position.
        position: u32,
        /// Number of kernel values.
        num_positions: usize,
    },
    /// A list of positions is not strictly increasing.
    #[error("{op}: positions must be strictly increasing, but entry {index} is {position} after {previous}")]
    PositionsNotIncreasing {
        /// The operation.
        op: &'static str,
        /// Index of the offending entry in the list.
        index: usize,
        /// The entry before it.
        previous: u32,
        /// The offending entry.
        position: u32,
    },
    /// Not even the narrowest network fits a parameter budget.
    #[error("parameter budget {budget} is too small: hidden width 1 already needs {needed}")]
    BudgetTooSmall {
        /// The budget.
        budget: usize,
        /// Parameters at hidden width 1.
        needed: usize,
    },
}

/// Results of `cfconv-mlp`.
pub type Result<T> = std::result::Result<T, MlpError>;
