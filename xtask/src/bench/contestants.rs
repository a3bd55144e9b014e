//! The two programs to measure: each run is a process of its own that prints one JSON object.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::case::Case;
use super::python::Python;
use crate::command;

/// The PyTorch script, from the top of the repository.
const SCRIPT: &str = "cfconv-bench/peers/pytorch.py";

/// Who runs a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// `cfconv-bench`.
    Ours,
    /// The PyTorch script.
    Peer,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "cfconv",
            Self::Peer => "PyTorch",
        }
    }
}

/// How often a case runs and with how many threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) threads: usize,
    pub(crate) steps: u32,
    pub(crate) warmup: u32,
}

impl Effort {
    /// At most `steps` steps; if that is fewer, also at most one step of warm-up.
    pub(crate) fn at_most(self, steps: Option<u32>) -> Self {
        match steps {
            Some(steps) if steps < self.steps => Self { steps, warmup: self.warmup.min(1), ..self },
            _ => self,
        }
    }

    fn arguments(self) -> String {
        format!("--threads {} --steps {} --warmup {}", self.threads, self.steps, self.warmup)
    }
}

/// The programs; the peer may be missing.
pub(crate) struct Contestants {
    pub(crate) ours: PathBuf,
    pub(crate) python: Option<Python>,
}

impl Contestants {
    /// Measures a case once.
    pub(crate) fn measure(&self, side: Side, case: &Case, effort: Effort, compile: bool) -> Result<Value> {
        let mut command = self.command(side, case)?;
        command.args(effort.arguments().split(' '));
        match side {
            Side::Ours => command.arg("--json"),
            Side::Peer => command.args(compile.then_some("--compile")),
        };
        let report = object(&mut command)?;
        let is_time = |field: &str| report[field].as_f64().is_some_and(|seconds| seconds > 0.0);
        let has_times = is_time("median_s") && report["seconds"].is_array();
        ensure!(has_times, "{command:?} printed no times: {report}");
        Ok(report)
    }

    /// Our side writes operands and results of one step to `dump`, and the peer computes them again.
    pub(crate) fn check(&self, case: &Case, threads: usize, dump: &Path) -> Result<Value> {
        let command = |side, option: &str| -> Result<Command> {
            let mut command = self.command(side, case)?;
            command.args(["--threads", &threads.to_string(), option]).arg(dump);
            Ok(command)
        };
        command::stdout(&mut command(Side::Ours, "--dump")?)?;
        object(&mut command(Side::Peer, "--check")?)
    }

    fn command(&self, side: Side, case: &Case) -> Result<Command> {
        let mut command = match side {
            Side::Ours => Command::new(&self.ours),
            Side::Peer => {
                let mut command = Command::new(&self.python.as_ref().context("there is no peer")?.path);
                command.arg(SCRIPT);
                command
            }
        };
        command.args(case.arguments());
        Ok(command)
    }
}

/// The object that a program prints last; libraries may print before it.
fn object(command: &mut Command) -> Result<Value> {
    let text = command::stdout(command)?;
    let last = text.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(last).with_context(|| format!("{command:?} printed {last:?}"))?;
    ensure!(value.is_object(), "{command:?} printed {last:?} instead of one JSON object");
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_case_gets_fewer_steps_and_never_more() {
        let effort = Effort { threads: 2, steps: 7, warmup: 2 };
        let slow = effort.at_most(Some(2));
        assert_eq!((slow.steps, slow.warmup), (2, 1));
        assert_eq!(effort.at_most(None).steps, 7);
        let quick = Effort { steps: 1, warmup: 0, ..effort }.at_most(Some(2));
        assert_eq!((quick.steps, quick.warmup), (1, 0));
        assert_eq!(slow.arguments(), "--threads 2 --steps 2 --warmup 1");
    }
}
