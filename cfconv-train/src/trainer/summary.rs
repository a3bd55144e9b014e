//! The result of a run.

use serde::{Deserialize, Serialize};

use crate::config::{Select, TrainConfig};
use crate::data::Split;
use crate::metrics::SplitSizes;
use crate::signatures::Signature;

/// The result of a run, `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The configuration's name.
    pub model: String,
    /// Number of trained values.
    pub parameters: usize,
    /// Epochs done.
    pub epochs: usize,
    /// Steps done.
    pub steps: usize,
    /// Whether all planned epochs are done.
    pub complete: bool,
    /// The run's seed.
    pub seed: u64,
    /// Which weights the test is about.
    pub select: Select,
    /// The epoch whose weights these are, from 0, if they are the best of the validation.
    pub best_epoch: Option<usize>,
    /// Share of right answers over the last epoch's training batches, augmented, as they were learned.
    pub train_accuracy: Option<f64>,
    /// Share of right answers on the validation images.
    pub validation_accuracy: Option<f64>,
    /// Share of right answers on the test images.
    pub test_accuracy: Option<f64>,
    /// Mean cross entropy on the test images, in nats.
    pub test_loss: Option<f64>,
    /// Number of test images.
    pub test_images: usize,
    /// The part of the data that the test is about: `test`, or `validation` where there is no test part; of `all`
    /// nothing is reported.
    pub test_split: Split,
    /// Median wall time of a step in milliseconds, of the steps in `metrics.jsonl`.
    pub step_ms: f64,
    /// Median wall time of an epoch with its evaluation, in seconds.
    pub epoch_seconds: Option<f64>,
    /// Wall time of the run, over all its parts, without the reading of the data.
    pub total_seconds: f64,
    /// Peak resident memory of the process in MiB, where the system tells.
    pub peak_mib: Option<f64>,
    /// Images in each part.
    pub split: SplitSizes,
    /// Where the data came from.
    pub data: String,
    /// Files left out of the data.
    pub skipped: usize,
    /// Threads used.
    pub threads: usize,
    /// Failures that were recognised, in order.
    #[serde(default)]
    pub signatures: Vec<Signature>,
    /// The complete configuration.
    pub config: TrainConfig,
}

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(0.5 * (sorted[middle - 1] + sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_even_and_odd_counts() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
