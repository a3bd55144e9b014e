//! The columns of the table of an experiment that trains networks.

use super::row::Row;
use super::seeds::SizeAccuracy;
use crate::number_text::{duration, mib, or_dash, percent, thousands};
use crate::table::Table;

/// A column: its head and its cell for a network; `None` if the network has no such value.
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
    ("peak memory", |row| row.peak_mib.map(mib)),
    ("signatures", signatures),
    ("epochs", |row| Some(row.epochs.to_string())),
    ("time", |row| Some(duration(row.seconds))),
];

/// The table of some networks, with the columns in which at least one of them has a value.
pub(crate) fn table(rows: &[Row]) -> Table {
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|(_, cell)| rows.iter().any(|row| cell(row).is_some())).collect();
    let line = |row: &Row| columns.iter().map(|(_, cell)| or_dash(cell(row))).collect();
    Table::new(columns.iter().map(|(head, _)| *head), rows.iter().map(line).collect())
}

/// The accuracy with its deviation over the seeds.
pub(crate) fn accuracy(row: &Row) -> String {
    match row.accuracy_std {
        Some(std) => format!("{} ± {:.1}", percent(row.accuracy), 100.0 * std),
        None => percent(row.accuracy),
    }
}

/// The names of the failure signatures of all runs, each once.
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

#[cfg(test)]
mod tests {
    use super::super::report::tests::trained;
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = table(&trained(&[0.7, 0.9]).rows).text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("CF-Conv <1>") && lines[2].contains("58,000"), "{text}");
        assert!(lines[2].contains("80.0 % ± 14.1"), "{text}");
        assert!(lines[0].contains("shadow gap") && !lines[0].contains("paper"), "{text}");
        assert_eq!(lines[0].chars().count(), lines[2].chars().count(), "{text}");
    }
}
