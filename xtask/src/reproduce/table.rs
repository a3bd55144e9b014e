//! The table that a terminal shows.

use super::report::ExperimentReport;
use super::row::Row;
use super::sizes::SizeAccuracy;
use crate::number_text::{duration, percent, thousands};
use crate::text_table;

/// A column: its head, and what stands in it; `None` for what a network does not have.
type Column = (&'static str, fn(&Row) -> Option<String>);

const COLUMNS: &[Column] = &[
    ("network", |row| Some(row.label.clone())),
    ("parameters", |row| Some(thousands(row.parameters))),
    ("test accuracy", |row| Some(accuracy(row))),
    ("paper", |row| row.paper_accuracy.map(percent)),
    ("at other sizes", |row| (!row.sizes.is_empty()).then(|| sizes(row))),
    ("validation", |row| row.validation_accuracy.map(percent)),
    ("training", |row| row.train_accuracy.map(percent)),
    ("shadow gap", |row| row.shadow_gap.map(|gap| format!("{gap:.3}"))),
    ("coverage", |row| row.coverage.map(percent)),
    ("time per step", |row| Some(format!("{:.1} ms", row.step_ms))),
    ("peak memory", |row| row.peak_mib.map(|mib| format!("{mib:.0} MiB"))),
    ("signatures", signatures),
    ("epochs", |row| Some(row.epochs.to_string())),
    ("time", |row| Some(duration(row.seconds))),
];

/// Heads and cells of the table of an experiment, as text: the columns that some network has something in.
pub(crate) fn cells(experiment: &ExperimentReport) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|(_, cell)| experiment.rows.iter().any(|row| cell(row).is_some())).collect();
    let row =
        |row: &Row| columns.iter().map(|(_, cell)| cell(row).unwrap_or_else(|| "–".to_owned())).collect();
    (columns.iter().map(|(head, _)| *head).collect(), experiment.rows.iter().map(row).collect())
}

fn accuracy(row: &Row) -> String {
    match row.accuracy_std {
        Some(std) => format!("{} ± {:.1}", percent(row.accuracy), 100.0 * std),
        None => percent(row.accuracy),
    }
}

/// Names of the failure signatures that were seen, each once.
fn signatures(row: &Row) -> Option<String> {
    let mut names: Vec<&str> = row.signatures().map(|(_, signature)| signature.kind.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

fn sizes(row: &Row) -> String {
    let one = |point: &SizeAccuracy| format!("{}: {}", point.size, percent(point.accuracy));
    row.sizes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Lays the table out for a terminal.
pub(crate) fn text(experiment: &ExperimentReport) -> String {
    let (heads, rows) = cells(experiment);
    text_table::columns(&heads, &rows)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::experiment;
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = text(&experiment(&[0.7, 0.9]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("CF-Conv <1>") && lines[2].contains("58,000"), "{text}");
        assert!(lines[2].contains("80.0 % ± 14.1"), "{text}");
        assert!(lines[0].contains("shadow gap") && !lines[0].contains("paper"), "{text}");
        assert_eq!(lines[0].chars().count(), lines[2].chars().count(), "{text}");
    }
}
