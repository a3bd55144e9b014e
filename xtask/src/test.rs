//! `cargo xtask test`: everything a change must pass, the same here and in CI.
//!
//! Every step runs even when an earlier one fails, so that one run tells all there is to mend. The tests come
//! last: their lines are then the ones next to the summary, which also counts and names what was skipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::build::TEST_BUILD;
use crate::{documents, instruction_sets, workspace};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this step; may be given several times.
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    only: Vec<String>,
}

/// One check.
struct Step {
    name: &'static str,
    action: Action,
}

/// What a step does.
enum Action {
    /// Calls cargo, which must succeed.
    Cargo {
        arguments: &'static [&'static [&'static str]],
        environment: &'static [(&'static str, &'static str)],
    },
    /// Calls a function, which adds what it skips to a list.
    Call(fn(&mut Vec<String>) -> Result<()>),
}

/// The variable that names the file to which tests append a line when they skip; see `tests/skip.rs`.
const SKIPPED: &str = "CFCONV_SKIPPED";

const STEPS: &[Step] = &[
    cargo("format", &[&["fmt", "--all", "--", "--check"]], &[]),
    cargo(
        "documentation",
        &[&["doc", "--locked", "--workspace", "--no-deps"]],
        &[("RUSTDOCFLAGS", "-D warnings")],
    ),
    cargo("lints", &[&["clippy", "--all-targets"], &TEST_BUILD, &["--", "-D", "warnings"]], &[]),
    // As users build it, and the libraries without the programs.
    cargo("default lints", &[&["clippy", "--locked", "--workspace", "--", "-D", "warnings"]], &[]),
    cargo(
        "library lints",
        &[
            &["clippy", "--locked", "--workspace", "--exclude", "xtask", "--exclude", "cfconv-bench"],
            &["--lib", "--no-default-features", "--", "-D", "warnings"],
        ],
        &[],
    ),
    // The part that drives a graphics card; `ci-check` is dfdx's word for "without a CUDA toolkit".
    cargo(
        "card lints",
        &[
            &["clippy", "--locked", "--package", "cfconv-train", "--package", "cfconv-bench", "--bins"],
            &["--features", "cfconv-train/cuda,cfconv-bench/cuda,dfdx/ci-check", "--", "-D", "warnings"],
        ],
        &[],
    ),
    // In a folder of its own: the results of real runs are kept.
    cargo(
        "small run",
        &[&["xtask", "reproduce", "all", "--scale", "smoke", "--out", "target/reproduce-smoke"]],
        &[],
    ),
    // Every row and curve once, at tiny sizes; uses the build of the tests.
    cargo(
        "small benchmark",
        &[&["xtask", "bench", "--smoke", "--no-peer", "--out", "target/bench-smoke"]],
        &[],
    ),
    Step { name: "instruction sets", action: Action::Call(instruction_sets::run) },
    Step { name: "documents", action: Action::Call(documents::run) },
    // House rules are tests of xtask; examples in documentation and the README are tests too. The CUDA device's
    // kernels run on the host.
    cargo("tests", &[&["test", "--no-fail-fast"], &TEST_BUILD], &[]),
];

const fn cargo(
    name: &'static str,
    arguments: &'static [&'static [&'static str]],
    environment: &'static [(&'static str, &'static str)],
) -> Step {
    Step { name, action: Action::Cargo { arguments, environment } }
}

fn step_names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

impl Step {
    /// Does it and adds what it skips to `skipped`, whether it fails or not; tests write to `file` what they skip.
    fn run(&self, file: &PathBuf, skipped: &mut Vec<String>) -> Result<()> {
        let (arguments, environment) = match self.action {
            Action::Call(function) => return function(skipped),
            Action::Cargo { arguments, environment } => (arguments, environment),
        };
        if file.exists() {
            std::fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
        }
        let mut command: Command = workspace::cargo();
        command.args(arguments.concat()).envs(environment.iter().copied()).env(SKIPPED, file);
        let status = command.status().with_context(|| format!("could not start `{}`", self.line()))?;
        let text = std::fs::read_to_string(file).unwrap_or_default();
        skipped.extend(text.lines().map(|line| line.trim_start_matches("skipped: ").to_owned()));
        if !status.success() {
            bail!("cargo {status}");
        }
        Ok(())
    }

    /// The command as one would type it.
    fn line(&self) -> String {
        match self.action {
            Action::Call(_) => format!("cargo xtask test --only '{}'", self.name),
            Action::Cargo { arguments, environment } => {
                let environment = environment.iter().map(|(key, value)| format!("{key}='{value}' "));
                format!("{}cargo {}", environment.collect::<String>(), arguments.concat().join(" "))
            }
        }
    }
}

/// What became of a step.
struct Outcome {
    step: &'static Step,
    result: Result<()>,
    skipped: Vec<String>,
    time: Duration,
}

/// Runs the steps and prints which of them passed.
///
/// # Errors
/// Names the steps that failed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let file = workspace::root().join("target/skipped-tests");
    let mut outcomes = Vec::new();
    for step in
        STEPS.iter().filter(|step| args.only.is_empty() || args.only.iter().any(|name| name == step.name))
    {
        eprintln!("\n── {}: {}", step.name, step.line());
        let start = Instant::now();
        let mut skipped = Vec::new();
        let result = step.run(&file, &mut skipped);
        if let Err(error) = &result {
            eprintln!("error: {error:#}");
        }
        outcomes.push(Outcome { step, result, skipped, time: start.elapsed() });
    }
    eprint!("\n{}", summary(&outcomes));
    let failed: Vec<_> = outcomes.iter().filter(|o| o.result.is_err()).map(|o| o.step.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn summary(outcomes: &[Outcome]) -> String {
    let passed = outcomes.iter().filter(|o| o.result.is_ok()).count();
    let total: Duration = outcomes.iter().map(|o| o.time).sum();
    let mut text = format!(
        "cargo xtask test: {passed} of {} steps passed in {:.0} s\n",
        outcomes.len(),
        total.as_secs_f64()
    );
    for Outcome { step, result, time, .. } in outcomes {
        let word = if result.is_ok() { "passed" } else { "FAILED" };
        text += &format!("  {word}  {:<16} {:>6.1} s  {}\n", step.name, time.as_secs_f64(), step.line());
    }
    let skipped: Vec<_> = outcomes.iter().flat_map(|o| &o.skipped).collect();
    text += &format!("skipped: {}\n", skipped.len());
    for (reason, names) in by_reason(&skipped) {
        text += &format!("  {reason}: {}\n", names.join(", "));
    }
    text
}

/// Groups lines of the form `name: reason`.
fn by_reason<'a>(lines: &[&'a String]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for line in lines {
        let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        groups.entry(reason).or_default().push(name);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_counts_and_names_failures_and_skipped_tests() {
        let outcome = |index: usize, result, skipped: &[&str]| {
            let skipped = skipped.iter().map(|&line| line.to_owned()).collect();
            Outcome { step: &STEPS[index], result, skipped, time: Duration::from_secs(2) }
        };
        let text = summary(&[
            outcome(0, Ok(()), &["a::b: no card", "c: no images"]),
            outcome(1, Err(anyhow::anyhow!("x")), &["d: no card"]),
        ]);
        assert!(text.starts_with("cargo xtask test: 1 of 2 steps passed in 4 s\n"), "{text}");
        assert!(text.contains("passed  format"), "{text}");
        assert!(text.contains("FAILED  documentation"), "{text}");
        assert!(text.contains("RUSTDOCFLAGS='-D warnings' cargo doc"), "{text}");
        assert!(text.ends_with("skipped: 3\n  no card: a::b, d\n  no images: c\n"), "{text}");
    }

    #[test]
    fn every_step_is_named_once() {
        let mut names = step_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
