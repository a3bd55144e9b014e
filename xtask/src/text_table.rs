//! Tables of text: for a terminal and in Markdown.

/// Lays a table out in columns: the first to the left, figures to the right.
pub(crate) fn columns(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let lines = || std::iter::once(&heads).chain(rows);
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

/// Writes a table in Markdown.
pub(crate) fn markdown(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_has_a_cell_for_each_head_and_escapes_bars() {
        let rows = [vec!["a".to_owned(), "|b|".to_owned()]];
        assert_eq!(markdown(&["x", "y"], &rows), "| x | y |\n|---|---|\n| a | \\|b\\| |\n");
    }

    #[test]
    fn figures_stand_to_the_right() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bcd".to_owned(), "23".to_owned()]];
        assert_eq!(columns(&["x", "y"], &rows), "x     y\n───────\na     1\nbcd  23\n");
    }
}
