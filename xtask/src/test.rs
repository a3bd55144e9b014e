//! `cargo xtask test`: everything a change must pass, the same here and in CI.
//!
//! Every step runs even when an earlier one fails, so that one run tells all there is to mend. The tests come
//! last: their lines are then the ones next to the summary.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this step; may be given several times.
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    only: Vec<String>,
}

/// One check: a command that must succeed.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step { name: "format", arguments: &["fmt", "--all", "--", "--check"], environment: &[] },
    Step {
        name: "documentation",
        arguments: &["doc", "--locked", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    Step {
        name: "lints",
        arguments: &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
        environment: &[],
    },
    // In a folder of its own: the results of real runs are kept.
    Step {
        name: "small run",
        arguments: &["xtask", "reproduce", "all", "--scale", "smoke", "--out", "target/reproduce-smoke"],
        environment: &[],
    },
    // Every row and curve once, at tiny sizes; uses the build of the tests.
    Step {
        name: "small benchmark",
        arguments: &["xtask", "bench", "--smoke", "--no-peer", "--out", "target/bench-smoke"],
        environment: &[],
    },
    // House rules are tests of xtask; examples in documentation and the README are tests too.
    Step {
        name: "tests",
        arguments: &["test", "--locked", "--workspace", "--no-fail-fast"],
        environment: &[],
    },
];

fn step_names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

impl Step {
    fn command(&self) -> Command {
        let mut command = workspace::cargo();
        command.args(self.arguments).envs(self.environment.iter().copied());
        command
    }

    /// The command as one would type it.
    fn line(&self) -> String {
        let mut words: Vec<String> =
            self.environment.iter().map(|(key, value)| format!("{key}='{value}'")).collect();
        words.push("cargo".to_owned());
        words.extend(self.arguments.iter().map(|&word| word.to_owned()));
        words.join(" ")
    }
}

/// What became of a step.
struct Outcome {
    step: &'static Step,
    passed: bool,
    time: Duration,
}

/// Runs the steps and prints which of them passed.
///
/// # Errors
/// Names the steps that failed, or that cargo could not be started.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut outcomes = Vec::new();
    for step in
        STEPS.iter().filter(|step| args.only.is_empty() || args.only.iter().any(|name| name == step.name))
    {
        eprintln!("\n── {}: {}", step.name, step.line());
        let start = Instant::now();
        let status = step.command().status().with_context(|| format!("could not start `{}`", step.line()))?;
        outcomes.push(Outcome { step, passed: status.success(), time: start.elapsed() });
    }
    eprint!("\n{}", summary(&outcomes));
    let failed: Vec<_> = outcomes.iter().filter(|o| !o.passed).map(|o| o.step.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn summary(outcomes: &[Outcome]) -> String {
    let passed = outcomes.iter().filter(|o| o.passed).count();
    let total: Duration = outcomes.iter().map(|o| o.time).sum();
    let mut text = format!(
        "cargo xtask test: {passed} of {} steps passed in {:.0} s\n",
        outcomes.len(),
        total.as_secs_f64()
    );
    for Outcome { step, passed, time } in outcomes {
        let word = if *passed { "passed" } else { "FAILED" };
        text += &format!("  {word}  {:<14} {:>6.1} s  {}\n", step.name, time.as_secs_f64(), step.line());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_counts_and_names_failures() {
        let outcome =
            |index: usize, passed| Outcome { step: &STEPS[index], passed, time: Duration::from_secs(2) };
        let text = summary(&[outcome(0, true), outcome(1, false)]);
        assert!(text.starts_with("cargo xtask test: 1 of 2 steps passed in 4 s\n"), "{text}");
        assert!(text.contains("passed  format"), "{text}");
        assert!(text.contains("FAILED  documentation"), "{text}");
        assert!(text.contains("RUSTDOCFLAGS='-D warnings' cargo doc"), "{text}");
    }

    #[test]
    fn every_step_is_named_once() {
        let mut names = step_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
