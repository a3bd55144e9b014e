//! The events of a run, one JSON object a line.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use crate::signatures::{MemoryEstimate, Signature};

/// Loss and accuracy over some images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross entropy in nats. JSON cannot represent a value that is not finite, so it is written as null.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// Share of images whose likeliest class is the right one, 0 to 1.
    pub accuracy: f64,
    /// Number of images.
    pub images: usize,
}

fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Numbers of images in each part of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSizes {
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub validation: usize,
    /// Test images.
    pub test: usize,
}

/// How far the kernel state of a CF-Conv layer lags behind Φ, and how much it rings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelHealth {
    /// The layer's name.
    pub layer: String,
    /// ‖K̃ − Φ‖ / ‖Φ‖ over the positions.
    pub shadow_gap: f64,
    /// Share of positions refreshed in the last epoch's steps.
    pub coverage: f64,
    /// The largest number of positions that a step visits; 0 in files of versions that did not write it.
    #[serde(default)]
    pub positions_per_step: usize,
    /// Number of positions of the kernel; 0 in files of versions that did not write it.
    #[serde(default)]
    pub num_positions: usize,
    /// Share of the kernels' energy near Nyquist's frequency, of
    /// [`KernelRinging`](cfconv_core::KernelRinging) as the following two.
    #[serde(default)]
    pub nyquist_energy: f64,
    /// The largest value far from the centre, in units of the largest of all.
    #[serde(default)]
    pub overshoot: f64,
    /// Energy far from the centre and near Nyquist's frequency, in units of white noise's.
    #[serde(default)]
    pub ringing: f64,
}

/// A line of `metrics.jsonl`.
///
/// # Examples
/// ```
/// use cfconv_train::metrics::{Event, StepEvent};
///
/// let event = Event::Step(StepEvent {
///     step: 1, epoch: 0, loss: 0.5, learning_rate: 0.001, grad_norm: 2.0, step_ms: 8.0,
/// });
/// assert_eq!(
///     serde_json::to_string(&event).unwrap(),
///     r#"{"event":"step","step":1,"epoch":0,"loss":0.5,"learning_rate":0.001,"grad_norm":2.0,"step_ms":8.0}"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    Start(StartEvent),
    /// A step is done.
    Step(StepEvent),
    /// An epoch is done.
    Epoch(EpochEvent),
    /// A failure was recognised.
    Signature(Signature),
    /// The run is done.
    End(EndEvent),
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartEvent {
    /// The configuration's name.
    pub model: String,
    /// Number of trained values.
    pub parameters: usize,
    /// The run's seed.
    pub seed: u64,
    /// Epochs planned.
    pub epochs: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Images in each part.
    pub split: SplitSizes,
    /// Where the data came from.
    pub data: String,
    /// Files left out of the data.
    pub skipped: usize,
    /// What the run was estimated to need, in bytes; the number of threads matters.
    #[serde(default)]
    pub memory: MemoryEstimate,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    /// Number of steps done, this one included.
    pub step: usize,
    /// The epoch, from 0.
    pub epoch: usize,
    /// Mean loss of the batch, label smoothing included.
    pub loss: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Euclidean norm of all gradients before clipping.
    pub grad_norm: f64,
    /// Wall time, from asking for the batch to the updated parameters, in milliseconds.
    pub step_ms: f64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochEvent {
    /// The epoch, from 0.
    pub epoch: usize,
    /// Steps done so far.
    pub step: usize,
    /// Mean over the epoch's batches, augmented and with parameters as they were at each step.
    pub train: Score,
    /// On the validation images with the parameters as they are; absent where not evaluated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation: Option<Score>,
    /// The same with averaged parameters; absent without averaging.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_averaged: Option<Score>,
    /// Each CF-Conv layer's kernel state.
    pub kernels: Vec<KernelHealth>,
    /// Wall time of the epoch's steps and evaluation.
    pub seconds: f64,
    /// Wall time since the start of the run, over all its parts.
    pub elapsed_seconds: f64,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndEvent {
    /// Steps done.
    pub step: usize,
    /// Whether all epochs are done.
    pub complete: bool,
    /// The model on the test images, if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test: Option<Score>,
    /// Wall time since the start of the run, over all its parts.
    pub elapsed_seconds: f64,
}

/// What cannot be done with a file of metrics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// It cannot be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is not an event.
    #[error("{path}:{line}: not an event of a run")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The file ends before the step that a checkpoint was made at.
    #[error("{path} has {found} lines, the checkpoint was made after line {expected}")]
    Short {
        /// The file.
        path: PathBuf,
        /// Lines at the checkpoint.
        expected: usize,
        /// Lines now.
        found: usize,
    },
}

/// Times of the part of a run that lies behind a checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Milliseconds of each step.
    pub step_ms: Vec<f64>,
    /// Seconds of each epoch.
    pub epoch_seconds: Vec<f64>,
    /// Seconds since the start of the run, at the last epoch's end.
    pub elapsed_seconds: f64,
    /// Seconds of the steps since then.
    pub open_epoch_seconds: f64,
}

impl History {
    fn add(&mut self, event: &Event) {
        match event {
            Event::Step(step) => {
                self.step_ms.push(step.step_ms);
                self.open_epoch_seconds += step.step_ms / 1e3;
            }
            Event::Epoch(epoch) => {
                self.epoch_seconds.push(epoch.seconds);
                self.elapsed_seconds = epoch.elapsed_seconds;
                self.open_epoch_seconds = 0.0;
            }
            Event::Start(_) | Event::Signature(_) | Event::End(_) => {}
        }
    }
}

/// Appends events to a file, each handed to the operating system at once.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl MetricsWriter {
    /// Begins a file; an old one is replaced.
    ///
    /// # Errors
    /// [`MetricsError::Io`].
    pub fn create(path: &Path) -> Result<Self, MetricsError> {
        let file = File::create(path).map_err(|source| MetricsError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { path: path.to_owned(), file, lines: 0 })
    }

    /// Goes on after the first `lines` lines of a file; what a run wrote after its last checkpoint is cut off.
    ///
    /// # Errors
    /// [`MetricsError::Io`], [`MetricsError::Line`] and [`MetricsError::Short`].
    pub fn resume(path: &Path, lines: usize) -> Result<(Self, History), MetricsError> {
        let io = |action| move |source| MetricsError::Io { action, path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(io("read"))?;
        let mut history = History::default();
        let (mut kept, mut found) = (0, 0);
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')).take(lines) {
            found += 1;
            let event = serde_json::from_str(line).map_err(|source| MetricsError::Line {
                path: path.to_owned(),
                line: found,
                source,
            })?;
            history.add(&event);
            kept += line.len();
        }
        if found < lines {
            return Err(MetricsError::Short { path: path.to_owned(), expected: lines, found });
        }
        let file = File::options().append(true).open(path).map_err(io("write"))?;
        file.set_len(kept as u64).map_err(io("write"))?;
        Ok((Self { path: path.to_owned(), file, lines }, history))
    }

    /// Number of lines written so far.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Appends an event.
    ///
    /// # Errors
    /// [`MetricsError::Io`].
    pub fn write(&mut self, event: &Event) -> Result<(), MetricsError> {
        let line = serde_json::to_string(event).map_err(io::Error::from);
        line.and_then(|line| self.file.write_all((line + "\n").as_bytes()))
            .map_err(|source| MetricsError::Io { action: "write", path: self.path.clone(), source })?;
        self.lines += 1;
        Ok(())
    }

    /// Forces what was written to the disc.
    ///
    /// # Errors
    /// [`MetricsError::Io`].
    pub fn sync(&mut self) -> Result<(), MetricsError> {
        self.file.sync_data().map_err(|source| MetricsError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> Event {
        Event::Step(StepEvent {
            step,
            epoch: 0,
            loss: 0.1 + step as f64,
            learning_rate: 1e-3,
            grad_norm: 1.0 / 3.0,
            step_ms: 250.0,
        })
    }

    #[test]
    fn losses_that_are_no_numbers_come_back() {
        let score = Score { loss: f64::NAN, accuracy: 0.5, images: 4 };
        let text = serde_json::to_string(&score).unwrap();
        assert_eq!(text, r#"{"loss":null,"accuracy":0.5,"images":4}"#);
        let back: Score = serde_json::from_str(&text).unwrap();
        assert!(back.loss.is_nan() && back.accuracy == 0.5);
    }

    #[test]
    fn resuming_cuts_what_came_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut writer = MetricsWriter::create(&path).unwrap();
        for number in 1..=5 {
            writer.write(&step(number)).unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        let (mut writer, history) = MetricsWriter::resume(&path, 3).unwrap();
        assert_eq!(history.step_ms, [250.0; 3]);
        assert_eq!(history.open_epoch_seconds, 0.75);
        for number in 4..=5 {
            writer.write(&step(number)).unwrap();
        }
        assert_eq!(writer.lines(), 5);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        assert!(matches!(MetricsWriter::resume(&path, 6), Err(MetricsError::Short { found: 5, .. })));
        std::fs::write(&path, "{\"event\":\"step\"}\n").unwrap();
        assert!(matches!(MetricsWriter::resume(&path, 1), Err(MetricsError::Line { line: 1, .. })));
    }
}
