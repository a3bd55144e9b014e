//! The graphics card of another program: `cfconv-bench-cuda`, which `cfconv-bench` starts in its own place.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cfconv_bench::{RunArgs, layer, net};
use cfconv_train::cuda_program::CudaProgram;
use serde_json::Value;

/// Has the other program measure a layer.
///
/// # Errors
/// What is missing.
pub(crate) fn layer(_: &layer::Args, _: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
    hand_over()
}

/// Has the other program measure a network.
///
/// # Errors
/// What is missing.
pub(crate) fn net(_: &net::Args, _: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
    hand_over()
}

/// Starts the other program with the command line of this one, and ends with it.
fn hand_over() -> Result<ControlFlow<ExitCode, Value>> {
    let build = "cargo build --release -p cfconv-bench --features cuda";
    let program = CudaProgram::beside_this_one("cfconv-bench-cuda", build)
        .context("cannot find the folder of this program")?;
    if let Err(reason) = program.try_out() {
        bail!("--device cuda: {reason}");
    }
    let code = program.take_over().context("cannot start the program for graphics cards")?;
    Ok(ControlFlow::Break(code))
}
