//! The graphics card of this process: the program `cfconv-cuda`.

use std::process::ExitCode;

use cfconv_train::device::Cpu;
use cfconv_train::device::cuda::CudaDevice;

use crate::cli::DeviceChoice;
use crate::work::Work;

/// Runs `work` on the device that is chosen; `auto` takes the processor where there is no graphics card.
///
/// # Errors
/// What the work reports; with `cuda`, what is missing.
pub(crate) fn run(choice: DeviceChoice, work: impl Work) -> anyhow::Result<ExitCode> {
    match choice {
        DeviceChoice::Cpu => work.run_on(Cpu::default()),
        DeviceChoice::Cuda => work.run_on(CudaDevice::try_new()?),
        DeviceChoice::Auto => match CudaDevice::try_new() {
            Ok(device) => work.run_on(device),
            Err(error) => {
                eprintln!("running on the CPU: {error}");
                work.run_on(Cpu::default())
            }
        },
    }
}
