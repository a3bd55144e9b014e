//! `report.html`: table, checks and curves as one page that needs nothing else.

use super::check::{NETWORK_GRADIENT_TOLERANCE, TOLERANCE};
use super::curves::Drawing;
use super::report::Report;
use super::table;
use crate::page::{self, escape};

/// Writes the page.
pub(crate) fn page(report: &Report, drawings: &[Drawing]) -> String {
    let mut html = String::new();
    for warning in table::warnings(report) {
        html += &format!("<p class=\"note\">{}</p>\n", escape(&warning));
    }
    let (heads, lines) = table::cells(report);
    html += &page::table(&heads, &lines);
    html += "<p>Times are medians over the steps of all rounds. A ratio is the opponent's time over ours, with \
             the least and the largest of the rounds. Memory is the largest beyond operands, results and the \
             kernel state; of a network, all that it takes.</p>\n";
    if !drawings.is_empty() {
        html += "<h2>Scaling</h2>\n";
        let svgs: Vec<_> = drawings.iter().map(|drawing| drawing.svg.clone()).collect();
        html += &page::figures(&svgs);
    }
    html += &checks(report);
    html += "<h2>Origin</h2>\n";
    html += &page::facts(&facts(report));
    page::document("cfconv: benchmarks", &html)
}

fn checks(report: &Report) -> String {
    if report.checks.is_empty() {
        return String::new();
    }
    let lines: Vec<_> = report
        .checks
        .iter()
        .map(|check| vec![check.command.clone(), check.largest_of.clone(), format!("{:.1e}", check.largest)])
        .collect();
    format!(
        "<h2>Both sides compute the same</h2>\n<p>Largest relative L2 distance from PyTorch in double precision; \
         at most {TOLERANCE:.0e} passes, {NETWORK_GRADIENT_TOLERANCE:.0e} for gradients of whole networks.</p>\n{}",
        page::table(&["work", "tensor", "distance"], &lines)
    )
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let environment = &report.environment;
    let unknown = || "unknown".to_owned();
    let peer = report.peer.as_ref().map_or_else(
        || report.without_peer.clone().unwrap_or_else(unknown),
        |versions| format!("PyTorch {}, Python {}", versions.torch, versions.python),
    );
    vec![
        ("command", report.command.clone()),
        ("scale", format!("{}, {} rounds of {} steps", report.scale, report.rounds, report.steps)),
        ("threads", report.threads.to_string()),
        ("processor", format!("{}, {} cores", environment.cpu, environment.cores)),
        ("instructions", report.instruction_set.clone().unwrap_or_else(unknown)),
        ("system", format!("{}, {}", environment.os, environment.rustc)),
        ("peer", peer),
        ("commit", environment.commit.clone()),
        ("date", environment.date.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn page_holds_table_drawings_and_origin_and_refers_to_nothing() {
        let drawing = Drawing { file: "a.svg".to_owned(), svg: "<svg></svg>".to_owned() };
        let html = page(&report(), &[drawing]);
        for part in ["<td>≥ 7×</td>", "<figure><svg>", "PyTorch 2.9.0, Python 3.12.1", "<h2>Scaling</h2>"]
        {
            assert!(html.contains(part), "{part}");
        }
        for outside in ["http://", "https://", "<script", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
