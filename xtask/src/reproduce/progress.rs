//! How far the runs are: a bar on a terminal, a line from time to time elsewhere.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::number_text::{duration, percent};
use crate::output;

/// Longest silence without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

/// Parts that a run is divided into on the bar.
const BAR_UNITS: u64 = 1_000;

/// Reads what a run has written to its metrics since the last look.
pub(crate) struct MetricsReader {
    path: PathBuf,
    offset: u64,
    /// A line that is not finished yet.
    open_line: String,
    state: RunState,
}

/// How far one run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunState {
    total_steps: Option<u64>,
    max_steps: Option<u64>,
    step: u64,
    /// Where the run stood when it was first seen: a resumed run does not start at 0.
    first_step: Option<u64>,
    epoch: u64,
    epochs: Option<u64>,
    loss: Option<f64>,
    validation_accuracy: Option<f64>,
}

impl MetricsReader {
    /// Starts at the beginning of the file, which need not exist yet.
    pub(crate) fn new(path: &Path, max_steps: Option<u64>) -> Self {
        let state = RunState { max_steps, ..RunState::default() };
        Self { path: path.to_owned(), offset: 0, open_line: String::new(), state }
    }

    /// Takes in the new lines. A file that cannot be read yet changes nothing.
    pub(crate) fn look(&mut self) -> &RunState {
        if let Ok(mut file) = File::open(&self.path) {
            // A resumed run cuts off what it had written after its checkpoint.
            if file.metadata().is_ok_and(|metadata| metadata.len() < self.offset) {
                self.offset = 0;
                self.open_line.clear();
            }
            let mut bytes = Vec::new();
            if file.seek(SeekFrom::Start(self.offset)).is_ok() && file.read_to_end(&mut bytes).is_ok() {
                self.offset += bytes.len() as u64;
                self.open_line += &String::from_utf8_lossy(&bytes);
            }
            while let Some(end) = self.open_line.find('\n') {
                let line: String = self.open_line.drain(..=end).collect();
                if let Ok(event) = serde_json::from_str(&line) {
                    self.state.take(&event);
                }
            }
            self.state.first_step.get_or_insert(self.state.step);
        }
        &self.state
    }
}

impl RunState {
    fn take(&mut self, event: &Value) {
        match event["event"].as_str() {
            Some("start") => {
                self.epochs = event["epochs"].as_u64();
                self.total_steps = self.epochs.zip(event["steps_per_epoch"].as_u64()).map(|(e, s)| e * s);
            }
            Some("step") => {
                self.step = event["step"].as_u64().unwrap_or(self.step);
                self.epoch = event["epoch"].as_u64().unwrap_or(self.epoch);
                self.loss = event["loss"].as_f64();
            }
            Some("epoch") => {
                self.step = event["step"].as_u64().unwrap_or(self.step);
                let validation = event.get("validation_averaged").or_else(|| event.get("validation"));
                self.validation_accuracy = validation.and_then(|score| score["accuracy"].as_f64());
            }
            _ => {}
        }
    }

    fn total(&self) -> Option<u64> {
        let total = self.total_steps?;
        Some(self.max_steps.map_or(total, |limit| limit.min(total)).max(1))
    }

    /// Share of the run that is done.
    pub(crate) fn fraction(&self) -> f64 {
        self.total().map_or(0.0, |total| (self.step as f64 / total as f64).min(1.0))
    }

    /// Time that the rest of the run takes at the rate so far; `None` until there is one.
    fn remaining(&self, elapsed: Duration) -> Option<Duration> {
        let done = self.step.checked_sub(self.first_step?).filter(|&done| done > 0)?;
        let rest = self.total()?.saturating_sub(self.step);
        Some(elapsed.mul_f64(rest as f64 / done as f64))
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        match (self.total(), self.epochs) {
            (Some(total), Some(epochs)) => {
                parts.push(format!("epoch {} of {epochs}, step {} of {total}", self.epoch + 1, self.step));
            }
            _ => parts.push("preparing images".to_owned()),
        }
        parts.extend(self.loss.map(|loss| format!("loss {loss:.3}")));
        parts.extend(self.validation_accuracy.map(|accuracy| format!("validation {}", percent(accuracy))));
        parts.join(", ")
    }
}

/// Shows the progress of several runs in order.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    runs: usize,
    finished: usize,
    /// Times of finished runs that were not skipped.
    times: Vec<Duration>,
    start: Instant,
    last_line: Instant,
    title: String,
}

impl Progress {
    pub(crate) fn new(runs: usize) -> Self {
        let bar = console_is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %\n  {msg}");
            ProgressBar::new(runs as u64 * BAR_UNITS).with_style(style.expect("the template is valid"))
        });
        let now = Instant::now();
        Self { bar, runs, finished: 0, times: Vec::new(), start: now, last_line: now, title: String::new() }
    }

    /// Prints a line above the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Prints a result, above the bar.
    pub(crate) fn print(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::line(text)),
            None => output::line(text),
        }
    }

    pub(crate) fn begin(&mut self, title: &str) {
        self.title = format!("[{}/{}] {title}", self.finished + 1, self.runs);
        self.start = Instant::now();
        self.last_line = self.start;
        match &self.bar {
            Some(bar) => bar.set_prefix(self.title.clone()),
            None => eprintln!("{}", self.title),
        }
    }

    pub(crate) fn update(&mut self, state: &RunState) {
        let elapsed = self.start.elapsed();
        let mut text = state.describe();
        if let Some(rest) = state.remaining(elapsed) {
            text +=
                &format!(", about {} left", duration((rest + self.later_runs(elapsed + rest)).as_secs_f64()));
        }
        if let Some(bar) = &self.bar {
            let units = (self.finished as f64 + state.fraction()) * BAR_UNITS as f64;
            bar.set_position(units as u64);
            bar.set_message(text);
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("{} {text}", self.title);
        }
    }

    pub(crate) fn finish_run(&mut self, skipped: bool) {
        self.finished += 1;
        if !skipped {
            self.times.push(self.start.elapsed());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.finished as u64 * BAR_UNITS);
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Time of the runs after this one: each takes as long as the mean of the others.
    fn later_runs(&self, this_run: Duration) -> Duration {
        let known = self.times.iter().sum::<Duration>() + this_run;
        let later = self.runs.saturating_sub(self.finished + 1);
        known.mul_f64(later as f64 / (self.times.len() + 1) as f64)
    }
}

fn console_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "{\"event\":\"start\",\"epochs\":2,\"steps_per_epoch\":10}\n";

    fn step(step: u64) -> String {
        format!("{{\"event\":\"step\",\"step\":{step},\"epoch\":{},\"loss\":0.5}}\n", (step - 1) / 10)
    }

    #[test]
    fn reader_takes_in_whole_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut reader = MetricsReader::new(&path, None);
        assert_eq!(reader.look().fraction(), 0.0);
        std::fs::write(&path, format!("{START}{}{}", step(5), &step(6)[..10])).unwrap();
        assert_eq!(reader.look().fraction(), 0.25);
        std::fs::write(&path, format!("{START}{}{}", step(5), step(6))).unwrap();
        assert_eq!(reader.look().fraction(), 0.3);
        assert!(reader.look().describe().starts_with("epoch 1 of 2, step 6 of 20"));
    }

    #[test]
    fn estimate_counts_only_the_steps_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut reader = MetricsReader::new(&path, None);
        std::fs::write(&path, format!("{START}{}", step(10))).unwrap();
        assert_eq!(reader.look().remaining(Duration::from_secs(4)), None, "resumed here: no rate yet");
        std::fs::write(&path, format!("{START}{}{}", step(10), step(14))).unwrap();
        // 4 steps took 4 s; 6 are left.
        assert_eq!(reader.look().remaining(Duration::from_secs(4)), Some(Duration::from_secs(6)));
    }

    #[test]
    fn step_limit_bounds_the_total() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, format!("{START}{}", step(2))).unwrap();
        assert_eq!(MetricsReader::new(&path, Some(4)).look().fraction(), 0.5);
    }

    #[test]
    fn later_runs_take_the_mean_of_the_known_ones() {
        let mut progress = Progress::new(3);
        progress.times.push(Duration::from_secs(10));
        progress.finished = 1;
        assert_eq!(progress.later_runs(Duration::from_secs(30)), Duration::from_secs(20));
    }
}
