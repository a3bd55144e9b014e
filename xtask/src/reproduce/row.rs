//! Results of one network of an experiment, over its seeds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::experiment::{PARAMETERS, Variant};
use super::run_folder::{EpochPoint, Signature, Summary};
use super::seeds::{self, MeanStd, SizeAccuracy, SizeScore};

/// Results of one network; figures are means over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) model: String,
    pub(crate) label: String,
    /// The line of a figure that it belongs to.
    pub(crate) group: String,
    /// Its place on each axis of the experiment; null if that is not a number.
    pub(crate) coordinates: BTreeMap<String, Option<f64>>,
    pub(crate) parameters: u64,
    /// Share of the test images that are classified correctly.
    pub(crate) accuracy: f64,
    pub(crate) accuracy_std: Option<f64>,
    /// The paper's value.
    pub(crate) paper_accuracy: Option<f64>,
    pub(crate) validation_accuracy: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    pub(crate) loss: Option<f64>,
    pub(crate) test_images: Option<u64>,
    pub(crate) step_ms: f64,
    pub(crate) peak_mib: Option<f64>,
    /// Shadow gap after the last epoch, mean over layers and seeds.
    pub(crate) shadow_gap: Option<f64>,
    /// Share of positions refreshed in the last epoch, mean over layers and seeds.
    pub(crate) coverage: Option<f64>,
    /// Positions of the largest kernel.
    pub(crate) kernel_positions: Option<f64>,
    /// Accuracy on the test images at other sizes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sizes: Vec<SizeAccuracy>,
    pub(crate) epochs: u64,
    /// Training time of one seed.
    pub(crate) seconds: f64,
    pub(crate) runs: Vec<SeedRun>,
}

/// The groups of rows, each once, in the order of the rows.
pub(crate) fn groups(rows: &[Row]) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for row in rows {
        if !groups.contains(&row.group.as_str()) {
            groups.push(&row.group);
        }
    }
    groups
}

/// One run: a network trained from one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedRun {
    pub(crate) seed: u64,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) curve: Vec<EpochPoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sizes: Vec<SizeScore>,
}

impl SeedRun {
    /// A measure after the last epoch.
    pub(crate) fn last(&self, measure: fn(&EpochPoint) -> Option<f64>) -> Option<f64> {
        self.curve.last().and_then(measure)
    }
}

impl Row {
    /// Its place on an axis of the experiment, or among the numbers of parameters; none if that is not a number.
    pub(crate) fn place(&self, abscissa: &str) -> Option<f64> {
        match abscissa {
            PARAMETERS => Some(self.parameters as f64),
            _ => self.coordinates.get(abscissa).copied().flatten(),
        }
    }

    /// The failure signatures of its runs, each with the run's seed.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = (u64, &Signature)> {
        self.runs.iter().flat_map(|run| run.summary.signatures.iter().map(|signature| (run.seed, signature)))
    }

    /// Gathers the runs of one network, one for each seed. Fails if there is none or one was not tested.
    pub(crate) fn gather(variant: &Variant, runs: Vec<SeedRun>) -> Result<Self> {
        let label = &variant.label;
        let first = &runs.first().with_context(|| format!("{label}: no run is finished"))?.summary;
        let tested = runs.iter().all(|run| run.summary.accuracy.is_some());
        ensure!(tested, "{label}: a run has no test accuracy; are there no test images?");
        let over_seeds = |figure: fn(&SeedRun) -> Option<f64>| {
            MeanStd::of(&runs.iter().filter_map(figure).collect::<Vec<_>>())
        };
        let mean = |figure| over_seeds(figure).map(|value| value.mean);
        let accuracy = over_seeds(|run| run.summary.accuracy).expect("there is at least one run");
        let count = |count: Option<u64>| count.with_context(|| format!("{label}: its summary lacks a count"));
        Ok(Self {
            model: variant.name.clone(),
            label: label.clone(),
            group: variant.group.clone(),
            coordinates: variant.coordinates.iter().cloned().collect(),
            parameters: count(first.parameters)?,
            accuracy: accuracy.mean,
            accuracy_std: accuracy.std,
            paper_accuracy: variant.network.paper,
            validation_accuracy: mean(|run| run.summary.validation_accuracy),
            train_accuracy: mean(|run| run.summary.train_accuracy),
            loss: mean(|run| run.summary.test_loss),
            test_images: first.test_images,
            step_ms: mean(|run| Some(run.summary.step_ms)).unwrap_or(f64::NAN),
            peak_mib: mean(|run| run.summary.peak_mib),
            shadow_gap: mean(|run| run.last(|point| point.shadow_gap)),
            coverage: mean(|run| run.last(|point| point.coverage)),
            kernel_positions: mean(|run| run.last(|point| point.kernel_positions)),
            sizes: seeds::sizes(&runs.iter().map(|run| run.sizes.clone()).collect::<Vec<_>>()),
            epochs: count(first.epochs)?,
            seconds: mean(|run| Some(run.summary.seconds)).unwrap_or(f64::NAN),
            runs,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::images::ImageSet;
    use super::*;

    pub(crate) fn variant(label: &str, x: Option<f64>) -> Variant {
        Variant {
            network: Default::default(),
            name: "cfconv".to_owned(),
            label: label.to_owned(),
            group: "CF-Conv <1>".to_owned(),
            set: vec![],
            images: ImageSet::Embedded,
            if_found: false,
            coordinates: vec![("positions".to_owned(), x)],
        }
    }

    fn run(seed: u64, accuracy: Option<f64>) -> SeedRun {
        let point = |epoch: u32| EpochPoint {
            epoch: u64::from(epoch),
            train_loss: Some(1.0 / f64::from(epoch)),
            validation_accuracy: accuracy.map(|accuracy| accuracy * f64::from(epoch) / 3.0),
            shadow_gap: Some(0.2),
            coverage: Some(0.25 * f64::from(epoch)),
            ..EpochPoint::default()
        };
        let (parameters, epochs, peak_mib) = (Some(58_000), Some(2), Some(100.0));
        let summary = Summary { accuracy, parameters, epochs, peak_mib, step_ms: 12.0, ..Summary::default() };
        SeedRun { seed, summary, curve: vec![point(1), point(2), point(3)], sizes: vec![] }
    }

    /// A row with a run for each accuracy.
    pub(crate) fn row(variant: &Variant, accuracies: &[f64]) -> Row {
        let runs = (0..).zip(accuracies).map(|(seed, &accuracy)| run(seed, Some(accuracy)));
        Row::gather(variant, runs.collect()).unwrap()
    }

    #[test]
    fn rows_hold_mean_and_spread_over_seeds() {
        let row = row(&variant("v", Some(4.0)), &[0.7, 0.8, 0.9]);
        assert!((row.accuracy - 0.8).abs() < 1e-12);
        assert!((row.accuracy_std.unwrap() - 0.1).abs() < 1e-12);
        let accuracies: Vec<_> = row.runs.iter().filter_map(|run| run.summary.accuracy).collect();
        assert_eq!(accuracies, [0.7, 0.8, 0.9]);
        assert_eq!((row.shadow_gap.unwrap() * 10.0).round(), 2.0);
        assert_eq!(row.coverage, Some(0.75), "of the last epoch");
        assert_eq!(row.coordinates["positions"], Some(4.0));
    }

    #[test]
    fn networks_without_a_test_are_not_a_result() {
        assert!(Row::gather(&variant("v", None), vec![run(0, None)]).is_err());
        assert!(Row::gather(&variant("v", None), vec![]).is_err());
    }

    #[test]
    fn rows_have_the_promised_fields() {
        let value = serde_json::to_value(row(&variant("v", None), &[0.5])).unwrap();
        for field in ["model", "parameters", "accuracy", "step_ms", "peak_mib"] {
            assert!(!value[field].is_null(), "{field}");
        }
    }
}
