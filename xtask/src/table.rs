//! Tables of text: on a terminal, in Markdown and in HTML.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Longest text of a page's cell that stays on one line: a figure with its unit or deviation.
const UNBROKEN: usize = 16;

/// Shortest text that is read as words, which begin at the left.
const WORDS: usize = 60;

/// A cell of a page. An enumeration of figures breaks between them alone.
fn html_cell(cell: &str) -> Markup {
    let length = cell.chars().count();
    let class = if length <= UNBROKEN { Some("figure") } else { (length >= WORDS).then_some("words") };
    let parts: Vec<&str> = cell.split(", ").collect();
    let breaks = length > UNBROKEN && parts.iter().all(|part| part.chars().count() <= UNBROKEN);
    html! {
        td class=[class] {
            @if breaks {
                @for (n, part) in parts.iter().enumerate() {
                    span.figure { (part) @if n + 1 < parts.len() { "," } } " "
                }
            } @else {
                (cell)
            }
        }
    }
}

/// A row: the name in the first column, and the figures in the others.
pub(crate) fn row(name: impl Into<String>, figures: impl IntoIterator<Item: Into<String>>) -> Vec<String> {
    std::iter::once(name.into()).chain(figures.into_iter().map(Into::into)).collect()
}

/// A table: names stand in the first column, figures in the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Empty where the text around the table names it.
    pub(crate) title: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without a title.
    pub(crate) fn new(heads: impl IntoIterator<Item: Into<String>>, rows: Vec<Vec<String>>) -> Self {
        Self { title: String::new(), heads: heads.into_iter().map(Into::into).collect(), rows }
    }

    /// Gives the table a title.
    pub(crate) fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    /// Lays the table out for a terminal: the first column to the left, figures to the right.
    pub(crate) fn text(&self) -> String {
        let lines = || std::iter::once(&self.heads).chain(&self.rows);
        let width = |c: usize| lines().map(|line| line[c].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        let rows: String = self.rows.iter().map(line).collect();
        format!("{}{rule}\n{rows}", line(&self.heads))
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|{}\n", self.heads.join(" | "), "---|".repeat(self.heads.len()));
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
        text
    }

    pub(crate) fn html(&self) -> Markup {
        html! {
            @if !self.title.is_empty() { h3 { (self.title) } }
            div.wide { table {
                tr { @for head in &self.heads { th { (head) } } }
                @for row in &self.rows { tr { @for cell in row { (html_cell(cell)) } } "\n" }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
    }

    #[test]
    fn markdown_has_a_cell_for_each_head_and_escapes_bars() {
        let table = Table::new(["x", "y"], rows(&[&["a", "|b|"]]));
        assert_eq!(table.markdown(), "| x | y |\n|---|---|\n| a | \\|b\\| |\n");
    }

    #[test]
    fn figures_stand_to_the_right() {
        let table = Table::new(["x", "y"], rows(&[&["a", "1"], &["bcd", "23"]]));
        assert_eq!(table.text(), "x     y\n───────\na     1\nbcd  23\n");
    }

    #[test]
    fn html_has_a_title_only_where_the_table_has_one() {
        let table = Table::new(["x"], rows(&[&["a < b"]]));
        let html = table.html().into_string();
        assert!(html.contains("<th>x</th>") && html.contains("<td class=\"figure\">a &lt; b</td>"), "{html}");
        assert!(!html.contains("<h3>"));
        let long = Table::new(["x"], rows(&[&["a name that may be broken"]])).html().into_string();
        assert!(long.contains("<td>a name that"), "{long}");
        let sizes = Table::new(["x"], rows(&[&["48: 85.3 %, 96: 84.9 %"]])).html().into_string();
        let parts = "<span class=\"figure\">48: 85.3 %,</span> <span class=\"figure\">96: 84.9 %</span>";
        assert!(sizes.contains(parts), "{sizes}");
        let words =
            Table::new(["x"], rows(&[&["many words for readers, ".repeat(4).trim()]])).html().into_string();
        assert!(words.contains("<td class=\"words\">many"), "{words}");
        assert!(table.titled("T").html().into_string().contains("<h3>T</h3>"));
    }
}
