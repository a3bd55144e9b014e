//! What a checkpoint says about itself beside its tensors.

use serde::{Deserialize, Serialize};

use super::container::TensorFile;
use super::error::{CheckpointError, Result};
use crate::config::TrainConfig;
use crate::data::Normalization;
use crate::metrics::{Score, SplitSizes};
use crate::signatures::Watch;

/// The version of the format that this program writes and reads.
pub const VERSION: u32 = 1;

/// What a file is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The network alone.
    Model,
    /// The whole state of a run, which can go on from it.
    Training,
}

/// Sums over the part of an epoch that is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochTotals {
    /// Sum of the images' losses.
    pub loss: f64,
    /// Images whose likeliest class was right.
    pub correct: u64,
    /// Images seen.
    pub images: u64,
}

impl EpochTotals {
    /// Means over the images.
    pub fn score(&self) -> Score {
        let count = self.images.max(1) as f64;
        Score { loss: self.loss / count, accuracy: self.correct as f64 / count, images: self.images as usize }
    }
}

/// The best validation result so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The epoch, from 0.
    pub epoch: usize,
    /// Its result.
    pub score: Score,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// Steps done.
    pub step: usize,
    /// The epoch of the next step, from 0.
    pub epoch: usize,
    /// The batch of the next step within its epoch.
    pub batch: usize,
    /// Sums over this epoch's steps so far.
    pub totals: EpochTotals,
    /// The last finished epoch's training score.
    pub train: Option<Score>,
    /// The last validation of the weights that evaluation uses.
    pub validation: Option<Score>,
    /// The best validation so far.
    pub best: Option<Best>,
    /// Lines of `metrics.jsonl` so far.
    pub metrics_lines: usize,
    /// Steps undone so far; each has lowered the learning rate.
    #[serde(default)]
    pub undone_steps: u32,
    /// What the run remembers to recognise failures.
    #[serde(default)]
    pub watch: Watch,
}

/// What a checkpoint says about itself.
///
/// Neither times nor the number of threads are part of it: the same training gives the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Version of the format.
    pub version: u32,
    /// What the file is good for.
    pub kind: Kind,
    /// Version of the program that wrote it.
    pub program: String,
    /// The complete configuration; `train.threads` is 0.
    pub config: TrainConfig,
    /// One name for each class.
    pub class_names: Vec<String>,
    /// What images are normalised with.
    pub normalization: Normalization,
    /// Images in each part of the data.
    pub split: SplitSizes,
    /// Number of trained values.
    pub parameters: usize,
    /// Whether the parameters of a model are an average over steps.
    pub averaged: bool,
    /// Steps done.
    pub step: usize,
    /// The model's validation result, if it has one.
    pub validation: Option<Score>,
    /// Where the run stands; in files of kind [`Kind::Training`].
    pub progress: Option<RunState>,
}

impl Metadata {
    /// The metadata as text.
    ///
    /// # Errors
    /// [`serde_json::Error`] if JSON cannot represent a number.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Reads the metadata of `file`.
    ///
    /// # Errors
    /// [`CheckpointError::Foreign`] and [`CheckpointError::Version`].
    pub fn read(file: &TensorFile) -> Result<Self> {
        let foreign = |reason: String| CheckpointError::Foreign { path: file.path().to_owned(), reason };
        let value: serde_json::Value = serde_json::from_str(file.text()?)
            .map_err(|error| foreign(format!("its metadata is no JSON ({error})")))?;
        // The version comes first: other versions have other fields.
        let found = value.get("version").and_then(serde_json::Value::as_u64);
        let found = found.ok_or_else(|| foreign("its metadata has no version".into()))?;
        if found != u64::from(VERSION) {
            return Err(CheckpointError::Version {
                path: file.path().to_owned(),
                found: u32::try_from(found).unwrap_or(u32::MAX),
                supported: VERSION,
            });
        }
        serde_path_to_error::deserialize(value).map_err(|error| {
            foreign(format!("its metadata is wrong at `{}`: {}", error.path(), error.inner()))
        })
    }
}
