//! Plots as SVG text that takes its colours from the page around it.
//!
//! They are drawn in stand-in colours, which `currentColor` and the page's `--series-N` then replace, so that one
//! drawing suits light and dark pages.

use anyhow::{Result, ensure};
use maud::html;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Number of colours that the page offers as `--series-0` and so on.
pub(crate) const SERIES_COLOURS: usize = 8;

const SIZE: (u32, u32) = (560, 320);
const INK: RGBColor = RGBColor(1, 1, 1);
const FONT: &str = "sans-serif";

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

    fn value(&self, place: f64) -> f64 {
        match self.spacing {
            Spacing::Linear => place,
            Spacing::Logarithmic => 10_f64.powf(place),
        }
    }

    /// The places of all values, with a margin.
    fn range(&self, values: impl Iterator<Item = f64>, margin: f64) -> std::ops::Range<f64> {
        let (low, high) = values
            .map(|value| self.place(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        let margin = (margin * (high - low)).max(if high > low { 0.0 } else { 0.5 * margin.max(0.02) });
        low - margin..high + margin
    }

    /// The places of labels.
    fn tick_places(&self, range: &std::ops::Range<f64>) -> Vec<f64> {
        let ticks = match (&self.ticks, self.spacing) {
            (Some(ticks), _) => ticks.clone(),
            (None, Spacing::Linear) => round_ticks(range),
            (None, Spacing::Logarithmic) => decade_ticks(&(self.value(range.start)..self.value(range.end))),
        };
        ticks.into_iter().map(|tick| self.place(tick)).filter(|place| range.contains(place)).collect()
    }
}

/// A range with labels at given places.
struct Ticked {
    range: std::ops::Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (place - self.range.start) / (self.range.end - self.range.start);
        low + (share * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.clone()
    }
}

/// The values in order, each once.
pub(crate) fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

fn stand_in(series: usize) -> RGBColor {
    RGBColor(1, 2, (series % SERIES_COLOURS) as u8)
}

/// Replaces the stand-in colours and lets the drawing grow with the page.
fn finish(svg: &str, title: &str, size: (u32, u32)) -> String {
    let mut svg = svg.replace("#010101", "currentColor");
    for series in 0..SERIES_COLOURS {
        svg = svg.replace(&format!("#0102{series:02X}"), &format!("var(--series-{series})"));
    }
    let fixed = format!("width=\"{}\" height=\"{}\" ", size.0, size.1);
    let title = html! { (title) }.into_string();
    svg.replacen(&fixed, &format!("role=\"img\" aria-label=\"{title}\" "), 1)
}

/// Draws lines with a mark at each point.
///
/// # Errors
/// There are no points, one on a logarithmic axis is not positive, or plotters cannot draw them.
pub(crate) fn lines(
    title: &str,
    x_axis: &PlotAxis<'_>,
    y_axis: &PlotAxis<'_>,
    series: &[Series],
) -> Result<String> {
    let points = || series.iter().flat_map(|s| s.lines.iter().chain(&s.faint)).flatten().copied();
    ensure!(points().next().is_some(), "{title}: there is nothing to plot");
    let drawable = |axis: &PlotAxis<'_>, value: f64| axis.place(value).is_finite();
    let all_drawable = points().all(|(x, y)| drawable(x_axis, x) && drawable(y_axis, y));
    ensure!(all_drawable, "{title}: a point has no place on the axes");
    let x_range = x_axis.range(points().map(|(x, _)| x), 0.03);
    let y_range = y_axis.range(points().map(|(_, y)| y), 0.06);
    let (x_ticks, y_ticks) = (x_axis.tick_places(&x_range), y_axis.tick_places(&y_range));
    let placed = |line: &[(f64, f64)]| -> Vec<_> {
        line.iter().map(|&(x, y)| (x_axis.place(x), y_axis.place(y))).collect()
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 16).into_font().color(&INK))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(70)
            .build_cartesian_2d(
                Ticked { range: x_range, ticks: x_ticks },
                Ticked { range: y_range, ticks: y_ticks },
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.12))
            .axis_style(INK.mix(0.5))
            .label_style((FONT, 12).into_font().color(&INK))
            .x_desc(x_axis.description)
            .x_label_formatter(&|place| (x_axis.text)(x_axis.value(*place)))
            .y_label_formatter(&|place| (y_axis.text)(y_axis.value(*place)))
            .draw()?;
        for (index, s) in series.iter().enumerate() {
            let colour = stand_in(index);
            for line in &s.faint {
                chart.draw_series(LineSeries::new(placed(line), colour.mix(0.4).stroke_width(1)))?;
            }
            for (number, line) in s.lines.iter().enumerate() {
                let drawn =
                    chart.draw_series(LineSeries::new(placed(line), colour.stroke_width(2)).point_size(2))?;
                if number == 0 {
                    let style = colour.stroke_width(2);
                    drawn
                        .label(&s.label)
                        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
                }
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font((FONT, 12).into_font().color(&INK))
            .border_style(TRANSPARENT)
            .background_style(TRANSPARENT)
            .draw()?;
        area.present()?;
    }
    Ok(finish(&svg, title, SIZE))
}

/// Round numbers inside the range, four to eight of them.
fn round_ticks(range: &std::ops::Range<f64>) -> Vec<f64> {
    let rough = (range.end - range.start) / 5.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|&step| step >= rough);
    let step = step.unwrap_or(10.0 * decade);
    let (first, last) = ((range.start / step).ceil() as i64, (range.end / step).floor() as i64);
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Powers of ten inside the range; if there are few, also twice and five times these.
fn decade_ticks(range: &std::ops::Range<f64>) -> Vec<f64> {
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

/// Height of a row with its bar.
const BAR_HEIGHT: u32 = 24;

/// Width for the labels of bars, and how many characters fit there.
const LABEL_WIDTH: u32 = 250;
const LABEL_CHARACTERS: usize = 42;

/// Draws one bar for each network, below each other, from zero.
///
/// # Errors
/// There are no bars, or plotters cannot draw them.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> Result<String> {
    ensure!(!bars.is_empty(), "{title}: there is nothing to plot");
    let highest = bars.iter().map(|bar| bar.value + bar.spread.unwrap_or(0.0)).fold(0.0, f64::max);
    let right = if highest > 0.0 { 1.45 * highest } else { 1.0 };
    let size = (SIZE.0, 60 + BAR_HEIGHT * bars.len() as u32);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 16).into_font().color(&INK))
            .margin(10)
            .margin_left(LABEL_WIDTH)
            .build_cartesian_2d(0.0..right, bars.len() as f64..0.0)?;
        let text = |horizontal| (FONT, 12).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center));
        for (index, bar) in bars.iter().enumerate() {
            let middle = index as f64 + 0.5;
            let body = [(0.0, middle - 0.35), (bar.value, middle + 0.35)];
            chart.draw_series([Rectangle::new(body, stand_in(index).mix(0.85).filled())])?;
            let mut end = bar.value;
            if let Some(spread) = bar.spread {
                end += spread;
                let whisker = vec![(bar.value - spread, middle), (end, middle)];
                chart.draw_series([PathElement::new(whisker, INK.stroke_width(2))])?;
            }
            let behind =
                EmptyElement::at((end, middle)) + Text::new(bar.text.clone(), (6, 0), text(HPos::Left));
            chart.draw_series([behind])?;
            let before = EmptyElement::at((0.0, middle))
                + Text::new(shortened(&bar.label, LABEL_CHARACTERS), (-6, 0), text(HPos::Right));
            chart.draw_series([before])?;
        }
        area.present()?;
    }
    Ok(finish(&svg, title, size))
}

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
