//! Building and running the program `cfconv`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::experiment::Variant;
use super::run_folder::{BEST, EVALUATION, KERNELS, LOG, METRICS, MISTAKES, Request, RunFolder};
use super::run_state::RunState;
use super::seeds::SizeScore;
use super::{answers, kernels};
use crate::progress::Progress;
use crate::scale::Scale;
use crate::{build, command, files, workspace};

/// Pause between two looks at a run's metrics.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The built program.
pub(crate) struct Program {
    path: PathBuf,
}

impl Program {
    /// Builds the program.
    pub(crate) fn build(scale: Scale) -> Result<Self> {
        Ok(Self { path: build::program("cfconv-train", "cfconv", scale.profile())? })
    }

    /// Trains in `folder` and shows how far it is; if the program fails, the error holds the end of its log.
    pub(crate) fn train(
        &self,
        config: &Path,
        request: &Request,
        folder: &RunFolder,
        resume: bool,
        progress: &mut Progress,
    ) -> Result<()> {
        let (log_path, metrics) = (folder.file(LOG), folder.file(METRICS));
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.with_context(|| format!("opening {}", log_path.display()))?;
        let mut command = self.train_command(config, request, folder.path(), resume);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        let status = loop {
            if let Some(status) = child.try_wait().context("waiting for cfconv")? {
                break status;
            }
            std::thread::sleep(LOOK_INTERVAL);
            let state = RunState::read(&metrics);
            progress.update(state.fraction(), &state.describe());
        };
        let messages = std::fs::read_to_string(&log_path).unwrap_or_default();
        let (log, end) = (log_path.display(), command::last_lines(&messages));
        ensure!(status.success(), "{command:?} failed ({status}); {log} ends:\n{end}");
        Ok(())
    }

    fn train_command(&self, config: &Path, request: &Request, out: &Path, resume: bool) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("train").arg("--config").arg(config).arg("--out").arg(out);
        command.args(["--seed", &request.seed.to_string()]);
        if let Some(data) = &request.data {
            command.arg("--data").arg(data);
        }
        command.args(&request.arguments).args(resume.then_some("--resume")).current_dir(workspace::root());
        command
    }

    /// Tests the network of a finished run on the run's test images at other sizes; keeps what an earlier call wrote
    /// for the same sizes.
    pub(crate) fn evaluate_sizes(&self, request: &Request, folder: &RunFolder, sizes: &[u64]) -> Result<()> {
        let known = folder.size_scores().unwrap_or_default();
        if known.iter().map(|score| &score.size).eq(sizes) {
            return Ok(());
        }
        let mut scores = Vec::new();
        for &size in sizes {
            let mut command = self.test_command(request);
            command.args(["--size", &size.to_string()]);
            let report: Value = serde_json::from_str(&ask(&mut command, folder)?)?;
            let accuracy = report["accuracy"].as_f64().context("cfconv eval printed no accuracy")?;
            scores.push(SizeScore { size, accuracy });
        }
        folder.write_size_scores(&scores)
    }

    /// The test of a network on the run's test images.
    fn test_command(&self, request: &Request) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["eval", "--json", "--split", "test"]);
        if let Some(data) = &request.data {
            command.arg("--data").arg(data);
        }
        command
    }

    /// Writes what the network of a finished run answers on the test images beside it, with pictures of its worst
    /// mistakes, unless they are there.
    pub(crate) fn write_answers(
        &self,
        variant: &Variant,
        request: &Request,
        folder: &RunFolder,
    ) -> Result<()> {
        if answers::read(variant, folder).is_ok() {
            return Ok(());
        }
        let mut command = self.test_command(request);
        command.arg("--mistakes").arg(folder.file(MISTAKES));
        command.args(["--mistakes-count", &answers::MOST_MISTAKES.to_string()]);
        files::replace(&folder.file(EVALUATION), &ask(&mut command, folder)?)
    }

    /// Writes some kernels of the network of a finished run beside it, unless they are there.
    pub(crate) fn write_kernels(&self, folder: &RunFolder) -> Result<()> {
        let path = folder.file(KERNELS);
        // An earlier version may have written others.
        if kernels::read(&path).is_ok() {
            return Ok(());
        }
        let mut command = Command::new(&self.path);
        command.args(["inspect", "--json", "--kernels", &kernels::PAIRS.to_string()]);
        files::replace(&path, &ask(&mut command, folder)?)
    }
}

/// Runs the program on the best network of a run and returns what it prints.
fn ask(command: &mut Command, folder: &RunFolder) -> Result<String> {
    command::stdout(command.arg("--checkpoint").arg(folder.file(BEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_becomes_the_programs_arguments() {
        let request = Request {
            config: String::new(),
            arguments: vec!["--set".to_owned(), "train.epochs=4".to_owned()],
            data: Some(PathBuf::from("images.zip")),
            seed: 3,
        };
        let program = Program { path: PathBuf::from("cfconv") };
        let command = program.train_command(Path::new("c.toml"), &request, Path::new("out"), true);
        let line = command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            line,
            "train --config c.toml --out out --seed 3 --data images.zip --set train.epochs=4 --resume"
        );
    }
}
