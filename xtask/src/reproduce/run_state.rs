//! How far a run is, read from the metrics that it writes.

use std::path::Path;

use serde_json::Value;

use super::run_folder::validation;
use crate::number_text::percent;

/// The last events of a run; null if there is none yet.
pub(crate) struct RunState {
    start: Value,
    step: Value,
    epoch: Value,
}

impl RunState {
    /// Reads a file of metrics. A file that is not there yet holds no events.
    pub(crate) fn read(metrics: &Path) -> Self {
        let bytes = std::fs::read(metrics).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        // The run may still be writing the last line.
        let whole_lines = &text[..text.rfind('\n').unwrap_or(0)];
        let last = |event: &str| {
            let tag = format!("{{\"event\":\"{event}\"");
            let line = whole_lines.lines().rev().find(|line| line.starts_with(&tag));
            line.and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null)
        };
        Self { start: last("start"), step: last("step"), epoch: last("epoch") }
    }

    fn step(&self) -> u64 {
        self.step["step"].as_u64().unwrap_or(0)
    }

    fn total_steps(&self) -> Option<u64> {
        Some((self.start["epochs"].as_u64()? * self.start["steps_per_epoch"].as_u64()?).max(1))
    }

    /// Share of the run that is done.
    pub(crate) fn fraction(&self) -> f64 {
        self.total_steps().map_or(0.0, |total| (self.step() as f64 / total as f64).min(1.0))
    }

    pub(crate) fn describe(&self) -> String {
        let Some(total) = self.total_steps() else { return "preparing images".to_owned() };
        let epoch = self.step["epoch"].as_u64().unwrap_or(0) + 1;
        let mut text = format!("epoch {epoch} of {}, step {} of {total}", self.start["epochs"], self.step());
        if let Some(loss) = self.step["loss"].as_f64() {
            text += &format!(", loss {loss:.3}");
        }
        if let Some(accuracy) = validation(&self.epoch)["accuracy"].as_f64() {
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
        let none = RunState::read(&path);
        assert_eq!((none.fraction(), none.describe().as_str()), (0.0, "preparing images"));
        std::fs::write(&path, format!("{START}{}{}", step(5), &step(6)[..10])).unwrap();
        assert_eq!(RunState::read(&path).fraction(), 0.25);
        let epoch = "{\"event\":\"epoch\",\"validation\":{\"accuracy\":0.5}}\n";
        std::fs::write(&path, format!("{START}{}{epoch}{}", step(5), step(6))).unwrap();
        let state = RunState::read(&path);
        assert_eq!(state.fraction(), 0.3);
        assert_eq!(state.describe(), "epoch 1 of 2, step 6 of 20, loss 0.500, validation 50.0 %");
        // A resumed run cuts off what it had written after its checkpoint.
        std::fs::write(&path, format!("{START}{}", step(5))).unwrap();
        assert_eq!(RunState::read(&path).fraction(), 0.25);
    }
}
