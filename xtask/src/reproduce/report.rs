//! `report.json`: one object that gathers the results of all experiments.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::run_folder::{EpochPoint, Summary};
use super::statistics::MeanStd;
use crate::atomic;
use crate::environment::Environment;

/// Results of one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExperimentReport {
    /// What the experiment is, in one sentence.
    pub(crate) about: String,
    /// Call that gives these results.
    pub(crate) command: String,
    /// `smoke`, `quick` or `full`.
    pub(crate) scale: String,
    /// The images, or nothing when the program made them.
    pub(crate) data: Option<String>,
    /// Full configuration of each model.
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) rows: Vec<Row>,
    pub(crate) environment: Environment,
}

/// Results of one network; figures are means over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) model: String,
    pub(crate) label: String,
    pub(crate) parameters: u64,
    /// Share of the test images classified rightly.
    pub(crate) accuracy: f64,
    pub(crate) accuracy_std: Option<f64>,
    pub(crate) validation_accuracy: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    pub(crate) loss: Option<f64>,
    pub(crate) test_images: Option<u64>,
    pub(crate) step_ms: f64,
    pub(crate) peak_mib: Option<f64>,
    pub(crate) epochs: u64,
    /// Training time of one seed.
    pub(crate) seconds: f64,
    pub(crate) runs: Vec<SeedRun>,
}

/// One run: a network trained from one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedRun {
    pub(crate) seed: u64,
    pub(crate) accuracy: f64,
    pub(crate) validation_accuracy: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    pub(crate) step_ms: f64,
    pub(crate) peak_mib: Option<f64>,
    pub(crate) steps: Option<u64>,
    pub(crate) seconds: f64,
    pub(crate) curve: Vec<EpochPoint>,
}

impl Row {
    /// Gathers the runs of one network, `(seed, figures, curve)`.
    ///
    /// # Errors
    /// There is no run, or a run has no test accuracy.
    pub(crate) fn gather(
        model: &str,
        label: &str,
        runs: Vec<(u64, Summary, Vec<EpochPoint>)>,
    ) -> Result<Self> {
        ensure!(!runs.is_empty(), "{model}: no run is finished");
        let first = &runs[0].1;
        let (parameters, epochs, test_images) = (first.parameters, first.epochs, first.test_images);
        let mean = |figure: fn(&Summary) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(|(_, summary, _)| figure(summary)).collect();
            MeanStd::of(&values)
        };
        let tested = runs.iter().filter(|(_, summary, _)| summary.test_accuracy.is_some()).count();
        ensure!(tested == runs.len(), "{model}: a run has no test accuracy; are there no test images?");
        let accuracy = mean(|s| s.test_accuracy).expect("there is at least one run");
        let one = |figure| mean(figure).map(|value| value.mean);
        Ok(Self {
            model: model.to_owned(),
            label: label.to_owned(),
            parameters,
            accuracy: accuracy.mean,
            accuracy_std: accuracy.std,
            validation_accuracy: one(|s| s.validation_accuracy),
            train_accuracy: one(|s| s.train_accuracy),
            loss: one(|s| s.test_loss),
            test_images,
            step_ms: one(|s| Some(s.step_ms)).unwrap_or(f64::NAN),
            peak_mib: one(|s| s.peak_mib),
            epochs,
            seconds: one(|s| Some(s.total_seconds)).unwrap_or(f64::NAN),
            runs: runs
                .into_iter()
                .map(|(seed, summary, curve)| SeedRun {
                    seed,
                    accuracy: summary.test_accuracy.unwrap_or(f64::NAN),
                    validation_accuracy: summary.validation_accuracy,
                    train_accuracy: summary.train_accuracy,
                    step_ms: summary.step_ms,
                    peak_mib: summary.peak_mib,
                    steps: summary.steps,
                    seconds: summary.total_seconds,
                    curve,
                })
                .collect(),
        })
    }
}

/// Puts `experiment` into the report at `path`, in place of its earlier results and beside all others, and
/// returns the whole report.
///
/// # Errors
/// The file cannot be written, or what is there is no report; it is then left alone.
pub(crate) fn merge(path: &Path, name: &str, experiment: &ExperimentReport) -> Result<Value> {
    let mut report = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| {
            format!("{} is no report; move it away or choose another --out", path.display())
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({ "experiments": {} }),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let experiments = report.get_mut("experiments").and_then(Value::as_object_mut).with_context(|| {
        format!("{} has no object `experiments`; move it away or choose another --out", path.display())
    })?;
    experiments.insert(name.to_owned(), serde_json::to_value(experiment)?);
    atomic::write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    Ok(report)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn summary(accuracy: f64) -> Summary {
        Summary {
            parameters: 58_000,
            epochs: 2,
            steps: Some(20),
            train_accuracy: Some(0.9),
            validation_accuracy: Some(0.6),
            test_accuracy: Some(accuracy),
            test_loss: Some(0.5),
            test_images: Some(100),
            step_ms: 12.0,
            total_seconds: 3.0,
            peak_mib: Some(100.0),
        }
    }

    pub(crate) fn experiment(accuracies: &[f64]) -> ExperimentReport {
        let runs = accuracies.iter().enumerate().map(|(seed, &accuracy)| {
            let point = |epoch: u32| EpochPoint {
                epoch: u64::from(epoch),
                train_loss: Some(1.0 / f64::from(epoch)),
                validation_accuracy: Some(accuracy * f64::from(epoch) / 3.0),
                ..EpochPoint::default()
            };
            (seed as u64, summary(accuracy), vec![point(1), point(2), point(3)])
        });
        ExperimentReport {
            about: "A test.".to_owned(),
            command: "cargo xtask reproduce".to_owned(),
            scale: "full".to_owned(),
            data: None,
            config: BTreeMap::new(),
            seeds: (0..accuracies.len() as u64).collect(),
            rows: vec![Row::gather("cfconv", "CF-Conv <1>", runs.collect()).unwrap()],
            environment: Environment::here(),
        }
    }

    #[test]
    fn rows_hold_mean_and_spread_over_seeds() {
        let row = &experiment(&[0.7, 0.8, 0.9]).rows[0];
        assert!((row.accuracy - 0.8).abs() < 1e-12);
        assert!((row.accuracy_std.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(row.runs.iter().map(|run| run.accuracy).collect::<Vec<_>>(), [0.7, 0.8, 0.9]);
        let untested = Summary { test_accuracy: None, ..summary(0.0) };
        assert!(Row::gather("m", "M", vec![(0, untested, vec![])]).is_err());
    }

    #[test]
    fn merging_keeps_other_experiments_and_replaces_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        merge(&path, "embedded", &experiment(&[0.5])).unwrap();
        merge(&path, "cats-vs-dogs", &experiment(&[0.6])).unwrap();
        let mut foreign: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        foreign["experiments"]["later"] = json!({ "of": "another version" });
        std::fs::write(&path, foreign.to_string()).unwrap();

        let report = merge(&path, "embedded", &experiment(&[0.7])).unwrap();
        let accuracy = |name: &str| report["experiments"][name]["rows"][0]["accuracy"].as_f64().unwrap();
        assert_eq!((accuracy("embedded"), accuracy("cats-vs-dogs")), (0.7, 0.6));
        assert_eq!(report["experiments"]["later"]["of"], "another version");
        let written: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(written, report);
    }

    #[test]
    fn rows_have_the_promised_fields() {
        let value = serde_json::to_value(experiment(&[0.5])).unwrap();
        for field in ["config", "seeds", "rows"] {
            assert!(value.get(field).is_some(), "{field}");
        }
        for field in ["model", "parameters", "accuracy", "step_ms", "peak_mib"] {
            assert!(!value["rows"][0][field].is_null(), "{field}");
        }
    }

    #[test]
    fn file_that_is_no_report_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        for text in ["{\"experiments\": [", "{}", "[]"] {
            std::fs::write(&path, text).unwrap();
            assert!(merge(&path, "embedded", &experiment(&[0.5])).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
