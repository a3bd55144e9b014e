//! A program that links the libraries of CUDA, and that another program starts in its own place.
//!
//! Where these libraries are absent, the system's loader refuses such a program before its first line runs. So the
//! program that people start links none of them: it tries whether the other one starts, and says what is missing.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use super::device::{GraphicsCard, NoCard, RunOnCard};

/// The argument that asks a program whether it starts and finds a graphics card.
const PROBE: &str = "--probe-cuda";

/// A program beside this one, which has the graphics card and runs commands in place of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CudaProgram {
    name: &'static str,
    build: &'static str,
}

impl CudaProgram {
    /// The program `name` in this program's folder; the command `build` makes it.
    pub const fn new(name: &'static str, build: &'static str) -> Self {
        Self { name, build }
    }

    fn path(&self) -> io::Result<PathBuf> {
        let file = format!("{}{}", self.name, std::env::consts::EXE_SUFFIX);
        Ok(std::env::current_exe()?.with_file_name(file))
    }

    /// Starts the program at `path` and asks whether it finds a graphics card; the error says what is missing.
    fn probe(&self, path: &Path) -> Result<(), String> {
        let output = Command::new(path).arg(PROBE).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{} does not start: {error}", path.display()))?;
        if output.status.success() {
            return Ok(());
        }
        // The loader, or the program, has said what is missing in one line.
        let messages = String::from_utf8_lossy(&output.stderr);
        let reason = messages.lines().rev().map(str::trim).find(|line| !line.is_empty());
        Err(reason.map_or_else(|| format!("{} ended with {}", self.name, output.status), str::to_owned))
    }
}

impl<C> GraphicsCard<C> for CudaProgram {
    /// The other program takes over with this one's command line, so it finds `tf32` and the command there.
    fn open(&self, _tf32: bool) -> Result<RunOnCard<C>, NoCard> {
        let Self { name, build } = self;
        let no_card = |expected| move |reason| NoCard { reason, expected };
        let path = self
            .path()
            .map_err(|error| no_card(true)(format!("cannot find the folder of this program: {error}")))?;
        if !path.exists() {
            let folder = path.parent().unwrap_or(Path::new("."));
            return Err(no_card(false)(format!(
                "{name} is not in {}; it comes from `{build}` (docs/cuda.md)",
                folder.display()
            )));
        }
        self.probe(&path).map_err(no_card(true))?;
        Ok(Box::new(move |_| {
            let mut command = Command::new(&path);
            command.args(std::env::args_os().skip(1));
            become_program(command).with_context(|| format!("cannot start {}", path.display()))
        }))
    }
}

/// Replaces this process; where the system cannot do that, runs the program and gives its exit code.
#[cfg(unix)]
fn become_program(mut command: Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_program(mut command: Command) -> io::Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What a program that links CUDA answers to a [`CudaProgram`] that asks whether it starts and finds a graphics card:
/// 0, or 1 and the reason on standard error. `None` if nobody asks.
#[cfg(feature = "cuda")]
pub fn answer_probe() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_none_or(|argument| argument != PROBE) {
        return None;
    }
    Some(match crate::device::cuda::CudaDevice::try_new() {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}
