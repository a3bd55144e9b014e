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
    /// With the tests of the workspace, from the same build: nothing is compiled for this program alone.
    Dev,
    /// For measurements.
    Release,
}

/// Builds a program and returns where it is; cargo shows how far it is.
///
/// # Errors
/// Cargo cannot be started or fails.
pub(crate) fn program(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    target(package, "--bin", name, profile)
}

/// The same for an example of a package.
///
/// # Errors
/// As for [`program`].
pub(crate) fn example(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    target(package, "--example", name, profile)
}

fn target(package: &str, kind: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    let arguments = match profile {
        // A selection of packages would have features of its own, and be compiled a second time.
        Profile::Dev => vec!["test", "--no-run", "--locked", "--workspace"],
        Profile::Release => vec!["build", "--release", "--locked", "--package", package, kind, name],
    };
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
    let named = message["reason"] == "compiler-artifact"
        && message["target"]["name"] == name
        && message["profile"]["test"] != true;
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
        let tests = message.replace("{\"reason\"", "{\"profile\":{\"test\":true},\"reason\"");
        assert_eq!(executable("cfconv", &tests), None);
        assert_eq!(executable("cfconv", "Compiling"), None);
    }
}
