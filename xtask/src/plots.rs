//! Plots as SVG that takes its colours from the page around it, so that one drawing suits light and dark pages.

use std::ops::Range;

use anyhow::{Result, ensure};
use maud::{Markup, html};

/// Number of colours that the page offers as `--series-0` and so on.
pub(crate) const SERIES_COLOURS: usize = 8;

const WIDTH: f64 = 560.0;
const RIGHT: f64 = 550.0;

/// Lines of one colour.
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) lines: Vec<Vec<(f64, f64)>>,
    /// Faint lines for the same thing: measured in training, or from single seeds.
    pub(crate) faint: Vec<Vec<(f64, f64)>>,
}

impl Series {
    pub(crate) fn line(label: &str, line: Vec<(f64, f64)>) -> Self {
        Self { label: label.to_owned(), lines: vec![line], faint: vec![] }
    }
}

/// One bar, with a whisker of ± `spread`.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) spread: Option<f64>,
    /// What stands after it.
    pub(crate) text: String,
}

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    Linear,
    /// Positive values only.
    Logarithmic,
}

/// One axis of a plot of lines.
pub(crate) struct PlotAxis<'a> {
    pub(crate) description: &'a str,
    pub(crate) spacing: Spacing,
    pub(crate) text: &'a dyn Fn(f64) -> String,
    /// Where labels stand; at round numbers if absent.
    pub(crate) ticks: Option<Vec<f64>>,
}

impl<'a> PlotAxis<'a> {
    /// An axis without a description, with labels at round numbers.
    pub(crate) fn plain(spacing: Spacing, text: &'a dyn Fn(f64) -> String) -> Self {
        Self { description: "", spacing, text, ticks: None }
    }

    /// Where a value is drawn.
    fn place(&self, value: f64) -> f64 {
        match self.spacing {
            Spacing::Linear => value,
            Spacing::Logarithmic => value.log10(),
        }
    }

    /// The places of all values, with a margin.
    fn range(&self, values: impl Iterator<Item = f64>, margin: f64) -> Range<f64> {
        let (low, high) = values
            .map(|value| self.place(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        let margin = (margin * (high - low)).max(if high > low { 0.0 } else { 0.5 * margin.max(0.02) });
        low - margin..high + margin
    }

    /// The values with labels, each with its distance from the start of a range as a share of the range.
    fn labels(&self, range: &Range<f64>) -> Vec<(f64, f64)> {
        let ticks = match (&self.ticks, self.spacing) {
            (Some(ticks), _) => ticks.clone(),
            (None, Spacing::Linear) => round_ticks(range),
            (None, Spacing::Logarithmic) => decade_ticks(&(10_f64.powf(range.start)..10_f64.powf(range.end))),
        };
        let inside = ticks.into_iter().filter(|&tick| range.contains(&self.place(tick)));
        inside.map(|tick| (tick, self.share(range, tick))).collect()
    }

    fn share(&self, range: &Range<f64>, value: f64) -> f64 {
        (self.place(value) - range.start) / (range.end - range.start)
    }
}

/// The values in order, each once.
pub(crate) fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

fn colour(series: usize) -> String {
    format!("var(--series-{})", series % SERIES_COLOURS)
}

/// A coordinate, as exact as a drawing needs it.
fn px(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}

fn drawing(title: &str, height: f64, body: Markup) -> String {
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } role="img"
            aria-label=(title) font-family="sans-serif" font-size="12" fill="currentColor" {
            text x=(WIDTH / 2.0) y="24" font-size="16" text-anchor="middle" { (title) }
            (body)
        }
    };
    svg.into_string()
}

/// Draws lines with a mark at each point. Fails if there are no points, or one on a logarithmic axis is not positive.
pub(crate) fn lines(
    title: &str,
    x_axis: &PlotAxis<'_>,
    y_axis: &PlotAxis<'_>,
    series: &[Series],
) -> Result<String> {
    const HEIGHT: f64 = 320.0;
    const LEFT: f64 = 80.0;
    const TOP: f64 = 40.0;
    const BOTTOM: f64 = 274.0;
    let points = || series.iter().flat_map(|s| s.lines.iter().chain(&s.faint)).flatten().copied();
    ensure!(points().next().is_some(), "{title}: there is nothing to plot");
    let drawable = |axis: &PlotAxis<'_>, value: f64| axis.place(value).is_finite();
    let all_drawable = points().all(|(x, y)| drawable(x_axis, x) && drawable(y_axis, y));
    ensure!(all_drawable, "{title}: a point has no place on the axes");
    let x_range = x_axis.range(points().map(|(x, _)| x), 0.03);
    let y_range = y_axis.range(points().map(|(_, y)| y), 0.06);
    let x_px = |share: f64| px(LEFT + share * (RIGHT - LEFT));
    let y_px = |share: f64| px(BOTTOM - share * (BOTTOM - TOP));
    let place = |&(x, y): &(f64, f64)| (x_px(x_axis.share(&x_range, x)), y_px(y_axis.share(&y_range, y)));
    let path = |line: &Vec<(f64, f64)>| {
        line.iter().map(place).map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
    };
    let named = || series.iter().enumerate().filter(|(_, s)| !s.lines.is_empty());
    let body = html! {
        @for (value, share) in x_axis.labels(&x_range) {
            line x1=(x_px(share)) x2=(x_px(share)) y1=(TOP) y2=(BOTTOM)
                stroke="currentColor" stroke-opacity="0.12" {}
            text x=(x_px(share)) y=(BOTTOM + 17.0) text-anchor="middle" { ((x_axis.text)(value)) }
        }
        @for (value, share) in y_axis.labels(&y_range) {
            line x1=(LEFT) x2=(RIGHT) y1=(y_px(share)) y2=(y_px(share))
                stroke="currentColor" stroke-opacity="0.12" {}
            text x=(LEFT - 8.0) y=(y_px(share)) dy="4" text-anchor="end" { ((y_axis.text)(value)) }
        }
        polyline points={ (LEFT) "," (TOP) " " (LEFT) "," (BOTTOM) " " (RIGHT) "," (BOTTOM) }
            fill="none" stroke="currentColor" stroke-opacity="0.5" {}
        text x=((LEFT + RIGHT) / 2.0) y=(HEIGHT - 10.0) text-anchor="middle" { (x_axis.description) }
        @for (index, s) in series.iter().enumerate() {
            g fill="none" stroke=(colour(index)) {
                @for line in &s.faint { polyline points=(path(line)) stroke-opacity="0.4" {} }
                @for line in &s.lines { polyline points=(path(line)) stroke-width="2" {} }
            }
            g fill=(colour(index)) {
                @for (x, y) in s.lines.iter().flatten().map(place) { circle cx=(x) cy=(y) r="2.5" {} }
            }
        }
        @for (row, (index, s)) in named().enumerate() {
            @let y = TOP + 16.0 * row as f64 + 10.0;
            rect x=(LEFT + 8.0) y=(y - 5.0) width="18" height="2" fill=(colour(index)) {}
            text x=(LEFT + 32.0) y=(y) { (s.label) }
        }
    };
    Ok(drawing(title, HEIGHT, body))
}

/// Round numbers inside the range, four to eight of them.
fn round_ticks(range: &Range<f64>) -> Vec<f64> {
    let rough = (range.end - range.start) / 5.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|&step| step >= rough);
    let step = step.unwrap_or(10.0 * decade);
    let (first, last) = ((range.start / step).ceil() as i64, (range.end / step).floor() as i64);
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Powers of ten inside the range; if there are few, also twice and five times these.
fn decade_ticks(range: &Range<f64>) -> Vec<f64> {
    let (low, high) = (range.start.log10(), range.end.log10());
    let steps: &[f64] = if high - low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    (low.floor() as i32..=high.ceil() as i32)
        .flat_map(|decade| steps.iter().map(move |step| step * 10.0_f64.powi(decade)))
        .filter(|tick| range.contains(tick))
        .collect()
}

/// Gives a drawing its own colours, readable on light and dark grounds, for use outside a page.
pub(crate) fn standalone(svg: &str) -> String {
    const COLOURS: [&str; SERIES_COLOURS] =
        ["#3b7de0", "#d9640c", "#0b8a5f", "#8b3fd1", "#c2456e", "#7a8a17", "#1593a5", "#8a6d4b"];
    let svg = svg.replace("currentColor", "#7a838d");
    (0..SERIES_COLOURS).fold(svg, |svg, n| svg.replace(&format!("var(--series-{n})"), COLOURS[n]))
}

/// Draws bars from zero, one below the other; fails if there are none.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> Result<String> {
    const LEFT: f64 = 250.0;
    const ROW: f64 = 24.0;
    ensure!(!bars.is_empty(), "{title}: there is nothing to plot");
    let highest = bars.iter().map(|bar| bar.value + bar.spread.unwrap_or(0.0)).fold(0.0, f64::max);
    // The rest is for the texts after the bars.
    let scale = 0.69 * (RIGHT - LEFT) / if highest > 0.0 { highest } else { 1.0 };
    let row = |(index, bar): (usize, &Bar)| {
        let (top, x) = (ROW * index as f64 + 44.0, |value: f64| LEFT + scale * value);
        let spread = bar.spread.unwrap_or(0.0);
        html! {
            rect x=(LEFT) y=(top) width=(px(scale * bar.value)) height="17"
                fill=(colour(index)) fill-opacity="0.85" {}
            @if spread > 0.0 {
                @let width = px(2.0 * scale * spread);
                rect x=(px(x(bar.value - spread))) y=(top + 7.5) width=(width) height="2" {}
            }
            text x=(px(x(bar.value + spread) + 6.0)) y=(top + 13.0) { (bar.text) }
            text x=(LEFT - 6.0) y=(top + 13.0) text-anchor="end" { (shortened(&bar.label, LABEL_CHARACTERS)) }
        }
    };
    let height = 60.0 + ROW * bars.len() as f64;
    Ok(drawing(title, height, html! { @for bar in bars.iter().enumerate() { (row(bar)) } }))
}

/// Characters of a label that fit to the left of its bar.
const LABEL_CHARACTERS: usize = 42;

fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_page_coloured(svg: &str) {
        assert!(svg.starts_with("<svg "), "{svg}");
        assert!(svg.contains("var(--series-0)") && svg.contains("currentColor"), "{svg}");
        assert!(!svg.contains("\"#"), "a colour of its own: {svg}");
        assert!(!svg.contains("a < b") && svg.contains("a &lt; b"), "text is not escaped: {svg}");
        assert!(!svg.contains("width=\"560\""), "the size is fixed: {svg}");
    }

    fn number(value: f64) -> String {
        value.to_string()
    }

    fn draw(spacing: Spacing, points: &[(f64, f64)]) -> Result<String> {
        let axis = PlotAxis::plain(spacing, &number);
        lines("t", &axis, &axis, &[Series::line("a < b", points.to_vec())])
    }

    #[test]
    fn plots_take_their_colours_from_the_page() {
        is_page_coloured(&draw(Spacing::Linear, &[(1.0, 0.2), (2.0, 0.4)]).unwrap());
        let bar = Bar { label: "a < b".to_owned(), value: 2.0, spread: Some(0.5), text: "2".to_owned() };
        is_page_coloured(&bars("t", &[bar]).unwrap());
    }

    #[test]
    fn logarithmic_plots_need_positive_points() {
        let svg = draw(Spacing::Logarithmic, &[(1.0, 0.2), (100.0, 40.0)]).unwrap();
        is_page_coloured(&svg);
        let alone = standalone(&svg);
        assert!(!alone.contains("var(") && !alone.contains("currentColor"), "{alone}");
        assert!(draw(Spacing::Logarithmic, &[(1.0, 0.0)]).is_err());
        assert!(draw(Spacing::Linear, &[(1.0, f64::NAN)]).is_err());
        let axis = PlotAxis::plain(Spacing::Linear, &number);
        assert!(draw(Spacing::Linear, &[]).is_err() && lines("t", &axis, &axis, &[]).is_err());
    }

    #[test]
    fn ticks_are_round_numbers_inside_the_range() {
        assert_eq!(decade_ticks(&(0.9..60.0)), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(decade_ticks(&(0.5..2e3)), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(round_ticks(&(0.5..6.2)), [2.0, 4.0, 6.0]);
        assert_eq!(round_ticks(&(-1.0..4.0)), [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn one_point_and_equal_values_can_be_drawn() {
        assert!(draw(Spacing::Linear, &[(1.0, 0.5)]).is_ok());
        assert!(draw(Spacing::Logarithmic, &[(1.0, 0.5), (1.0, 0.5)]).is_ok());
        let bar = |value| Bar { label: String::new(), value, spread: None, text: String::new() };
        assert!(bars("t", &[bar(0.0), bar(0.0)]).is_ok());
        assert!(bars("t", &[]).is_err());
    }

    #[test]
    fn long_labels_are_shortened() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("a×cd", 3), "a×…");
    }
}
