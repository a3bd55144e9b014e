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
    /// An operand has no pair of axes to transform.
    #[error("{op}: {operand} has {got} axes, expected at least 2 (rows and columns come last)")]
    TooFewAxes {
        /// The operation.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The number of axes it has.
        got: usize,
    },
    /// Scratch was made for a plan of another size.
    #[error("{op}: scratch was made for planes of {got:?}, the plan is for {expected:?}")]
    ScratchMismatch {
        /// The operation.
        op: &'static str,
        /// `[height, width]` of the plan.
        expected: [usize; 2],
        /// `[height, width]` of the plan that made the scratch.
        got: [usize; 2],
    },
    /// Margins to be cut off leave nothing of a plane.
    #[error("{op}: margins of {before} and {after} cut off all {size} {axis}")]
    MarginsTooWide {
        /// The operation.
        op: &'static str,
        /// `"rows"` or `"columns"`.
        axis: &'static str,
        /// Margin before the part that should be left.
        before: usize,
        /// Margin after it.
        after: usize,
        /// Size of the plane along the axis.
        size: usize,
    },
    /// A kernel is larger than the image where only complete overlaps count.
    #[error("{op}: a kernel of {kernel:?} has no complete overlap with an image of {image:?}")]
    KernelTooLarge {
        /// The operation.
        op: &'static str,
        /// `[kernel_height, kernel_width]`.
        kernel: [usize; 2],
        /// `[height, width]` of the image.
        image: [usize; 2],
    },
    /// Channels cannot be divided into the wanted number of groups.
    #[error("{op}: {channels} {name} cannot be divided into {groups} groups")]
    IndivisibleChannels {
        /// The operation.
        op: &'static str,
        /// `"in_channels"` or `"out_channels"`.
        name: &'static str,
        /// Their number.
        channels: usize,
        /// The number of groups.
        groups: usize,
    },
}

/// Results of `cfconv-fft`.
pub type Result<T> = std::result::Result<T, FftError>;

impl FftError {
    pub(crate) fn shape(op: &'static str, operand: &'static str, expected: &[usize], got: &[usize]) -> Self {
        Self::ShapeMismatch { op, operand, expected: expected.to_vec(), got: got.to_vec() }
    }
}

/// Fails unless `got` is `expected`.
pub(crate) fn check_shape(
    op: &'static str,
    operand: &'static str,
    expected: &[usize],
    got: &[usize],
) -> Result<()> {
    if expected == got { Ok(()) } else { Err(FftError::shape(op, operand, expected, got)) }
}

/// Fails if a named size is zero.
pub(crate) fn check_sizes(op: &'static str, sizes: &[(&'static str, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some(&(name, _)) => Err(FftError::ZeroSize { op, name }),
        None => Ok(()),
    }
}
