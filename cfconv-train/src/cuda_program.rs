//! A program that links the libraries of CUDA, which another one starts in its own place.
//!
//! Where these libraries are absent, the system refuses such a program before it can say anything. So the program that
//! people start links none of them, tries whether the other one starts, and says what is missing.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The argument that asks a program whether it starts and finds a graphics card.
pub const PROBE: &str = "--probe-cuda";

/// The other program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaProgram {
    name: &'static str,
    path: PathBuf,
    build: &'static str,
}

impl CudaProgram {
    /// The program `name` in this one's folder; `build` is the command that makes it.
    ///
    /// # Errors
    /// If the system does not tell the folder.
    pub fn beside_this_one(name: &'static str, build: &'static str) -> io::Result<Self> {
        let this = std::env::current_exe()?;
        let path = this.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { name, path, build })
    }

    /// Whether there is one; without it this is a build for the CPU.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Starts it and asks whether it finds a graphics card.
    ///
    /// # Errors
    /// What is missing, in one line.
    pub fn try_out(&self) -> Result<(), String> {
        if !self.exists() {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let (name, build) = (self.name, self.build);
            return Err(format!(
                "{name} is not in {}; it comes from `{build}` (docs/cuda.md)",
                folder.display()
            ));
        }
        let output = Command::new(&self.path)
            .arg(PROBE)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{} does not start: {error}", self.path.display()))?;
        if output.status.success() {
            return Ok(());
        }
        // The system's loader, or the program, has said what is missing in one line.
        let messages = String::from_utf8_lossy(&output.stderr);
        let reason = messages.lines().rev().map(str::trim).find(|line| !line.is_empty());
        Err(reason.map_or_else(|| format!("{} ended with {}", self.name, output.status), str::to_owned))
    }

    /// Becomes the other program, with the arguments of this one; gives its exit code where the system cannot do that.
    ///
    /// # Errors
    /// It does not start.
    pub fn take_over(&self) -> io::Result<ExitCode> {
        let mut command = Command::new(&self.path);
        command.args(std::env::args_os().skip(1));
        let outcome = replace_by(command);
        outcome.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }
}

#[cfg(unix)]
fn replace_by(mut command: Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace_by(mut command: Command) -> io::Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What a program that links CUDA answers to [`PROBE`]: 0, or 1 and the reason on standard error. `None` if it was not
/// asked.
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
