//! Building programs and tests of the workspace.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// What the tests of the workspace are built with. Whoever wants a program of the same build gives the same words:
/// another choice of packages or features is compiled once more.
pub(crate) const TEST_BUILD: [&str; 4] =
    ["--locked", "--workspace", "--features", "cfconv-train/cuda-emulation"];

/// How a program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// With the tests of the workspace, from the same build: nothing is compiled for this program alone.
    Dev,
    /// For measurements.
    Release,
}

/// A program of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
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

/// Builds the tests of the workspace and returns the programs that hold those of `packages`.
///
/// # Errors
/// As for [`program`].
pub(crate) fn test_programs(packages: &[&str]) -> Result<Vec<TestProgram>> {
    let messages = messages(&[&["test", "--no-run"][..], &TEST_BUILD].concat())?;
    let tests = messages.iter().filter_map(test_program);
    Ok(tests.filter(|test| packages.contains(&test.package.as_str())).collect())
}

fn target(package: &str, kind: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    let messages = match profile {
        Profile::Dev => messages(&[&["test", "--no-run"][..], &TEST_BUILD].concat())?,
        Profile::Release => messages(&["build", "--release", "--locked", "--package", package, kind, name])?,
    };
    messages
        .iter()
        .rev()
        .find_map(|message| executable(name, message))
        .with_context(|| format!("cargo names no executable `{name}`"))
}

/// Runs cargo and returns what it says about everything that it built, or found built.
fn messages(arguments: &[&str]) -> Result<Vec<Value>> {
    eprintln!("building: cargo {}", arguments.join(" "));
    let mut child = workspace::cargo()
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start cargo")?;
    let mut messages = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("stdout is piped")).lines() {
        messages.extend(serde_json::from_str(&line.context("reading from cargo")?));
    }
    if !child.wait().context("waiting for cargo")?.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(messages)
}

fn executable(name: &str, message: &Value) -> Option<PathBuf> {
    let named = message["reason"] == "compiler-artifact"
        && message["target"]["name"] == name
        && message["profile"]["test"] != true;
    named.then(|| message["executable"].as_str().map(PathBuf::from))?
}

fn test_program(message: &Value) -> Option<TestProgram> {
    let tests = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    tests.then_some(TestProgram {
        package: manifest.parent()?.file_name()?.to_str()?.to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn executable_is_read_from_cargos_messages() {
        let mut message = json!({
            "reason": "compiler-artifact", "target": { "name": "cfconv" }, "executable": "/b/cfconv",
        });
        assert_eq!(executable("cfconv", &message), Some(PathBuf::from("/b/cfconv")));
        assert_eq!(executable("cfconv-bench", &message), None);
        message["profile"] = json!({ "test": true });
        assert_eq!(executable("cfconv", &message), None);
        message["profile"] = json!({ "test": false });
        message["executable"] = Value::Null;
        assert_eq!(executable("cfconv", &message), None, "a library");
    }

    #[test]
    fn test_programs_are_those_built_with_tests() {
        let mut message = json!({
            "reason": "compiler-artifact", "manifest_path": "/r/cfconv-fft/Cargo.toml",
            "target": { "name": "contract" }, "profile": { "test": true }, "executable": "/b/contract-1",
        });
        let expected = TestProgram {
            package: "cfconv-fft".to_owned(),
            name: "contract".to_owned(),
            path: "/b/contract-1".into(),
        };
        assert_eq!(test_program(&message), Some(expected));
        message["profile"]["test"] = json!(false);
        assert_eq!(test_program(&message), None);
    }
}
