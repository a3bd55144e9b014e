//! A Python with PyTorch: one that is given, or a throw-away virtual environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::workspace;

/// What the environment needs; numpy only silences a warning of PyTorch.
const PACKAGES: [&str; 2] = ["torch>=2.4,<3", "numpy>=1.26,<3"];

/// Prints the versions, or fails where something that the script needs is missing.
const PROBE: &str = "import json, platform, tomllib, torch; \
    print(json.dumps({'python': platform.python_version(), 'torch': torch.__version__}))";

/// A Python that can run the script.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    pub(crate) path: PathBuf,
    pub(crate) versions: Versions,
}

/// What the peer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) python: String,
    pub(crate) torch: String,
}

/// Takes the given Python.
///
/// # Errors
/// It cannot be run, or lacks PyTorch or `tomllib` (Python 3.11).
pub(crate) fn given(path: &Path) -> Result<Python> {
    // A path with folders is meant from where the command was called; programs run in the repository.
    let path = if path.components().count() > 1 { std::path::absolute(path)? } else { path.to_owned() };
    probe(&path)
        .with_context(|| format!("--python {}: Python 3.11 or newer with torch is needed", path.display()))
}

/// Takes the environment in `folder` if it is there and works.
pub(crate) fn present(folder: &Path) -> Option<Python> {
    probe(&environment_program(folder)).ok()
}

fn environment_program(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// Takes the environment in `folder`, which is made if it is not there or does not work.
///
/// # Errors
/// There is no Python, or the packages cannot be installed.
pub(crate) fn environment(folder: &Path) -> Result<Python> {
    let path = environment_program(folder);
    if let Ok(python) = probe(&path) {
        return Ok(python);
    }
    let base = ["python3", "python"]
        .into_iter()
        .find(|name| run("", Command::new(name).args(["-c", "import tomllib, venv"])).is_ok())
        .context("there is no Python 3.11 or newer with `venv` on the path")?;
    eprintln!("making {} and installing {} (several GB, once)", folder.display(), PACKAGES.join(" and "));
    // Half an installation is in the way of a whole one.
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    run("making a virtual environment", Command::new(base).args(["-m", "venv"]).arg(folder))?;
    let install = format!("pip install {}", PACKAGES.join(" "));
    run(&install, Command::new(&path).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    probe(&path)
}

fn probe(path: &Path) -> Result<Python> {
    let versions = run("importing torch and tomllib", Command::new(path).args(["-c", PROBE]))?;
    let versions = serde_json::from_str(versions.trim())
        .with_context(|| format!("{} printed {versions:?} in place of versions", path.display()))?;
    Ok(Python { path: path.to_owned(), versions })
}

/// Runs a command that does `what` and returns what it prints; an error ends with the last line of its messages.
fn run(what: &str, command: &mut Command) -> Result<String> {
    let output =
        command.current_dir(workspace::root()).stdin(Stdio::null()).output().with_context(|| {
            format!("{what}: could not start {}", command.get_program().to_string_lossy())
        })?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let last = messages.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        bail!("{what} failed ({}): {last}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let error = format!("{:#}", given(Path::new("absent/python")).unwrap_err());
        assert!(error.contains("absent/python") && error.contains("with torch is needed"), "{error}");
    }
}
