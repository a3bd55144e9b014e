//! Tests of a trained network at other image sizes.

use serde::{Deserialize, Serialize};

use super::statistics::MeanStd;

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
pub(crate) fn over_seeds(runs: &[Vec<SizeScore>]) -> Vec<SizeAccuracy> {
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
    fn sizes_that_a_run_lacks_are_left_out() {
        let score = |size, accuracy| SizeScore { size, accuracy };
        let runs = [vec![score(48, 0.5), score(64, 0.8)], vec![score(64, 0.9)]];
        let means = over_seeds(&runs);
        assert_eq!(means.len(), 1);
        assert!((means[0].accuracy - 0.85).abs() < 1e-12 && means[0].accuracy_std.is_some());
        assert!(over_seeds(&[]).is_empty());
    }
}
