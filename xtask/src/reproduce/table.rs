//! The table that a terminal shows.

use super::report::{ExperimentReport, Row};
use crate::number_text::{duration, percent, thousands};
use crate::text_table;

/// Heads and cells of the table of an experiment, as text.
pub(crate) fn cells(experiment: &ExperimentReport) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let heads = vec![
        "network",
        "parameters",
        "test accuracy",
        "validation",
        "training",
        "time per step",
        "peak memory",
        "epochs",
        "time",
    ];
    let rows = experiment.rows.iter().map(|row| {
        vec![
            row.label.clone(),
            thousands(row.parameters),
            accuracy(row),
            row.validation_accuracy.map_or_else(|| "–".to_owned(), percent),
            row.train_accuracy.map_or_else(|| "–".to_owned(), percent),
            format!("{:.1} ms", row.step_ms),
            row.peak_mib.map_or_else(|| "–".to_owned(), |mib| format!("{mib:.0} MiB")),
            row.epochs.to_string(),
            duration(row.seconds),
        ]
    });
    (heads, rows.collect())
}

fn accuracy(row: &Row) -> String {
    match row.accuracy_std {
        Some(std) => format!("{} ± {:.1}", percent(row.accuracy), 100.0 * std),
        None => percent(row.accuracy),
    }
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
        assert_eq!(lines[0].chars().count(), lines[2].chars().count(), "{text}");
    }
}
