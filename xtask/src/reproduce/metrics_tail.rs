//! How far a run is, read from the metrics that it writes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::run_folder::validation;
use crate::number_text::percent;

/// Reads what a run has written to its metrics since the last look.
pub(crate) struct MetricsTail {
    path: PathBuf,
    offset: u64,
    /// A line that is not finished yet.
    open_line: String,
    state: RunState,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunState {
    total_steps: Option<u64>,
    max_steps: Option<u64>,
    step: u64,
    epoch: u64,
    epochs: Option<u64>,
    loss: Option<f64>,
    validation_accuracy: Option<f64>,
}

impl MetricsTail {
    /// Starts at the beginning of the file, which need not exist yet.
    pub(crate) fn new(path: &Path, max_steps: Option<u64>) -> Self {
        let state = RunState { max_steps, ..RunState::default() };
        Self { path: path.to_owned(), offset: 0, open_line: String::new(), state }
    }

    /// Reads the new lines. A file that cannot be read yet changes nothing.
    pub(crate) fn look(&mut self) -> &RunState {
        if let Ok(new) = self.new_text() {
            self.open_line += &new;
        }
        while let Some(end) = self.open_line.find('\n') {
            let line: String = self.open_line.drain(..=end).collect();
            if let Ok(event) = serde_json::from_str(&line) {
                self.state.apply(&event);
            }
        }
        &self.state
    }

    fn new_text(&mut self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        // A resumed run cuts off what it had written after its checkpoint.
        if file.metadata()?.len() < self.offset {
            self.offset = 0;
            self.open_line.clear();
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.offset))?;
        file.read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl RunState {
    fn apply(&mut self, event: &Value) {
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
                self.validation_accuracy = validation(event)["accuracy"].as_f64();
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

    pub(crate) fn describe(&self) -> String {
        let mut text = match (self.total(), self.epochs) {
            (Some(total), Some(epochs)) => {
                format!("epoch {} of {epochs}, step {} of {total}", self.epoch + 1, self.step)
            }
            _ => "preparing images".to_owned(),
        };
        if let Some(loss) = self.loss {
            text += &format!(", loss {loss:.3}");
        }
        if let Some(accuracy) = self.validation_accuracy {
            text += &format!(", validation {}", percent(accuracy));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "{\"event\":\"start\",\"epochs\":2,\"steps_per_epoch\":10}\n";

    fn step(step: u64) -> String {
        format!("{{\"event\":\"step\",\"step\":{step},\"epoch\":{},\"loss\":0.5}}\n", (step - 1) / 10)
    }

    #[test]
    fn only_whole_lines_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut tail = MetricsTail::new(&path, None);
        assert_eq!(tail.look().fraction(), 0.0);
        std::fs::write(&path, format!("{START}{}{}", step(5), &step(6)[..10])).unwrap();
        assert_eq!(tail.look().fraction(), 0.25);
        std::fs::write(&path, format!("{START}{}{}", step(5), step(6))).unwrap();
        assert_eq!(tail.look().fraction(), 0.3);
        assert!(tail.look().describe().starts_with("epoch 1 of 2, step 6 of 20"));
        std::fs::write(&path, format!("{START}{}", step(5))).unwrap();
        assert_eq!(tail.look().fraction(), 0.25, "a resumed run cut off a line");
    }

    #[test]
    fn step_limit_bounds_the_total() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, format!("{START}{}", step(2))).unwrap();
        assert_eq!(MetricsTail::new(&path, Some(4)).look().fraction(), 0.5);
    }
}
