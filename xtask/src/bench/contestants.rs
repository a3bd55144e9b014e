//! The two programs that are measured: each run is a process of its own that prints one JSON object.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::python::Python;
use super::rows::Side;
use super::work::Work;
use crate::workspace;

/// The script, from the top of the repository.
const SCRIPT: &str = "cfconv-bench/peers/pytorch.py";

/// Lines of a failed program's messages that an error shows.
const MESSAGE_LINES: usize = 12;

/// How often and with how many threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) threads: usize,
    pub(crate) steps: u32,
    pub(crate) warmup: u32,
}

impl Effort {
    /// At most so many steps, and then one to warm up.
    pub(crate) fn at_most(self, steps: Option<u32>) -> Self {
        match steps {
            Some(steps) if steps < self.steps => Self { steps, warmup: self.warmup.min(1), ..self },
            _ => self,
        }
    }

    fn arguments(self) -> Vec<String> {
        [("--threads", self.threads.to_string()), ("--steps", self.steps.to_string())]
            .into_iter()
            .chain([("--warmup", self.warmup.to_string())])
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect()
    }
}

/// The programs; the peer may be missing.
pub(crate) struct Contestants {
    pub(crate) ours: PathBuf,
    pub(crate) python: Option<Python>,
}

impl Contestants {
    /// Measures a work once.
    ///
    /// # Errors
    /// The program fails or prints something else than a report.
    pub(crate) fn measure(&self, side: Side, work: &Work, effort: Effort, compile: bool) -> Result<Value> {
        let mut command = self.command(side, work)?;
        command.args(effort.arguments());
        match side {
            Side::Ours => command.arg("--json"),
            Side::Peer => command.args(compile.then_some("--compile")),
        };
        let report = object(&mut command)?;
        let is_time = |field: &str| report[field].as_f64().is_some_and(|seconds| seconds > 0.0);
        if !is_time("median_s") || !report["seconds"].is_array() {
            bail!("{command:?} printed no times: {report}");
        }
        Ok(report)
    }

    /// Lets our side write operands and results and the peer compute them anew.
    ///
    /// # Errors
    /// A program fails.
    pub(crate) fn check(&self, work: &Work, threads: usize, dump: &Path) -> Result<Value> {
        let threads = ["--threads".into(), OsString::from(threads.to_string())];
        output(self.command(Side::Ours, work)?.args(&threads).arg("--dump").arg(dump))?;
        object(self.command(Side::Peer, work)?.args(&threads).arg("--check").arg(dump))
    }

    fn command(&self, side: Side, work: &Work) -> Result<Command> {
        let mut command = match side {
            Side::Ours => Command::new(&self.ours),
            Side::Peer => {
                let python = self.python.as_ref().context("there is no peer")?;
                let mut command = Command::new(&python.path);
                command.arg(SCRIPT);
                command
            }
        };
        command.args(work.arguments()).current_dir(workspace::root()).stdin(Stdio::null());
        Ok(command)
    }
}

fn object(command: &mut Command) -> Result<Value> {
    let text = output(command)?;
    // Libraries may print before the report.
    let last = text.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(last).with_context(|| format!("{command:?} printed {last:?}"))?;
    if !value.is_object() {
        bail!("{command:?} printed {last:?} in place of one JSON object");
    }
    Ok(value)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = messages.lines().collect();
        let tail = lines[lines.len().saturating_sub(MESSAGE_LINES)..].join("\n");
        bail!("{command:?} failed ({}):\n{tail}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_gets_fewer_steps_and_never_more() {
        let effort = Effort { threads: 2, steps: 7, warmup: 2 };
        let slow = effort.at_most(Some(2));
        assert_eq!((slow.steps, slow.warmup), (2, 1));
        assert_eq!(effort.at_most(None).steps, 7);
        let quick = Effort { steps: 1, warmup: 0, ..effort }.at_most(Some(2));
        assert_eq!((quick.steps, quick.warmup), (1, 0));
        assert_eq!(slow.arguments().join(" "), "--threads 2 --steps 2 --warmup 1");
    }
}
