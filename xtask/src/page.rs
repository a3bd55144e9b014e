//! HTML pages that need no other file: style, tables and plots are part of them.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

pub(crate) fn document(title: &str, body: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { h1 { (title) } (body) }
        }
    };
    page.into_string()
}

/// A list of facts with their names.
pub(crate) fn facts(facts: &[(&str, String)]) -> Markup {
    html! { dl { @for (name, fact) in facts { dt { (name) } dd { (fact) } "\n" } } }
}

/// SVG drawings beside each other.
pub(crate) fn figures<'a>(drawings: impl IntoIterator<Item = &'a String>) -> Markup {
    html! { div.plots { @for svg in drawings { figure { (PreEscaped(svg)) } } } }
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
        // Attributes stand in double quotes, so that a single quote needs no escape.
        let (text, escaped) = ("<a href=\"x\">'&'</a>", "&lt;a href=&quot;x&quot;&gt;'&amp;'&lt;/a&gt;");
        assert_eq!(
            html! { i title=(text) { (text) } }.into_string(),
            format!("<i title=\"{escaped}\">{escaped}</i>")
        );
    }
}
