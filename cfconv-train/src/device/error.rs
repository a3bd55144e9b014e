//! What can go wrong on a device.

/// Errors of devices and of the operations that run on them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The device has no memory left for a buffer.
    #[error("cannot allocate {bytes} bytes on {device}: {reason}")]
    Allocation {
        /// The device.
        device: &'static str,
        /// The size of the buffer.
        bytes: usize,
        /// What the device said.
        reason: String,
    },
    /// An operand's length is not the one the operation needs.
    #[error("{op}: {operand} has length {got}, expected {expected}")]
    LengthMismatch {
        /// The operation.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The length it should have.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// A backward pass reads the input of the forward pass, and got none.
    #[error("{op}: the backward pass reads the input, which is missing")]
    MissingInput {
        /// The operation.
        op: &'static str,
    },
    /// A label names a class that the network does not have.
    #[error("{op}: label {got} is not below the number of classes, {classes}")]
    LabelOutOfRange {
        /// The operation.
        op: &'static str,
        /// The number of classes.
        classes: usize,
        /// The label.
        got: u32,
    },
    /// A size is outside the range that the operation supports.
    #[error("{op}: {name} = {got} is not supported, expected {expected}")]
    UnsupportedSize {
        /// The operation.
        op: &'static str,
        /// The size.
        name: &'static str,
        /// What is supported.
        expected: &'static str,
        /// The value.
        got: usize,
    },
    /// A kernel could not be run.
    #[error("cannot run the kernel `{kernel}` on {device}: {reason}")]
    Kernel {
        /// The device.
        device: &'static str,
        /// The kernel.
        kernel: &'static str,
        /// What the device said.
        reason: String,
    },
    /// A transfer between the host and a device failed.
    #[error("{op} failed on {device}: {reason}")]
    Transfer {
        /// The device.
        device: &'static str,
        /// The operation.
        op: &'static str,
        /// What the device said.
        reason: String,
    },
    /// There is no such device, or something that it needs is missing.
    #[error("cannot open {device}: {reason}")]
    Unavailable {
        /// The device.
        device: &'static str,
        /// What is missing.
        reason: String,
    },
    /// An error of the continuous Fourier convolution.
    #[error(transparent)]
    Core(#[from] cfconv_core::CoreError),
    /// An error of a transform.
    #[error(transparent)]
    Fft(#[from] cfconv_fft::FftError),
}

/// Results of devices.
pub type Result<T> = std::result::Result<T, DeviceError>;

/// Checks an operand's length.
pub(crate) fn check_len(op: &'static str, operand: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(DeviceError::LengthMismatch { op, operand, expected, got }) }
}
