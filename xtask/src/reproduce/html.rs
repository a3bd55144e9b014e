//! `report.html`: the report as one page that needs no other file.

use anyhow::Result;
use maud::{Markup, html};
use serde_json::Value;

use super::figures;
use super::kernels::NetworkKernels;
use super::positions_law::{Cell, PositionsLaw};
use super::report::{self, Results, Section, TrainingResults};
use super::row::Row;
use super::study::Figure;
use crate::number_text::{or_dash, percent, thousands};
use crate::page;
use crate::scale::Scale;
use crate::table::Table;

/// Writes the page of a report: all its experiments; of those that another version has written, only the names.
pub(crate) fn page(report: &Value) -> Result<String> {
    let sections = report::sections(report);
    let bodies = sections
        .iter()
        .map(|(_, known)| match known {
            Some(known) => section(known),
            None => Ok(html! { p { "Another version wrote this section; its figures are in report.json." } }),
        })
        .collect::<Result<Vec<_>>>()?;
    let body = html! {
        @if sections.len() > 1 {
            nav {
                @for (index, (name, _)) in sections.iter().enumerate() {
                    @if index > 0 { " · " }
                    a href={ "#" (name) } { (name) }
                }
            }
        }
        @for ((name, _), body) in sections.iter().zip(bodies) {
            section { h2 id=(name) { (name) } (body) }
        }
    };
    Ok(page::document("cfconv: reproduced results", body))
}

fn section(section: &Section) -> Result<Markup> {
    let intro = &section.intro;
    let drawings = match &section.results {
        Results::Trainings(trained) => figures::draw(trained)?,
        Results::Study(study) => study.figures.iter().map(Figure::draw).collect::<Result<_>>()?,
    };
    let mut facts = vec![("command", section.command.clone()), ("scale", section.scale.name().to_owned())];
    if let Results::Trainings(trained) = &section.results {
        let seeds: Vec<_> = trained.seeds.iter().map(u64::to_string).collect();
        let images = trained.data.clone().unwrap_or_else(|| "made by the program".to_owned());
        facts.extend([("images", images), ("seeds", seeds.join(", "))]);
    }
    facts.extend(section.environment.facts());
    Ok(html! {
        p { (intro.about) }
        p { strong { (intro.question) } }
        @if let Some(paper) = &intro.paper { p { "The paper: " (paper) } }
        @if section.scale == Scale::Smoke {
            p.note {
                "Smoke scale: a few steps that show that everything works together. The figures mean nothing."
            }
        }
        @for table in section.tables() { (table.html()) }
        (page::figures(&drawings))
        @if let Results::Trainings(trained) = &section.results {
            (signatures(&trained.rows))
            @for law in &trained.positions_laws { (positions_law(law)) }
            @for network in &trained.kernels { (kernels(network)) }
        }
        (page::facts(&facts))
        @if let Results::Trainings(trained) = &section.results { (configurations(trained)) }
    })
}

/// The failures that the runs recognised, and what to change.
fn signatures(rows: &[Row]) -> Markup {
    let lines = rows.iter().flat_map(|row| {
        row.signatures().map(|(seed, signature)| {
            let signature = signature.clone();
            vec![row.label.clone(), seed.to_string(), signature.kind, signature.seen, signature.advice]
        })
    });
    let table = Table::new(["network", "seed", "signature", "seen", "what to change"], lines.collect());
    html! { @if !table.rows.is_empty() { h3 { "Failure signatures" } (table.html()) } }
}

fn positions_law(law: &PositionsLaw) -> Markup {
    let needed = |cell: &Cell| {
        let bound = if cell.at_most { "at most " } else { "" };
        let number = |positions: f64| format!("{bound}{}", thousands(positions.round() as u64));
        let both = cell.whole.zip(cell.positions);
        vec![
            cell.label.clone(),
            percent(cell.dense_accuracy),
            cell.positions.map_or_else(|| "more than tried".to_owned(), number),
            or_dash(both.map(|(whole, _)| thousands(whole.round() as u64))),
            or_dash(both.map(|(whole, needed)| percent(needed / whole))),
        ]
    };
    let heads = ["network", "accuracy of all positions", "positions needed", "of", "share"];
    html! {
        h3 { (law.criterion.heading()) }
        @if law.by_axes.is_none() { p { (law.formula()) } }
        @for law in law.laws() {
            p { code { (law.formula()) } ", R² = " (format_args!("{:.2}", law.r_squared)) }
            @let terms = law.terms.iter().map(|t| {
                vec![t.name.clone(), format!("{:.2}", t.value), format!("{:.2} to {:.2}", t.low, t.high)]
            });
            (Table::new(["term (base 2)", "exponent", "95 % band"], terms.collect()).html())
        }
        (Table::new(heads, law.cells.iter().map(needed).collect()).html())
    }
}

fn kernels(network: &NetworkKernels) -> Markup {
    html! {
        h3 {
            "Kernels of " (network.label) ": around the middle in space (blue below zero, red above), absolute \
             values over all frequencies (zero in the middle)"
        }
        div.kernels {
            @for picture in &network.pictures {
                @let name =
                    format!("{}, channel {} to {}", picture.layer, picture.in_channel, picture.out_channel);
                figure.kernel {
                    img src=(picture.spatial) alt={ "taps of " (name) };
                    img src=(picture.magnitude) alt={ "spectrum of " (name) };
                    figcaption { (name) }
                }
            }
        }
    }
}

fn configurations(trained: &TrainingResults) -> Markup {
    html! {
        @for (model, config) in &trained.config {
            details {
                summary { "Configuration of " (model) }
                pre { (toml::to_string_pretty(config).unwrap_or_else(|_| config.to_string())) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{section, trained, trained_section};
    use super::super::study::{Line, StudyResults};
    use super::*;
    use serde_json::json;

    #[test]
    fn page_is_self_contained_and_escaped() {
        let mut embedded = trained(&[0.7, 0.8]);
        embedded.config.insert("cfconv".to_owned(), json!({ "train": { "epochs": 3 } }));
        let embedded = section(Results::Trainings(Box::new(embedded)));
        let report = json!({ "experiments": { "embedded": embedded, "later": { "of": "another version" } } });
        let html = page(&report).unwrap();
        assert!(html.contains("CF-Conv &lt;1&gt;") && !html.contains("CF-Conv <1>"), "labels are escaped");
        assert!(html.contains("75.0 % ± 7.1"), "the table is missing");
        assert_eq!(html.matches("<svg").count(), 8);
        assert!(html.contains("[train]\nepochs = 3"), "the configuration is missing");
        assert!(html.contains("Another version wrote"));
        assert!(html.contains("prefers-color-scheme: dark"));
        let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!without_namespace.contains(outside), "the page refers to {outside}");
        }
    }

    #[test]
    fn studies_have_tables_and_figures() {
        let line = Line { label: "ours".to_owned(), points: vec![(1.0, 2.0), (4.0, 8.0)] };
        let rows = vec![vec!["1".to_owned()]];
        let table = Table::new(["size <px>"], rows).titled("Sizes");
        let (title, x, unit) = ("Memory".to_owned(), "size".to_owned(), " MiB".to_owned());
        let figures = vec![Figure { title, x, unit, lines: vec![line] }];
        let study = section(Results::Study(StudyResults { tables: vec![table], figures, data: json!({}) }));
        let html = page(&json!({ "experiments": { "memory": study } })).unwrap();
        assert!(html.contains("size &lt;px&gt;") && html.contains("<svg"));
        assert!(html.contains("The paper: Nothing."));
    }

    #[test]
    fn smoke_results_say_that_they_mean_nothing() {
        let mut smoke = trained_section(&[0.5]);
        let notes = |section: &Section| {
            page(&json!({ "experiments": { "e": section } })).unwrap().matches("mean nothing").count()
        };
        assert_eq!(notes(&smoke), 0);
        smoke.scale = Scale::Smoke;
        assert_eq!(notes(&smoke), 1);
    }
}
