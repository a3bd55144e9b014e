//! What a command does once its device is known.

use std::process::ExitCode;

use cfconv_train::device::Device;

/// A command that runs on any device.
pub(crate) trait Work {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever makes it fail.
    fn run_on<D: Device>(self, device: D) -> anyhow::Result<ExitCode>;
}
