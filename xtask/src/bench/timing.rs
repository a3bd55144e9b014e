//! Times of one case over several rounds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contestants::Side;

/// What several runs of one program gave for one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// The arguments, from which the measurement can be repeated.
    pub(crate) command: String,
    /// Median over the steps of all rounds, in seconds.
    pub(crate) median_s: f64,
    pub(crate) min_s: f64,
    /// Median of the steps of each round.
    pub(crate) round_medians_s: Vec<f64>,
    /// Largest memory of the steps over all rounds, where it was measured.
    pub(crate) scratch_mib: Option<f64>,
    /// What the program printed, round by round; `seconds` are the times of single steps.
    pub(crate) runs: Vec<Value>,
}

impl Timing {
    /// Gathers one or more runs.
    pub(crate) fn gather(command: String, side: Side, runs: Vec<Value>) -> Self {
        let seconds = |run: &Value| run["seconds"].as_array().cloned().unwrap_or_default();
        let steps: Vec<f64> = runs.iter().flat_map(seconds).filter_map(|s| s.as_f64()).collect();
        Self {
            command,
            median_s: median(&steps),
            min_s: steps.iter().copied().fold(f64::INFINITY, f64::min),
            round_medians_s: runs.iter().filter_map(|run| run["median_s"].as_f64()).collect(),
            scratch_mib: runs.iter().filter_map(|run| memory(side, run)).reduce(f64::max),
            runs,
        }
    }

    /// The median of a field over the rounds.
    pub(crate) fn field(&self, name: &str) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().filter_map(|run| run[name].as_f64()).collect();
        (!values.is_empty()).then(|| median(&values))
    }
}

/// Memory beyond operands and results; for a network, all that it takes.
pub(crate) fn memory(side: Side, run: &Value) -> Option<f64> {
    let network = run["peak_mib"].as_f64().filter(|_| side == Side::Ours);
    network.or_else(|| run["peak_scratch_mib"].as_f64())
}

/// The middle value, or the mean of the two middle ones; not a number if there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A timing with one round for each list of seconds.
    pub(crate) fn timing(rounds: &[&[f64]]) -> Timing {
        let run = |seconds: &&[f64]| json!({ "median_s": median(seconds), "seconds": seconds, "peak_scratch_mib": 10.0 * seconds[0] });
        Timing::gather("layer".to_owned(), Side::Ours, rounds.iter().map(run).collect())
    }

    #[test]
    fn medians_are_over_the_steps_of_all_rounds() {
        let timing = timing(&[&[1.0, 9.0, 2.0], &[4.0, 3.0]]);
        assert_eq!((timing.median_s, timing.min_s), (3.0, 1.0));
        assert_eq!(timing.round_medians_s, [2.0, 3.5]);
        assert_eq!(timing.scratch_mib, Some(40.0));
        assert_eq!(timing.field("median_s"), Some(2.75));
        assert_eq!(timing.field("gflops"), None);
    }

    #[test]
    fn networks_count_from_before_they_were_made() {
        assert_eq!(memory(Side::Ours, &json!({ "peak_mib": 5.0 })), Some(5.0));
        assert_eq!(memory(Side::Peer, &json!({ "peak_scratch_mib": 7.0 })), Some(7.0));
        assert_eq!(memory(Side::Ours, &json!({ "peak_scratch_mib": null })), None);
    }
}
