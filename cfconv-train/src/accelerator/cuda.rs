//! The graphics card of this process: the program `cfconv-cuda`.

use std::process::ExitCode;

use cfconv_train::device::Cpu;
use cfconv_train::device::cuda::CudaDevice;

use crate::cli::{DeviceArguments, DeviceChoice};
use crate::work::Work;

/// Runs `work` on the device that is chosen; `auto` takes the processor where there is no graphics card.
///
/// # Errors
/// What the work reports; with `cuda`, what is missing.
pub(crate) fn run(arguments: DeviceArguments, work: impl Work) -> anyhow::Result<ExitCode> {
    arguments.check()?;
    match arguments.device {
        DeviceChoice::Cpu => work.run_on(Cpu::default()),
        DeviceChoice::Cuda => work.run_on(open(arguments.tf32)?),
        DeviceChoice::Auto => match open(arguments.tf32) {
            Ok(device) => work.run_on(device),
            Err(error) => {
                arguments.tell_fallback(&error);
                work.run_on(Cpu::default())
            }
        },
    }
}

fn open(tf32: bool) -> cfconv_train::device::Result<CudaDevice> {
    let device = CudaDevice::try_new()?;
    if tf32 { device.with_tf32() } else { Ok(device) }
}
