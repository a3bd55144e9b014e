//! Figures over seeds.

use serde::{Deserialize, Serialize};

/// The mean of some values and, if there are several, their sample standard deviation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MeanStd {
    pub(crate) mean: f64,
    pub(crate) std: Option<f64>,
}

impl MeanStd {
    /// `None` for no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt());
        Some(Self { mean, std })
    }
}

/// The result of `cfconv eval --size`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SizeScore {
    /// Rows and columns of the images.
    pub(crate) size: u64,
    pub(crate) accuracy: f64,
}

/// Mean over seeds at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SizeAccuracy {
    pub(crate) size: u64,
    pub(crate) accuracy: f64,
    pub(crate) accuracy_std: Option<f64>,
}

/// The means at each size that every run has.
pub(crate) fn sizes(runs: &[Vec<SizeScore>]) -> Vec<SizeAccuracy> {
    let Some(first) = runs.first() else { return vec![] };
    first
        .iter()
        .filter_map(|&SizeScore { size, .. }| {
            let score =
                |run: &Vec<SizeScore>| run.iter().find(|score| score.size == size).map(|s| s.accuracy);
            let mean = MeanStd::of(&runs.iter().map(score).collect::<Option<Vec<_>>>()?)?;
            Some(SizeAccuracy { size, accuracy: mean.mean, accuracy_std: mean.std })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(MeanStd::of(&[3.0]), Some(MeanStd { mean: 3.0, std: None }));
        assert_eq!(MeanStd::of(&[]), None);
    }

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // Deviations −1, 0, 1: squares sum to 2, divided by n − 1 = 2.
        assert_eq!(MeanStd::of(&[1.0, 2.0, 3.0]), Some(MeanStd { mean: 2.0, std: Some(1.0) }));
    }

    #[test]
    fn sizes_that_a_run_lacks_are_left_out() {
        let score = |size, accuracy| SizeScore { size, accuracy };
        let runs = [vec![score(48, 0.5), score(64, 0.8)], vec![score(64, 0.9)]];
        let means = sizes(&runs);
        assert_eq!(means.len(), 1);
        assert!((means[0].accuracy - 0.85).abs() < 1e-12 && means[0].accuracy_std.is_some());
        assert!(sizes(&[]).is_empty());
    }
}
