//! Building and running the program `cfconv`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::kernels;
use super::progress::{MetricsReader, Progress};
use super::run_folder::{Request, RunFolder};
use super::scale::Scale;
use super::sizes::SizeScore;
use crate::build::{self, Profile};
use crate::{atomic, workspace};

/// Pause between two looks at a run's metrics.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Lines of the log that an error shows.
const LOG_TAIL: usize = 20;

/// The built program.
pub(crate) struct Program {
    path: PathBuf,
}

impl Program {
    /// Builds the program: for smoke runs the one that the tests use, else for speed.
    ///
    /// # Errors
    /// Cargo cannot be started or fails.
    pub(crate) fn build(scale: Scale) -> Result<Self> {
        let profile = if scale == Scale::Smoke { Profile::Dev } else { Profile::Release };
        Ok(Self { path: build::program("cfconv-train", "cfconv", profile)? })
    }

    /// Trains in `folder` and shows how far it is.
    ///
    /// # Errors
    /// The program fails: with the end of what it printed.
    pub(crate) fn train(
        &self,
        config: &Path,
        request: &Request,
        folder: &RunFolder,
        resume: bool,
        progress: &mut Progress,
    ) -> Result<()> {
        let log = File::options().create(true).append(true).open(folder.log());
        let log = log.with_context(|| format!("opening {}", folder.log().display()))?;
        let mut command = Command::new(&self.path);
        command.args(train_arguments(config, request, folder.path(), resume)).current_dir(workspace::root());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child =
            command.spawn().with_context(|| format!("could not start {}", self.path.display()))?;

        let mut reader = MetricsReader::new(&folder.metrics(), max_steps(&request.arguments));
        let status = loop {
            if let Some(status) = child.try_wait().context("waiting for cfconv")? {
                break status;
            }
            std::thread::sleep(LOOK_INTERVAL);
            progress.update(reader.look());
        };
        if !status.success() {
            let text = std::fs::read_to_string(folder.log()).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
            bail!("{command:?} failed ({status}); {} ends:\n{tail}", folder.log().display());
        }
        Ok(())
    }
}

/// What is asked of a trained network beside the training's own test.
impl Program {
    /// Tests the network of a finished run on the run's test images at other sizes; what an earlier call has
    /// written for the same sizes is kept.
    ///
    /// # Errors
    /// The program fails.
    pub(crate) fn evaluate_sizes(
        &self,
        request: &Request,
        folder: &RunFolder,
        sizes: &[usize],
    ) -> Result<()> {
        let known: Vec<u64> =
            folder.size_scores().unwrap_or_default().iter().map(|score| score.size).collect();
        if known == sizes.iter().map(|&size| size as u64).collect::<Vec<_>>() {
            return Ok(());
        }
        let mut scores = Vec::new();
        for size in sizes {
            let mut arguments =
                vec!["eval".to_owned(), "--json".to_owned(), "--split".to_owned(), "test".to_owned()];
            arguments.extend(["--size".to_owned(), size.to_string()]);
            if let Some(data) = &request.data {
                arguments.extend(["--data".to_owned(), data.to_string_lossy().into_owned()]);
            }
            let report: Value = serde_json::from_str(&self.ask(&arguments, folder)?)?;
            let accuracy = report["accuracy"].as_f64().context("cfconv eval printed no accuracy")?;
            scores.push(SizeScore { size: *size as u64, accuracy });
        }
        folder.write_size_scores(&scores)
    }

    /// Writes some kernels of the network of a finished run beside it, unless they are there.
    ///
    /// # Errors
    /// The program fails.
    pub(crate) fn write_kernels(&self, folder: &RunFolder) -> Result<()> {
        if folder.kernels().is_file() {
            return Ok(());
        }
        let arguments = ["inspect", "--json", "--kernels", &kernels::PAIRS.to_string()].map(str::to_owned);
        atomic::write(&folder.kernels(), &self.ask(&arguments, folder)?)
    }

    /// Runs the program on the best network of a run and returns what it prints.
    fn ask(&self, arguments: &[String], folder: &RunFolder) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.args(arguments).arg("--checkpoint").arg(folder.best()).current_dir(workspace::root());
        let output = command.output().with_context(|| format!("could not start {command:?}"))?;
        if !output.status.success() {
            bail!("{command:?} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn train_arguments(config: &Path, request: &Request, out: &Path, resume: bool) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut arguments = vec!["train".to_owned(), "--config".to_owned(), text(config)];
    arguments.extend(["--out".to_owned(), text(out), "--seed".to_owned(), request.seed.to_string()]);
    if let Some(data) = &request.data {
        arguments.extend(["--data".to_owned(), text(data)]);
    }
    arguments.extend(request.arguments.iter().cloned());
    arguments.extend(resume.then(|| "--resume".to_owned()));
    arguments
}

fn max_steps(arguments: &[String]) -> Option<u64> {
    let at = arguments.iter().position(|argument| argument == "--max-steps")?;
    arguments.get(at + 1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_becomes_the_programs_arguments() {
        let request = Request {
            config: String::new(),
            arguments: vec!["--max-steps".to_owned(), "4".to_owned()],
            data: Some(PathBuf::from("images.zip")),
            seed: 3,
        };
        let line = train_arguments(Path::new("c.toml"), &request, Path::new("out"), true).join(" ");
        assert_eq!(line, "train --config c.toml --out out --seed 3 --data images.zip --max-steps 4 --resume");
        assert_eq!(max_steps(&request.arguments), Some(4));
        assert_eq!(max_steps(&[]), None);
    }
}
