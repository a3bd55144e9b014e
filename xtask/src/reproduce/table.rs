//! The table that a terminal shows.

use super::report::{ExperimentReport, Row};

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

/// Lays the table out in columns: the first to the left, figures to the right.
pub(crate) fn text(experiment: &ExperimentReport) -> String {
    let (heads, rows) = cells(experiment);
    let heads: Vec<String> = heads.into_iter().map(str::to_owned).collect();
    let lines = || std::iter::once(&heads).chain(&rows);
    let widths: Vec<usize> =
        (0..heads.len()).map(|c| lines().map(|line| line[c].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, line) in lines().enumerate() {
        let padded = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
        if index == 0 {
            text += &"─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
            text.push('\n');
        }
    }
    text
}

/// Writes a share as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Writes a number with a comma at each thousand.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes seconds in the unit that reads best.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 99.5 => format!("{s:.0} s"),
        s if s < 5_970.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::experiment;
    use super::*;

    #[test]
    fn numbers_are_written_for_readers() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1.25, 42.0, 300.0, 7_200.0].map(duration), ["1.2 s", "42 s", "5 min", "2.0 h"]);
        assert_eq!(percent(0.853), "85.3 %");
    }

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
