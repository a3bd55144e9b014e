//! The graphics card of another program: `cfconv-bench-cuda`, which `cfconv-bench` starts in its own place.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cfconv_bench::{RunArgs, layer, net};
use cfconv_train::cuda_program::CudaProgram;
use serde_json::Value;

/// Starts the other program.
///
/// # Errors
/// What is missing.
pub(crate) fn hand_over() -> Result<Option<ExitCode>> {
    let build = "cargo build --release -p cfconv-bench --features cuda";
    let program = CudaProgram::beside_this_one("cfconv-bench-cuda", build)
        .context("cannot find the folder of this program")?;
    if let Err(reason) = program.try_out() {
        bail!("--device cuda: {reason}");
    }
    Ok(Some(program.take_over().context("cannot start the program for graphics cards")?))
}

/// Never called: the other program has taken over.
///
/// # Errors
/// Always.
pub(crate) fn layer(_: &layer::Args, _: &RunArgs) -> Result<Value> {
    bail!("this program has no graphics card")
}

/// As [`layer()`].
///
/// # Errors
/// Always.
pub(crate) fn net(_: &net::Args, _: &RunArgs) -> Result<Value> {
    bail!("this program has no graphics card")
}
