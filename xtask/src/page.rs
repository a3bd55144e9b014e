//! Pages that need nothing else: style, tables and plots are part of them.

const STYLE: &str = include_str!("page.css");

/// Makes the characters of `text` that mean something in HTML mean themselves.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Writes a page: `body` is HTML.
pub(crate) fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Writes a table of text.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: String = heads.iter().map(|head| format!("<th>{}</th>", escape(head))).collect();
    let rows: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!("<div class=\"wide\"><table>\n<tr>{heads}</tr>\n{rows}</table></div>\n")
}

/// Writes a list of facts with their names.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let items: String =
        facts.iter().map(|(term, fact)| format!("<dt>{term}</dt><dd>{}</dd>\n", escape(fact))).collect();
    format!("<dl>\n{items}</dl>\n")
}

/// Writes drawings beside each other.
pub(crate) fn figures(drawings: &[String]) -> String {
    let figures: String = drawings.iter().map(|svg| format!("<figure>{svg}</figure>\n")).collect();
    format!("<div class=\"plots\">\n{figures}</div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_a_colour_in_both_schemes() {
        for series in 0..crate::plots::SERIES_COLOURS {
            assert_eq!(STYLE.matches(&format!("--series-{series}:")).count(), 2);
        }
    }

    #[test]
    fn markup_in_text_means_itself() {
        assert_eq!(escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    }
}
