//! The graphics card of another program: `cfconv-cuda`, which `cfconv` starts in its own place.

use std::process::ExitCode;

use anyhow::{Context, bail};
use cfconv_train::cuda_program::CudaProgram;
use cfconv_train::device::Cpu;

use crate::cli::{DeviceArguments, DeviceChoice};
use crate::work::Work;

/// Runs `work` on the device that is chosen; for a graphics card the other program takes over and `work` is dropped.
///
/// # Errors
/// What the work reports; with `cuda`, what is missing.
pub(crate) fn run(arguments: DeviceArguments, work: impl Work) -> anyhow::Result<ExitCode> {
    arguments.check()?;
    if arguments.device == DeviceChoice::Cpu {
        return work.run_on(Cpu::default());
    }
    let program = CudaProgram::beside_this_one("cfconv-cuda", "cargo build --release --features cuda")
        .context("cannot find the folder of this program")?;
    match (program.try_out(), arguments.device) {
        (Ok(()), _) => program.take_over().context("cannot start the program for graphics cards"),
        (Err(reason), DeviceChoice::Cuda) => bail!("--device cuda: {reason}"),
        (Err(reason), _) => {
            // Without the program this build is one for the CPU, where nothing needs to be said unless it was asked for.
            if program.exists() || arguments.tf32 {
                arguments.tell_fallback(&reason);
            }
            work.run_on(Cpu::default())
        }
    }
}
