//! `report.html`: the report as one page that needs nothing else.

use anyhow::Result;
use serde_json::Value;

use super::figures;
use super::kernels::{NetworkKernels, Picture};
use super::law::{PositionsLaw, Term};
use super::report::{ExperimentReport, Section};
use super::row::Row;
use super::run_folder::Signature;
use super::study::{Figure, StudyReport};
use super::table;
use crate::environment::Environment;
use crate::number_text::{percent, thousands};
use crate::page::{self, escape};

/// Writes the page of a report: all its experiments, those of other versions by name only.
///
/// # Errors
/// A plot cannot be drawn.
pub(crate) fn page(report: &Value) -> Result<String> {
    let mut sections = contents(report);
    for (name, value) in report["experiments"].as_object().into_iter().flatten() {
        sections += &match serde_json::from_value::<Section>(value.clone()) {
            Ok(Section::Trainings(experiment)) => section(name, &experiment)?,
            Ok(Section::Study(study)) => study_section(name, &study)?,
            Err(_) => format!(
                "<section>\n<h2>{}</h2>\n<p>Written by another version; its figures are in report.json.</p>\n</section>\n",
                escape(name)
            ),
        };
    }
    Ok(page::document("cfconv: reproduced results", &sections))
}

/// Links to the sections, where there are several.
fn contents(report: &Value) -> String {
    let names: Vec<_> =
        report["experiments"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    if names.len() < 2 {
        return String::new();
    }
    let links: Vec<_> = names.iter().map(|name| format!("<a href=\"#{0}\">{0}</a>", escape(name))).collect();
    format!("<nav>{}</nav>\n", links.join(" · "))
}

/// The beginning of a section.
fn heading(name: &str, about: &str, question: &str, paper: Option<&str>, scale: &str) -> String {
    let mut html = format!(
        "<section>\n<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n<p><strong>{2}</strong></p>\n",
        escape(name),
        escape(about),
        escape(question)
    );
    if let Some(paper) = paper {
        html += &format!("<p>The paper: {}</p>\n", escape(paper));
    }
    if scale == "smoke" {
        html += "<p class=\"note\">Smoke scale: a few steps that show that everything works together. \
                 The figures mean nothing.</p>\n";
    }
    html
}

fn study_section(name: &str, study: &StudyReport) -> Result<String> {
    let mut html = heading(name, &study.about, &study.question, study.paper.as_deref(), &study.scale);
    for table in &study.tables {
        let heads: Vec<_> = table.heads.iter().map(String::as_str).collect();
        html += &format!("<h3>{}</h3>\n{}", escape(&table.title), page::table(&heads, &table.rows));
    }
    let drawings = study.figures.iter().map(Figure::draw).collect::<Result<Vec<_>>>()?;
    html += &page::figures(&drawings);
    let command = [("command", study.command.clone()), ("scale", study.scale.clone())];
    html += &page::facts(&[&command[..], &machine(&study.environment)[..]].concat());
    Ok(html + "</section>\n")
}

/// Where and of what it was measured.
fn machine(environment: &Environment) -> [(&'static str, String); 4] {
    [
        ("processor", format!("{}, {} cores", environment.cpu, environment.cores)),
        ("system", format!("{}, {}", environment.os, environment.rustc)),
        ("commit", environment.commit.clone()),
        ("date", environment.date.clone()),
    ]
}

fn section(name: &str, experiment: &ExperimentReport) -> Result<String> {
    let mut html = heading(
        name,
        &experiment.about,
        &experiment.question,
        experiment.paper.as_deref(),
        &experiment.scale,
    );
    let (heads, rows) = table::cells(experiment);
    html += &page::table(&heads, &rows);
    html += &page::figures(&figures::draw(experiment)?);
    html += &signatures(&experiment.rows);
    for law in &experiment.positions_laws {
        html += &positions_law(law);
    }
    for network in &experiment.kernels {
        html += &kernels(network);
    }
    html += &origin(experiment);
    html += "</section>\n";
    Ok(html)
}

/// What the runs saw go wrong, and what to change.
fn signatures(rows: &[Row]) -> String {
    let line = |row: &Row| {
        row.signatures()
            .map(|(seed, signature)| {
                let Signature { kind, seen, advice } = signature.clone();
                vec![row.label.clone(), seed.to_string(), kind, seen, advice]
            })
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = rows.iter().flat_map(line).collect();
    if lines.is_empty() {
        return String::new();
    }
    let table = page::table(&["network", "seed", "signature", "seen", "what to change"], &lines);
    format!("<h3>Failure signatures</h3>\n{table}")
}

fn positions_law(law: &PositionsLaw) -> String {
    let mut html = format!("<h3>{}</h3>\n", law.criterion.heading());
    if law.by_axes.is_none() {
        html += &format!("<p>{}</p>\n", escape(&law.formula()));
    }
    for law in law.laws() {
        html += &format!("<p><code>{}</code>, R² = {:.2}</p>\n", escape(&law.formula()), law.r_squared);
        let band = |t: &Term| format!("{:.2} to {:.2}", t.low, t.high);
        let terms: Vec<_> =
            law.terms.iter().map(|t| vec![t.name.clone(), format!("{:.2}", t.value), band(t)]).collect();
        html += &page::table(&["term (base 2)", "exponent", "95 % band"], &terms);
    }
    let cells: Vec<_> = law
        .cells
        .iter()
        .map(|cell| {
            let bound = if cell.at_most { "at most " } else { "" };
            let positions = cell.positions.map_or_else(
                || "more than tried".to_owned(),
                |p| format!("{bound}{}", thousands(p.round() as u64)),
            );
            let whole = |of: fn(f64, f64) -> String| {
                cell.whole.zip(cell.positions).map_or_else(|| "–".to_owned(), |(whole, p)| of(whole, p))
            };
            vec![
                cell.label.clone(),
                percent(cell.dense_accuracy),
                positions,
                whole(|whole, _| thousands(whole.round() as u64)),
                whole(|whole, needed| percent(needed / whole)),
            ]
        })
        .collect();
    let heads = ["network", "accuracy of all positions", "positions needed", "of", "share"];
    html + &page::table(&heads, &cells)
}

fn kernels(network: &NetworkKernels) -> String {
    let picture = |picture: &Picture| {
        let name =
            format!("{}, channel {} to {}", escape(&picture.layer), picture.in_channel, picture.out_channel);
        format!(
            "<figure class=\"kernel\"><img src=\"{}\" alt=\"taps of {name}\">\
             <img src=\"{}\" alt=\"spectrum of {name}\"><figcaption>{name}</figcaption></figure>\n",
            picture.spatial, picture.magnitude
        )
    };
    format!(
        "<h3>Kernels of {}: around the middle in space (blue below zero, red above), absolute values over all frequencies \
         (zero in the middle)</h3>\n<div class=\"kernels\">\n{}</div>\n",
        escape(&network.label),
        network.pictures.iter().map(picture).collect::<String>()
    )
}

fn origin(experiment: &ExperimentReport) -> String {
    let seeds: Vec<_> = experiment.seeds.iter().map(u64::to_string).collect();
    let facts = [
        ("command", experiment.command.clone()),
        ("scale", experiment.scale.clone()),
        ("images", experiment.data.clone().unwrap_or_else(|| "made by the program".to_owned())),
        ("seeds", seeds.join(", ")),
    ];
    let mut html = page::facts(&[&facts[..], &machine(&experiment.environment)[..]].concat());
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
    use super::super::study::{Line, Table};
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
        assert_eq!(html.matches("<svg").count(), 8);
        assert!(html.contains("[train]\nepochs = 3"), "the configuration is missing");
        assert!(html.contains("Written by another version"));
        assert!(html.contains("prefers-color-scheme: dark"));
        let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!without_namespace.contains(outside), "the page refers to {outside}");
        }
    }

    #[test]
    fn studies_have_tables_and_figures() {
        let line = Line { label: "ours".to_owned(), points: vec![(1.0, 2.0), (4.0, 8.0)] };
        let study = StudyReport {
            about: "A test.".to_owned(),
            question: "Is it one?".to_owned(),
            paper: Some("Nothing.".to_owned()),
            command: "cargo xtask reproduce memory".to_owned(),
            scale: "quick".to_owned(),
            tables: vec![Table {
                title: "Sizes".to_owned(),
                heads: vec!["size <px>".to_owned()],
                rows: vec![vec!["1".to_owned()]],
            }],
            figures: vec![Figure {
                title: "Memory".to_owned(),
                x: "size".to_owned(),
                unit: " MiB".to_owned(),
                lines: vec![line],
            }],
            data: json!({}),
            environment: Environment::here(),
        };
        let html = page(&json!({ "experiments": { "memory": study } })).unwrap();
        assert!(
            html.contains("size &lt;px&gt;") && html.contains("<svg") && html.contains("The paper: Nothing.")
        );
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
