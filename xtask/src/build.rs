//! Building programs of the workspace.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// How a program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As the tests are.
    Dev,
    /// For measurements.
    Release,
}

/// Builds a program and returns where it is; cargo shows how far it is.
///
/// # Errors
/// Cargo cannot be started or fails.
pub(crate) fn program(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    let mut arguments = vec!["build", "--locked", "--package", package, "--bin", name];
    if profile == Profile::Release {
        arguments.insert(1, "--release");
    }
    eprintln!("building: cargo {}", arguments.join(" "));
    let mut child = workspace::cargo()
        .args(&arguments)
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start cargo")?;
    let mut path = None;
    for line in BufReader::new(child.stdout.take().expect("stdout is piped")).lines() {
        path = executable(name, &line.context("reading from cargo")?).or(path);
    }
    if !child.wait().context("waiting for cargo")?.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    path.with_context(|| format!("cargo names no executable `{name}`"))
}

fn executable(name: &str, message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let named = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
    named.then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_is_read_from_cargos_messages() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"cfconv"},"executable":"/b/cfconv"}"#;
        assert_eq!(executable("cfconv", message), Some(PathBuf::from("/b/cfconv")));
        assert_eq!(executable("cfconv-bench", message), None);
        let library = r#"{"reason":"compiler-artifact","target":{"name":"cfconv"},"executable":null}"#;
        assert_eq!(executable("cfconv", library), None);
        assert_eq!(executable("cfconv", "Compiling"), None);
    }
}
