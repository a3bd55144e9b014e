//! A Python with PyTorch: one that the user names, or a throw-away virtual environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{command, workspace};

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

/// Versions of the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) python: String,
    pub(crate) torch: String,
}

/// The Python that the user names.
pub(crate) fn given(path: &Path) -> Result<Python> {
    // A path with folders starts where the user called the command; programs run in the repository.
    let path = if path.components().count() > 1 { std::path::absolute(path)? } else { path.to_owned() };
    probe(&path)
        .with_context(|| format!("--python {}: Python 3.11 or newer with torch is needed", path.display()))
}

/// The environment of `cargo xtask bench`, if it is there and works.
pub(crate) fn present() -> Option<Python> {
    probe(&environment_program(&environment_folder())).ok()
}

/// The environment of `cargo xtask bench`, which is made if it is not there or does not work.
pub(crate) fn environment() -> Result<Python> {
    if let Some(python) = present() {
        return Ok(python);
    }
    let base = ["python3", "python"]
        .into_iter()
        .find(|name| command::stdout(Command::new(name).args(["-c", "import tomllib, venv"])).is_ok())
        .context("there is no Python 3.11 or newer with `venv` on the path")?;
    let folder = environment_folder();
    eprintln!("making {} and installing {} (several GB, once)", folder.display(), PACKAGES.join(" and "));
    // Half an installation would be in the way.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    command::stdout(Command::new(base).args(["-m", "venv"]).arg(&folder))?;
    let path = environment_program(&folder);
    command::stdout(Command::new(&path).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    probe(&path)
}

fn environment_folder() -> PathBuf {
    workspace::root().join("target/bench/venv")
}

fn environment_program(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

fn probe(path: &Path) -> Result<Python> {
    let versions = command::stdout(Command::new(path).args(["-c", PROBE]))?;
    let versions = serde_json::from_str(versions.trim())
        .with_context(|| format!("{} printed {versions:?} instead of versions", path.display()))?;
    Ok(Python { path: path.to_owned(), versions })
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
