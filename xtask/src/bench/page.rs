//! `report.html`: table, checks and curves as one page that needs no other file.

use maud::html;

use super::check::{NETWORK_GRADIENT_TOLERANCE, TOLERANCE};
use super::curves::Drawing;
use super::report::Report;
use super::table;
use crate::number_text::counted;
use crate::page;
use crate::table::Table;

/// Writes the page.
pub(crate) fn page(report: &Report, drawings: &[Drawing]) -> String {
    let checks = report.checks.iter();
    let checks = checks
        .map(|check| vec![check.command.clone(), check.largest_of.clone(), format!("{:.1e}", check.largest)]);
    let checks = Table::new(["work", "tensor", "distance"], checks.collect());
    let body = html! {
        @for warning in table::warnings(report) { p.note { (warning) } }
        (table::table(report).html())
        p {
            "Times are medians over the steps of all rounds. A ratio is the opponent's time over ours, with the least \
             and the largest of the rounds. Memory is the largest beyond operands, results and the kernel state; for \
             a network, all that it takes."
        }
        @if !drawings.is_empty() {
            h2 { "Scaling" }
            (page::figures(drawings.iter().map(|drawing| &drawing.svg)))
        }
        @if !checks.rows.is_empty() {
            h2 { "Both sides compute the same" }
            p {
                "Largest relative L2 distance from PyTorch in double precision; at most "
                (format_args!("{TOLERANCE:.0e}")) " passes, "
                (format_args!("{NETWORK_GRADIENT_TOLERANCE:.0e}")) " for gradients of whole networks."
            }
            (checks.html())
        }
        h2 { "Origin" }
        (page::facts(&facts(report)))
    };
    page::document("cfconv: benchmarks", body)
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let peer = report.peer.as_ref().map_or_else(
        || report.without_peer.clone().unwrap_or_else(unknown),
        |versions| format!("PyTorch {}, Python {}", versions.torch, versions.python),
    );
    let (rounds, steps) = (counted(report.rounds as usize, "round"), counted(report.steps as usize, "step"));
    let mut facts = vec![
        ("command", report.command.clone()),
        ("scale", format!("{}, {rounds} of {steps}", report.scale.name())),
        ("threads", report.threads.to_string()),
        ("instructions", report.instruction_set.clone().unwrap_or_else(unknown)),
        ("peer", peer),
    ];
    facts.extend(report.environment.facts());
    facts
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn page_holds_table_drawings_and_origin_and_refers_to_nothing() {
        let drawing = Drawing { file: "a.svg".to_owned(), svg: "<svg></svg>".to_owned() };
        let html = page(&report(), &[drawing]);
        for part in [
            "<td class=\"figure\">≥ 7×</td>",
            "<figure><svg>",
            "PyTorch 2.9.0, Python 3.12.1",
            "<h2>Scaling</h2>",
        ] {
            assert!(html.contains(part), "{part}");
        }
        for outside in ["http://", "https://", "<script", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
