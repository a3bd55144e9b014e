//! `report.md`: the tables of a report for documents.

use std::fmt::Write;

use serde_json::Value;

use super::law::PositionsLaw;
use super::report::{ExperimentReport, Section};
use super::study::StudyReport;
use super::table;
use crate::environment::Environment;
use crate::number_text::percent;
use crate::text_table;

/// Writes the tables of all experiments of a report, those of other versions left out.
pub(crate) fn page(report: &Value) -> String {
    let mut text = String::new();
    for (name, value) in report["experiments"].as_object().into_iter().flatten() {
        match serde_json::from_value::<Section>(value.clone()) {
            Ok(Section::Trainings(experiment)) => text += &trainings(name, &experiment),
            Ok(Section::Study(study)) => text += &measurements(name, &study),
            Err(_) => {}
        }
    }
    text
}

fn trainings(name: &str, experiment: &ExperimentReport) -> String {
    let mut text = format!("## {name}\n\n{} {}\n\n", experiment.question, experiment.about);
    let (heads, rows) = table::cells(experiment);
    text += &text_table::markdown(&heads, &rows);
    for law in &experiment.positions_laws {
        let _ = writeln!(text, "\n{}: {}", law.criterion.heading(), parts(law).join("; "));
    }
    text + &origin(&experiment.command, &experiment.environment)
}

/// The laws with their bands, or why there is none, and the shares of kernels.
fn parts(law: &PositionsLaw) -> Vec<String> {
    let mut parts = Vec::new();
    if law.by_axes.is_none() {
        parts.push(law.formula());
    }
    parts.extend(law.laws().map(|law| {
        let bands =
            law.terms.iter().map(|t| format!("{} {:.2} ({:.2} to {:.2})", t.name, t.value, t.low, t.high));
        format!("`{}` ({}; R² = {:.4})", law.formula(), bands.collect::<Vec<_>>().join(", "), law.r_squared)
    }));
    parts.extend(law.shares().map(|(least, most)| {
        format!("{} to {} of a network's largest kernel", percent(least), percent(most))
    }));
    parts
}

fn measurements(name: &str, study: &StudyReport) -> String {
    let mut text = format!("## {name}\n\n{} {}\n\n", study.question, study.about);
    for table in &study.tables {
        let heads: Vec<_> = table.heads.iter().map(String::as_str).collect();
        let _ = writeln!(text, "{}:\n\n{}", table.title, text_table::markdown(&heads, &table.rows));
    }
    text + &origin(&study.command, &study.environment)
}

/// What gave the figures.
fn origin(command: &str, environment: &Environment) -> String {
    format!(
        "\n`{command}`, {}, {} cores, commit {}, {}.\n\n",
        environment.cpu,
        environment.cores,
        environment.commit,
        environment.date.get(..10).unwrap_or(&environment.date)
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::experiment;
    use super::*;
    use serde_json::json;

    #[test]
    fn every_experiment_has_its_table_and_command() {
        let text =
            page(&json!({ "experiments": { "embedded": experiment(&[0.7]), "later": { "of": "others" } } }));
        assert!(text.starts_with("## embedded\n\nIs it one? A test.\n\n| network |"), "{text}");
        assert!(
            text.contains("| CF-Conv <1> | 58,000 | 70.0 %") && text.contains("`cargo xtask reproduce`"),
            "{text}"
        );
        assert!(!text.contains("later"));
    }
}
