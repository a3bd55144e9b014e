//! What runs in place of a command that a document shows: the same at small scale, or a check of its options.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace;

/// The folder of the built programs.
pub(crate) const PROGRAMS: &str = "CFCONV_DOCUMENTS_PROGRAMS";

/// Set where commands are incomplete, as in sentences: only their options are checked.
pub(crate) const ONLY_CHECK: &str = "CFCONV_DOCUMENTS_ONLY_CHECK";

/// What becomes of a command.
enum Action {
    /// It runs, with these options set.
    Run(&'static [(&'static str, &'static str)]),
    /// Its options must exist; the reason why it does not run, for readers.
    Check(#[expect(dead_code, reason = "for readers of the table")] &'static str),
}
use Action::{Check, Run};

/// Commands by their first words; the first row that fits counts.
const ACTIONS: &[(&str, Action)] = &[
    ("cargo xtask test", Check("this is one of its steps")),
    ("cargo xtask reproduce all", Check("the step `small run`")),
    ("cargo xtask reproduce", Run(&[("--scale", "smoke"), ("--seeds", "1"), ("--out", "reproduce")])),
    ("cargo xtask bench", Check("the step `small benchmark`; by itself it installs PyTorch")),
    ("cargo xtask cuda-", Check("installs a CUDA toolkit")),
    ("cargo build", Check("the step `tests` builds the same programs")),
    ("cargo test", Check("the step `tests`; needs a card or another architecture")),
    ("cargo bench", Check("the step `tests` runs every case once")),
    ("cargo run", Run(&[("--steps", "1")])),
    ("cfconv-bench", Run(&[("--batch", "2"), ("--steps", "1"), ("--warmup", "1"), ("--device", "cpu")])),
    ("cfconv train", Run(&[("--epochs", "1"), ("--batch-size", "8")])),
    ("cfconv", Run(&[])),
    ("python cfconv-bench/peers/pytorch.py", Check("needs PyTorch")),
];

/// Programs that documents start, by name or path.
pub(crate) const NAMES: [&str; 4] =
    ["cargo", "python", "target/release/cfconv", "target/release/cfconv-bench"];

/// Runs what stands for `name arguments…`; the exit code is that of the program.
///
/// # Errors
/// No row says what to do, an option does not exist, or the program fails.
pub(crate) fn run(name: &str, arguments: &[String]) -> Result<()> {
    // Without it `cargo` would be this stand-in again, which would call itself for ever.
    ensure!(std::env::var_os("CARGO").is_some(), "start this by cargo: CARGO is not set");
    let name = name.rsplit('/').next().expect("a split gives at least one part");
    let line = format!("{name} {}", arguments.join(" "));
    if std::env::var_os(ONLY_CHECK).is_some() {
        return check(name, arguments).with_context(|| format!("`{line}`"));
    }
    let row = ACTIONS.iter().find(|(words, _)| line.starts_with(words));
    let (_, action) = row.with_context(|| {
        format!("`{line}`: no row in xtask/src/documents/stand_in.rs says how this command is tested")
    })?;
    match action {
        Run(options) => execute(name, &with(arguments, options)),
        Check(_) => check(name, arguments).with_context(|| format!("`{line}`")),
    }
}

/// The arguments with options set: in their place if they are there, else at the end.
fn with(arguments: &[String], options: &[(&str, &str)]) -> Vec<String> {
    let mut arguments = arguments.to_vec();
    for (option, value) in options {
        match arguments.iter().position(|argument| argument == option) {
            Some(at) if at + 1 < arguments.len() => arguments[at + 1] = (*value).to_owned(),
            _ => arguments.extend([(*option).to_owned(), (*value).to_owned()]),
        }
    }
    arguments
}

/// The program behind `name arguments…`, and the arguments that are left to it.
fn program<'a>(name: &str, arguments: &'a [String]) -> Result<(PathBuf, &'a [String])> {
    let built = |name: &str| -> Result<PathBuf> {
        Ok(Path::new(&std::env::var_os(PROGRAMS).context("the folder of programs is not set")?).join(name))
    };
    match (name, arguments.first().map(String::as_str)) {
        ("cargo", Some("xtask")) => Ok((built("xtask")?, &arguments[1..])),
        ("cargo", Some("run")) => {
            let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
            check_cargo(&arguments[..end])?;
            Ok((built(&binary(&arguments[..end])?)?, arguments.get(end + 1..).unwrap_or_default()))
        }
        ("cargo", _) => bail!("cargo itself is not run"),
        _ => Ok((built(name)?, arguments)),
    }
}

fn execute(name: &str, arguments: &[String]) -> Result<()> {
    let (path, arguments) = program(name, arguments)?;
    let mut command = Command::new(&path);
    let status = command.args(arguments).status().with_context(|| path.display().to_string())?;
    ensure!(status.success(), "{} {} failed ({status})", path.display(), arguments.join(" "));
    Ok(())
}

/// Checks that every option exists.
fn check(name: &str, arguments: &[String]) -> Result<()> {
    let help = match name {
        "python" => std::fs::read_to_string(&arguments[0]).context(arguments[0].clone())?,
        "cargo" if arguments[0] != "xtask" => return check_cargo(arguments),
        _ => {
            let (path, arguments) = program(name, arguments)?;
            let verb = arguments.first().filter(|verb| !verb.starts_with('-'));
            let mut command = Command::new(&path);
            let output = command.args(verb).arg("--help").output().context(path.display().to_string())?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout)?
        }
    };
    for option in arguments.iter().filter(|argument| argument.starts_with("--")) {
        let is_end = |c: char| !c.is_alphanumeric() && c != '-';
        let known = help.split(option.as_str()).skip(1).any(|rest| rest.starts_with(is_end));
        ensure!(known, "there is no option {option}");
    }
    Ok(())
}

/// Checks the names in a call of cargo against the workspace.
fn check_cargo(arguments: &[String]) -> Result<()> {
    let packages = packages(arguments)?;
    ensure!(!packages.is_empty(), "the workspace has no such package");
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(option) = arguments.next() {
        let kind = match option.as_str() {
            "--bin" => "bin",
            "--test" => "test",
            "--bench" => "bench",
            "--example" => "example",
            "--features" => {
                let features = arguments.next().context("a feature")?;
                let known = |name: &str| packages.iter().any(|package| !package["features"][name].is_null());
                for feature in features.split(',') {
                    ensure!(known(feature), "there is no feature {feature}");
                }
                continue;
            }
            _ => continue,
        };
        let name = arguments.next().context("a name")?;
        let targets = packages.iter().flat_map(targets);
        let found = targets.filter(|target| target["kind"][0] == kind).any(|target| target["name"] == *name);
        ensure!(found, "there is no {kind} {name}");
    }
    Ok(())
}

/// The packages of the workspace that a call of cargo chooses.
fn packages(arguments: &[String]) -> Result<Vec<Value>> {
    let output = workspace::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let mut metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let Value::Array(packages) = metadata["packages"].take() else {
        bail!("cargo metadata lists no packages")
    };
    let chosen: Vec<&str> = arguments
        .windows(2)
        .filter(|pair| ["-p", "--package"].contains(&pair[0].as_str()))
        .map(|pair| pair[1].as_str())
        .collect();
    let is_chosen = |package: &Value| chosen.is_empty() || chosen.iter().any(|name| package["name"] == *name);
    Ok(packages.into_iter().filter(is_chosen).collect())
}

fn targets(package: &Value) -> impl Iterator<Item = &Value> {
    package["targets"].as_array().into_iter().flatten()
}

/// The program that `cargo run` would start: the one named, the default, or the only one.
fn binary(arguments: &[String]) -> Result<String> {
    if let Some(at) = arguments.iter().position(|argument| argument == "--bin") {
        return arguments.get(at + 1).cloned().context("--bin without a name");
    }
    let packages = packages(arguments)?;
    let default = packages.iter().find_map(|package| package["default_run"].as_str());
    let all: Vec<&str> = packages
        .iter()
        .flat_map(targets)
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str())
        .collect();
    let only = if let [name] = all[..] { Some(name) } else { None };
    let name = default.or(only).with_context(|| format!("cargo cannot choose among {}", all.join(", ")))?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_in_their_place_or_at_the_end() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(with(&words("a --scale full b"), &[("--scale", "smoke")]), words("a --scale smoke b"));
        assert_eq!(with(&words("a"), &[("--steps", "1")]), words("a --steps 1"));
    }

    #[test]
    fn calls_of_cargo_name_what_exists() {
        let check = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            check_cargo(&words).map_err(|error| error.to_string())
        };
        assert_eq!(check("build --release --bin cfconv --features cuda"), Ok(()));
        assert_eq!(check("test -p cfconv-train --test nn -- --nocapture"), Ok(()));
        assert_eq!(check("build --bin absent"), Err("there is no bin absent".to_owned()));
        assert_eq!(check("build --features absent"), Err("there is no feature absent".to_owned()));
        assert_eq!(check("test -p absent"), Err("the workspace has no such package".to_owned()));
    }
}
