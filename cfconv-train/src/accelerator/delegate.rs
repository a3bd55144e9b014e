//! The graphics card of another program: `cfconv-cuda`, which `cfconv` starts in its own place.
//!
//! A program that links the libraries of CUDA is refused by the system where they are absent, before it can say
//! anything. So `cfconv` links none of them, tries whether the other program starts, and says what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use cfconv_train::device::Cpu;

use crate::cli::DeviceChoice;
use crate::work::{PROBE, Work};

/// The other program, beside this one.
const PROGRAM: &str = "cfconv-cuda";

/// Runs `work` on the device that is chosen; for a graphics card the other program takes over and `work` is dropped.
///
/// # Errors
/// What the work reports; with `cuda`, what is missing.
pub(crate) fn run(choice: DeviceChoice, work: impl Work) -> anyhow::Result<ExitCode> {
    if choice == DeviceChoice::Cpu {
        return work.run_on(Cpu::default());
    }
    let program = beside_this_one()?;
    match (usable(&program), choice) {
        (Ok(()), _) => take_over(&program),
        (Err(reason), DeviceChoice::Cuda) => bail!("--device cuda: {reason}"),
        (Err(reason), _) => {
            // Without the program this build is one for the CPU, where nothing needs to be said.
            if program.exists() {
                eprintln!("running on the CPU: {reason}");
            }
            work.run_on(Cpu::default())
        }
    }
}

fn beside_this_one() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find the folder of this program")?;
    Ok(this.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)))
}

/// Why the program cannot be used.
fn usable(program: &Path) -> Result<(), String> {
    if !program.exists() {
        let folder = program.parent().unwrap_or(Path::new("."));
        return Err(format!(
            "{PROGRAM} is not in {}; it comes from `cargo build --release --features cuda` (docs/cuda.md)",
            folder.display()
        ));
    }
    let output = Command::new(program)
        .arg(PROBE)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} does not start: {error}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    // The system's loader, or the program, has said what is missing in one line.
    let messages = String::from_utf8_lossy(&output.stderr);
    let reason = messages.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(reason.map_or_else(|| format!("{PROGRAM} ended with {}", output.status), str::to_owned))
}

/// Becomes the other program, with the arguments of this one.
#[cfg(unix)]
fn take_over(program: &Path) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// Runs the other program, with the arguments of this one.
#[cfg(not(unix))]
fn take_over(program: &Path) -> anyhow::Result<ExitCode> {
    let status = Command::new(program).args(std::env::args_os().skip(1)).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
