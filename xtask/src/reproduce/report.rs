//! `report.json`: one object that gathers the results of all experiments.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kernels::NetworkKernels;
use super::law::PositionsLaw;
use super::row::Row;
use super::study::StudyReport;
use crate::atomic;
use crate::environment::Environment;

/// Results of one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExperimentReport {
    /// What is compared.
    pub(crate) about: String,
    /// What it wants to know.
    pub(crate) question: String,
    /// What the paper says about it.
    pub(crate) paper: Option<String>,
    /// Call that gives these results.
    pub(crate) command: String,
    /// `smoke`, `quick` or `full`.
    pub(crate) scale: String,
    /// The images, or nothing when the program made them.
    pub(crate) data: Option<String>,
    /// The axis along which figures are drawn.
    pub(crate) abscissa: Option<String>,
    /// Full configuration of each model.
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) rows: Vec<Row>,
    /// How many positions a step needs, by several criteria, where the experiment asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) positions_laws: Vec<PositionsLaw>,
    /// Some learned kernels, where the experiment draws them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kernels: Vec<NetworkKernels>,
    pub(crate) environment: Environment,
}

/// What a report holds of an experiment.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Section {
    Trainings(Box<ExperimentReport>),
    Study(Box<StudyReport>),
}

/// Whether the report at `path` has results of this experiment from this call.
pub(crate) fn holds(path: &Path, name: &str, command: &str) -> bool {
    let report =
        std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    report.is_some_and(|report| report["experiments"][name]["command"] == command)
}

/// Puts `experiment` into the report at `path`, in place of its earlier results and beside all others, and
/// returns the whole report.
///
/// # Errors
/// The file cannot be written, or what is there is no report; it is then left alone.
pub(crate) fn merge(path: &Path, name: &str, experiment: &impl Serialize) -> Result<Value> {
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
    use super::super::row::tests::{row, variant};
    use super::*;

    pub(crate) fn experiment(accuracies: &[f64]) -> ExperimentReport {
        ExperimentReport {
            about: "A test.".to_owned(),
            question: "Is it one?".to_owned(),
            paper: None,
            command: "cargo xtask reproduce".to_owned(),
            scale: "full".to_owned(),
            data: None,
            abscissa: None,
            config: BTreeMap::new(),
            seeds: (0..accuracies.len() as u64).collect(),
            rows: vec![row(&variant("CF-Conv <1>", None), accuracies)],
            positions_laws: vec![],
            kernels: vec![],
            environment: Environment::here(),
        }
    }

    #[test]
    fn merging_keeps_other_experiments_and_replaces_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        merge(&path, "embedded", &experiment(&[0.5])).unwrap();
        merge(&path, "cats-vs-dogs", &experiment(&[0.6])).unwrap();
        assert!(holds(&path, "embedded", "cargo xtask reproduce") && !holds(&path, "embedded", "another"));
        assert!(!holds(&path, "memory", "cargo xtask reproduce"));
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
    fn experiments_have_the_promised_fields() {
        let value = serde_json::to_value(experiment(&[0.5])).unwrap();
        for field in ["config", "seeds", "rows"] {
            assert!(value.get(field).is_some(), "{field}");
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
