//! `report.md`: the tables of a report for documents.

use serde_json::Value;

use super::positions_law::PositionsLaw;
use super::report::{self, Section};
use crate::number_text::percent;

/// Writes the tables of all experiments; leaves out those that another version has written.
pub(crate) fn page(report: &Value) -> String {
    let sections = report::sections(report).into_iter();
    sections.filter_map(|(name, known)| Some(section(name, &known?))).collect()
}

fn section(name: &str, section: &Section) -> String {
    let Section { intro, command, environment, .. } = section;
    let mut text = format!("## {name}\n\n{} {}\n\n", intro.question, intro.about);
    for table in section.tables() {
        let title = if table.title.is_empty() { String::new() } else { table.title.clone() + ":\n\n" };
        text += &format!("{title}{}\n", table.markdown());
    }
    for law in section.positions_laws() {
        text += &format!("{}: {}\n\n", law.criterion.heading(), parts(law).join("; "));
    }
    let day = environment.date.get(..10).unwrap_or(&environment.date);
    let (cpu, cores, commit) = (&environment.cpu, environment.cores, &environment.commit);
    text + &format!("`{command}`, {cpu}, {cores} cores, commit {commit}, {day}.\n\n")
}

/// The laws with their confidence bands, or why there is none, and the shares of kernels.
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

#[cfg(test)]
mod tests {
    use super::super::report::tests::trained_section;
    use super::*;
    use serde_json::json;

    #[test]
    fn every_experiment_has_its_table_and_command() {
        let known = trained_section(&[0.7]);
        let text = page(&json!({ "experiments": { "embedded": known, "later": { "of": "others" } } }));
        assert!(text.starts_with("## embedded\n\nIs it one? A test.\n\n| network |"), "{text}");
        assert!(
            text.contains("| CF-Conv <1> | 58,000 | 70.0 %") && text.contains("`cargo xtask reproduce`"),
            "{text}"
        );
        assert!(!text.contains("later"));
    }
}
