//! `report.html`: the report as one page that needs nothing else.

use anyhow::Result;
use serde_json::Value;

use super::report::{ExperimentReport, Row};
use super::run_folder::EpochPoint;
use super::table;
use crate::number_text::{percent, thousands};
use crate::page::{self, escape};
use crate::plots::{self, Bar, Series};

/// Writes the page of a report: all its experiments, those of other versions by name only.
///
/// # Errors
/// A plot cannot be drawn.
pub(crate) fn page(report: &Value) -> Result<String> {
    let mut sections = String::new();
    for (name, value) in report["experiments"].as_object().into_iter().flatten() {
        sections += &match serde_json::from_value::<ExperimentReport>(value.clone()) {
            Ok(experiment) => section(name, &experiment)?,
            Err(_) => format!(
                "<section>\n<h2>{}</h2>\n<p>Written by another version; its figures are in report.json.</p>\n</section>\n",
                escape(name)
            ),
        };
    }
    Ok(page::document("cfconv: reproduced results", &sections))
}

fn section(name: &str, experiment: &ExperimentReport) -> Result<String> {
    let mut html = format!("<section>\n<h2>{}</h2>\n<p>{}</p>\n", escape(name), escape(&experiment.about));
    if experiment.scale == "smoke" {
        html += "<p class=\"note\">Smoke scale: a few steps that show that everything works together. \
                 The figures mean nothing.</p>\n";
    }
    let (heads, rows) = table::cells(experiment);
    html += &page::table(&heads, &rows);
    html += &page::figures(&figures(experiment)?);
    html += &origin(experiment);
    html += "</section>\n";
    Ok(html)
}

fn figures(experiment: &ExperimentReport) -> Result<Vec<String>> {
    let rows = &experiment.rows;
    let mut drawings =
        vec![plots::bars("Test accuracy", &bars(rows, |r| r.accuracy, |r| r.accuracy_std, percent))?];
    let accuracy = series(rows, |p| p.validation_accuracy, |p| p.train_accuracy);
    if has_points(&accuracy) {
        drawings.push(plots::lines("Accuracy: validation, and training (faint)", &accuracy, &percent)?);
    }
    let loss = series(rows, |p| p.validation_loss, |p| p.train_loss);
    if has_points(&loss) {
        drawings.push(plots::lines("Loss: validation, and training (faint)", &loss, &|y| format!("{y:.2}"))?);
    }
    let none = |_: &Row| None;
    drawings.push(plots::bars("Time per step", &bars(rows, |r| r.step_ms, none, |v| format!("{v:.1} ms")))?);
    if rows.iter().all(|row| row.peak_mib.is_some()) {
        let memory = bars(rows, |r| r.peak_mib.unwrap_or(0.0), none, |v| format!("{v:.0} MiB"));
        drawings.push(plots::bars("Peak memory", &memory)?);
    }
    let parameters = bars(rows, |r| r.parameters as f64, none, |v| thousands(v as u64));
    drawings.push(plots::bars("Parameters", &parameters)?);
    Ok(drawings)
}

fn bars(
    rows: &[Row],
    value: impl Fn(&Row) -> f64,
    spread: impl Fn(&Row) -> Option<f64>,
    text: impl Fn(f64) -> String,
) -> Vec<Bar> {
    let bar = |row: &Row| {
        let value = value(row);
        Bar { label: row.label.clone(), value, spread: spread(row), text: text(value) }
    };
    rows.iter().map(bar).collect()
}

type Measure = fn(&EpochPoint) -> Option<f64>;

fn series(rows: &[Row], solid: Measure, faint: Measure) -> Vec<Series> {
    let lines = |row: &Row, measure: Measure| {
        let line = |curve: &[EpochPoint]| {
            curve.iter().filter_map(|point| Some((point.epoch as f64, measure(point)?))).collect::<Vec<_>>()
        };
        row.runs.iter().map(|run| line(&run.curve)).filter(|line| !line.is_empty()).collect()
    };
    let one =
        |row: &Row| Series { label: row.label.clone(), lines: lines(row, solid), faint: lines(row, faint) };
    rows.iter().map(one).collect()
}

fn has_points(series: &[Series]) -> bool {
    series.iter().any(|series| !series.lines.is_empty() || !series.faint.is_empty())
}

fn origin(experiment: &ExperimentReport) -> String {
    let environment = &experiment.environment;
    let seeds: Vec<_> = experiment.seeds.iter().map(u64::to_string).collect();
    let facts = [
        ("command", experiment.command.clone()),
        ("scale", experiment.scale.clone()),
        ("images", experiment.data.clone().unwrap_or_else(|| "made by the program".to_owned())),
        ("seeds", seeds.join(", ")),
        ("processor", format!("{}, {} cores", environment.cpu, environment.cores)),
        ("system", format!("{}, {}", environment.os, environment.rustc)),
        ("commit", environment.commit.clone()),
        ("date", environment.date.clone()),
    ];
    let mut html = page::facts(&facts);
    for (model, config) in &experiment.config {
        let text = toml::to_string_pretty(config).unwrap_or_else(|_| config.to_string());
        html += &format!(
            "<details><summary>Configuration of {}</summary><pre>{}</pre></details>\n",
            escape(model),
            escape(&text)
        );
    }
    html
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::experiment;
    use super::*;
    use serde_json::json;

    #[test]
    fn page_is_self_contained_and_escaped() {
        let mut embedded = experiment(&[0.7, 0.8]);
        embedded.config.insert("cfconv".to_owned(), json!({ "train": { "epochs": 3 } }));
        let report = json!({ "experiments": {
            "embedded": embedded,
            "later": { "of": "another version" },
        }});
        let html = page(&report).unwrap();
        assert!(
            html.contains("CF-Conv &lt;1&gt;") && !html.contains("CF-Conv <1>"),
            "labels are not escaped"
        );
        assert!(html.contains("75.0 % ± 7.1"), "the table is missing");
        assert_eq!(html.matches("<svg").count(), 6);
        assert!(html.contains("[train]\nepochs = 3"), "the configuration is missing");
        assert!(html.contains("Written by another version"));
        assert!(html.contains("prefers-color-scheme: dark"));
        let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!without_namespace.contains(outside), "the page refers to {outside}");
        }
    }

    #[test]
    fn smoke_results_say_that_they_mean_nothing() {
        let mut smoke = experiment(&[0.5]);
        let notes = |experiment: &ExperimentReport| {
            page(&json!({ "experiments": { "e": experiment } })).unwrap().matches("mean nothing").count()
        };
        assert_eq!(notes(&smoke), 0);
        smoke.scale = "smoke".to_owned();
        assert_eq!(notes(&smoke), 1);
    }
}
