//! `report.json`: one object with the results of all experiments.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answers::NetworkAnswers;
use super::columns;
use super::kernels::LayerPictures;
use super::positions_law::PositionsLaw;
use super::row::Row;
use super::study::StudyResults;
use crate::environment::Environment;
use crate::files;
use crate::number_text::counted;
use crate::scale::Scale;
use crate::table::Table;

/// The results of one experiment and where they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    #[serde(flatten)]
    pub(crate) intro: Intro,
    /// The call that gives these results.
    pub(crate) command: String,
    pub(crate) scale: Scale,
    pub(crate) environment: Environment,
    #[serde(flatten)]
    pub(crate) results: Results,
}

/// What an experiment is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intro {
    /// What it compares or measures.
    pub(crate) about: String,
    pub(crate) question: String,
    /// What the paper says about it.
    pub(crate) paper: Option<String>,
}

impl Intro {
    pub(crate) fn new(about: &str, question: &str, paper: &str) -> Self {
        Self { about: about.to_owned(), question: question.to_owned(), paper: Some(paper.to_owned()) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Results {
    Trainings(Box<TrainingResults>),
    Study(StudyResults),
}

/// The results of an experiment that trains networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingResults {
    /// The folder or archive of the images; absent if the program made them.
    pub(crate) data: Option<String>,
    /// The axis along which figures are drawn.
    pub(crate) abscissa: Option<String>,
    /// The full configuration of each model.
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) rows: Vec<Row>,
    /// How many positions a step needs by several criteria, if the experiment asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) positions_laws: Vec<PositionsLaw>,
    /// Some learned kernels, if the experiment draws them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kernels: Vec<LayerPictures>,
    /// What the networks of the first seed answer, if the experiment shows their mistakes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) answers: Vec<NetworkAnswers>,
}

impl Section {
    pub(crate) fn tables(&self) -> Vec<Table> {
        match &self.results {
            Results::Trainings(trained) => vec![columns::table(&trained.rows)],
            Results::Study(study) => study.tables.clone(),
        }
    }

    pub(crate) fn positions_laws(&self) -> &[PositionsLaw] {
        match &self.results {
            Results::Trainings(trained) => &trained.positions_laws,
            Results::Study(_) => &[],
        }
    }

    /// The results on a terminal.
    pub(crate) fn text(&self, name: &str) -> String {
        let runs = match &self.results {
            Results::Trainings(trained) => {
                format!(", {} of each network", counted(trained.seeds.len(), "run"))
            }
            Results::Study(_) => String::new(),
        };
        let mut text = format!("\n{name} ({} scale{runs})\n", self.scale.name());
        for table in self.tables() {
            let title = if table.title.is_empty() { String::new() } else { table.title.clone() + "\n" };
            text += &format!("\n{title}{}", table.text());
        }
        for law in self.positions_laws() {
            text += &format!("{}: {}\n", law.criterion.heading(), law.formula());
            if let Some(by_kernel) = &law.by_kernel {
                text += &format!("  by the kernel's number of positions alone: {}\n", by_kernel.formula());
            }
        }
        text
    }
}

/// The experiments of a report; `None` for one that another version has written.
pub(crate) fn sections(report: &Value) -> Vec<(&str, Option<Section>)> {
    let experiments = report["experiments"].as_object().into_iter().flatten();
    experiments.map(|(name, value)| (name.as_str(), serde_json::from_value(value.clone()).ok())).collect()
}

/// Whether the report at `path` has results of this experiment from this call.
pub(crate) fn holds(path: &Path, name: &str, command: &str) -> bool {
    files::read_json::<Value>(path).is_ok_and(|report| report["experiments"][name]["command"] == command)
}

/// Puts a section into the report at `path`, in place of the experiment's earlier results, and returns the whole
/// report. A file that is not a report stays as it is.
pub(crate) fn merge(path: &Path, name: &str, section: &Section) -> Result<Value> {
    let advice = || format!("{} is not a report; move it away or choose another --out", path.display());
    let mut report = match path.exists() {
        true => files::read_json(path).with_context(advice)?,
        false => json!({ "experiments": {} }),
    };
    let experiments = report.get_mut("experiments").and_then(Value::as_object_mut).with_context(advice)?;
    experiments.insert(name.to_owned(), serde_json::to_value(section)?);
    files::replace_json(path, &report)?;
    Ok(report)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::row::tests::{row, variant};
    use super::*;

    /// A section of a network with a run for each accuracy.
    pub(crate) fn trained(accuracies: &[f64]) -> TrainingResults {
        TrainingResults {
            data: None,
            abscissa: None,
            config: BTreeMap::new(),
            seeds: (0..accuracies.len() as u64).collect(),
            rows: vec![row(&variant("CF-Conv <1>", None), accuracies)],
            positions_laws: vec![],
            kernels: vec![],
            answers: vec![],
        }
    }

    pub(crate) fn section(results: Results) -> Section {
        Section {
            intro: Intro::new("A test.", "Is it one?", "Nothing."),
            command: "cargo xtask reproduce".to_owned(),
            scale: Scale::Full,
            environment: Environment::here(),
            results,
        }
    }

    pub(crate) fn trained_section(accuracies: &[f64]) -> Section {
        section(Results::Trainings(Box::new(trained(accuracies))))
    }

    #[test]
    fn merging_keeps_other_experiments_and_replaces_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        merge(&path, "embedded", &trained_section(&[0.5])).unwrap();
        merge(&path, "cats-vs-dogs", &trained_section(&[0.6])).unwrap();
        assert!(holds(&path, "embedded", "cargo xtask reproduce") && !holds(&path, "embedded", "another"));
        assert!(!holds(&path, "memory", "cargo xtask reproduce"));
        let mut foreign: Value = files::read_json(&path).unwrap();
        foreign["experiments"]["later"] = json!({ "of": "another version" });
        files::replace_json(&path, &foreign).unwrap();

        let report = merge(&path, "embedded", &trained_section(&[0.7])).unwrap();
        let accuracy = |name: &str| report["experiments"][name]["rows"][0]["accuracy"].as_f64().unwrap();
        assert_eq!((accuracy("embedded"), accuracy("cats-vs-dogs")), (0.7, 0.6));
        assert_eq!(report["experiments"]["later"]["of"], "another version");
        assert_eq!(files::read_json::<Value>(&path).unwrap(), report);
    }

    #[test]
    fn sections_have_the_promised_fields_and_are_read_back() {
        let section = trained_section(&[0.5]);
        let value = serde_json::to_value(&section).unwrap();
        for field in ["about", "question", "paper", "command", "environment", "config", "seeds", "rows"] {
            assert!(value.get(field).is_some(), "{field}");
        }
        assert_eq!(value["scale"], "full");
        let report = json!({ "experiments": { "embedded": value, "later": { "of": "another version" } } });
        let back = sections(&report);
        assert_eq!(
            serde_json::to_value(back[0].1.as_ref().unwrap()).unwrap(),
            report["experiments"]["embedded"]
        );
        assert_eq!((back[0].0, &back[1]), ("embedded", &("later", None)));
    }

    #[test]
    fn the_terminal_shows_runs_and_table() {
        let text = trained_section(&[0.7, 0.9]).text("embedded");
        assert!(text.starts_with("\nembedded (full scale, 2 runs of each network)\n\nnetwork "), "{text}");
        assert!(text.contains("80.0 % ± 14.1"), "{text}");
    }

    #[test]
    fn a_file_that_is_not_a_report_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        for text in ["{\"experiments\": [", "{}", "[]"] {
            std::fs::write(&path, text).unwrap();
            assert!(merge(&path, "embedded", &trained_section(&[0.5])).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
