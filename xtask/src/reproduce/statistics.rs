//! Mean and spread over seeds.

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
}
