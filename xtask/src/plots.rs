//! Plots as SVG that takes its colours from the page around it, so that one drawing suits light and dark pages.

use std::ops::Range;

use anyhow::{Result, ensure};
use maud::{Markup, html};

/// Number of colours that the page offers as `--series-0` and so on.
pub(crate) const SERIES_COLOURS: usize = 8;

const WIDTH: f64 = 560.0;

/// Sizes of letters: pages show a drawing about as wide as [`WIDTH`], so that these are pixels there.
const FONT: f64 = 14.0;
const TITLE_FONT: f64 = 17.0;

/// Room for a character of [`FONT`], a little more than the average one needs, and for a line.
const CHARACTER: f64 = 7.4;
const LINE: f64 = 19.0;

/// Space to the left and right of legends and bars.
const SIDE: f64 = 34.0;

/// Where a drawing begins below its title.
const TOP: f64 = 44.0;

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
    /// What stands above its end.
    pub(crate) text: String,
}

/// Where bars begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Zero,
    /// At a round number below values that are close together, because bars from zero would look alike.
    NearValues,
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

/// Room for a text in one line.
fn text_width(text: &str) -> f64 {
    CHARACTER * text.chars().count() as f64
}

fn drawing(title: &str, height: f64, body: Markup) -> String {
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (px(height)) } role="img"
            aria-label=(title) font-family="sans-serif" font-size=(FONT) fill="currentColor" {
            text x=(WIDTH / 2.0) y="25" font-size=(TITLE_FONT) font-weight="600" text-anchor="middle" { (title) }
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
    const BOTTOM: f64 = 290.0;
    const RIGHT: f64 = WIDTH - 16.0;
    let points = || series.iter().flat_map(|s| s.lines.iter().chain(&s.faint)).flatten().copied();
    ensure!(points().next().is_some(), "{title}: there is nothing to plot");
    let drawable = |axis: &PlotAxis<'_>, value: f64| axis.place(value).is_finite();
    let all_drawable = points().all(|(x, y)| drawable(x_axis, x) && drawable(y_axis, y));
    ensure!(all_drawable, "{title}: a point has no place on the axes");
    let x_range = x_axis.range(points().map(|(x, _)| x), 0.03);
    let y_range = y_axis.range(points().map(|(_, y)| y), 0.06);
    let y_labels: Vec<(String, f64)> =
        y_axis.labels(&y_range).into_iter().map(|(value, share)| ((y_axis.text)(value), share)).collect();
    let left = 20.0 + y_labels.iter().map(|(text, _)| text_width(text)).fold(0.0, f64::max);
    let x_place = |share: f64| left + share * (RIGHT - left);
    let x_px = |share: f64| px(x_place(share));
    let y_px = |share: f64| px(BOTTOM - share * (BOTTOM - TOP));
    let place = |&(x, y): &(f64, f64)| (x_px(x_axis.share(&x_range, x)), y_px(y_axis.share(&y_range, y)));
    let path = |line: &Vec<(f64, f64)>| {
        line.iter().map(place).map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
    };
    // A label that would run into the one before it is left out; its line stays.
    let mut free = f64::NEG_INFINITY;
    let x_labels = x_axis.labels(&x_range).into_iter().map(|(value, share)| {
        let text = (x_axis.text)(value);
        let (middle, half) = (x_place(share), text_width(&text) / 2.0);
        let fits = middle - half > free;
        if fits {
            free = middle + half + 4.0;
        }
        (share, fits.then_some(text))
    });
    let x_labels: Vec<_> = x_labels.collect();
    let has_description = !x_axis.description.is_empty();
    let legend_top = BOTTOM + 20.0 + if has_description { LINE } else { 0.0 } + 12.0;
    let named: Vec<(usize, &str)> =
        series.iter().enumerate().filter(|(_, s)| !s.lines.is_empty()).map(|(n, s)| (n, &*s.label)).collect();
    let (legend, bottom) = legend(&named, legend_top);
    let body = html! {
        @for (share, text) in &x_labels {
            line x1=(x_px(*share)) x2=(x_px(*share)) y1=(TOP) y2=(BOTTOM)
                stroke="currentColor" stroke-opacity="0.12" {}
            @if let Some(text) = text {
                text x=(x_px(*share)) y=(BOTTOM + 19.0) text-anchor="middle" { (text) }
            }
        }
        @for (text, share) in &y_labels {
            line x1=(px(left)) x2=(RIGHT) y1=(y_px(*share)) y2=(y_px(*share))
                stroke="currentColor" stroke-opacity="0.12" {}
            text x=(px(left - 8.0)) y=(y_px(*share)) dy="5" text-anchor="end" { (text) }
        }
        polyline points={ (px(left)) "," (TOP) " " (px(left)) "," (BOTTOM) " " (RIGHT) "," (BOTTOM) }
            fill="none" stroke="currentColor" stroke-opacity="0.5" {}
        @if has_description {
            text x=(px((left + RIGHT) / 2.0)) y=(BOTTOM + 19.0 + LINE) text-anchor="middle" { (x_axis.description) }
        }
        @for (index, s) in series.iter().enumerate() {
            g fill="none" stroke=(colour(index)) {
                @for line in &s.faint { polyline points=(path(line)) stroke-opacity="0.4" {} }
                @for line in &s.lines { polyline points=(path(line)) stroke-width="2" {} }
            }
            g fill=(colour(index)) {
                @for (x, y) in s.lines.iter().flatten().map(place) { circle cx=(x) cy=(y) r="3" {} }
            }
        }
        (legend)
    };
    Ok(drawing(title, bottom, body))
}

/// Labels beside their colours, in as many columns as fit, and where they end. Long labels take several lines.
fn legend(named: &[(usize, &str)], top: f64) -> (Markup, f64) {
    const SWATCH: f64 = 28.0;
    const GAP: f64 = 16.0;
    let room = WIDTH - 2.0 * SIDE;
    let longest = ((room - SWATCH) / CHARACTER) as usize;
    let labels: Vec<(usize, Vec<String>)> =
        named.iter().map(|&(index, label)| (index, wrapped(label, longest))).collect();
    let widest = labels.iter().flat_map(|(_, lines)| lines).map(|line| text_width(line)).fold(0.0, f64::max);
    let column = SWATCH + widest + GAP;
    let columns = (((room + GAP) / column) as usize).max(1);
    let mut y = top;
    let mut placed = Vec::new();
    for row in labels.chunks(columns) {
        for (n, (index, lines)) in row.iter().enumerate() {
            placed.push((SIDE + column * n as f64, y, *index, lines));
        }
        y += LINE * row.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) as f64;
    }
    let body = html! {
        @for (x, y, index, lines) in placed {
            rect x=(px(x)) y=(px(y + 3.0)) width="20" height="4" rx="2" fill=(colour(index)) {}
            @for (n, line) in lines.iter().enumerate() {
                text x=(px(x + SWATCH)) y=(px(y + 10.0 + LINE * n as f64)) { (line) }
            }
        }
    };
    (body, y + 4.0)
}

/// The text in lines of at most so many characters, broken at spaces where there are some.
fn wrapped(text: &str, characters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let line = lines.last_mut().expect("there is always a line");
        let used = line.chars().count();
        if used > 0 && used + 1 + word.len() > characters {
            lines.push(String::new());
        } else if used > 0 {
            line.push(' ');
        }
        while word.len() > characters {
            let rest = word.split_off(characters);
            lines.last_mut().expect("there is always a line").extend(word);
            lines.push(String::new());
            word = rest;
        }
        lines.last_mut().expect("there is always a line").extend(word);
    }
    lines
}

/// The distance of four to eight round numbers inside the range.
fn tick_step(range: &Range<f64>) -> f64 {
    let rough = (range.end - range.start) / 5.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|&step| step >= rough);
    step.unwrap_or(10.0 * decade)
}

/// Round numbers inside the range, four to eight of them. Rounding errors do not drop one at an end.
fn round_ticks(range: &Range<f64>) -> Vec<f64> {
    let step = tick_step(range);
    let (first, last) = ((range.start / step - 1e-6).ceil() as i64, (range.end / step + 1e-6).floor() as i64);
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

/// Draws bars, one below the other, each below its label, over an axis with numbers. Fails if there are none or a value
/// is not finite.
pub(crate) fn bars(title: &str, bars: &[Bar], base: Base, axis: &dyn Fn(f64) -> String) -> Result<String> {
    const THICKNESS: f64 = 16.0;
    const GAP: f64 = 14.0;
    ensure!(!bars.is_empty(), "{title}: there is nothing to plot");
    let ends = || bars.iter().map(|bar| (bar.value, bar.spread.unwrap_or(0.0)));
    ensure!(ends().all(|(value, spread)| (value + spread).is_finite()), "{title}: a bar has no length");
    let range = bar_range(ends(), base);
    let x = |value: f64| SIDE + (value - range.start) / (range.end - range.start) * (WIDTH - 2.0 * SIDE);
    let mut y = TOP;
    let mut rows = Vec::new();
    for (index, bar) in bars.iter().enumerate() {
        let room = WIDTH - 2.0 * SIDE - text_width(&bar.text) - 16.0;
        let lines = wrapped(&bar.label, (room / CHARACTER) as usize);
        let top = y + LINE * lines.len() as f64 - 2.0;
        let middle = top + THICKNESS / 2.0;
        let spread = bar.spread.unwrap_or(0.0);
        rows.push(html! {
            @for (n, line) in lines.iter().enumerate() {
                text x=(SIDE + 6.0) y=(px(y + 12.0 + LINE * n as f64)) { (line) }
            }
            text x=(WIDTH - SIDE) y=(px(y + 12.0)) text-anchor="end" font-weight="600" { (bar.text) }
            rect x=(SIDE) y=(px(top)) width=(px((x(bar.value) - SIDE).max(0.0))) height=(THICKNESS)
                fill=(colour(index)) fill-opacity="0.85" {}
            @if spread > 0.0 {
                @let (low, high) = (px(x((bar.value - spread).max(range.start))), px(x(bar.value + spread)));
                path fill="none" stroke="currentColor" stroke-width="1.5"
                    d=(format!("M{low},{middle}H{high}M{low},{0}v8M{high},{0}v8", middle - 4.0)) {}
            }
        });
        y = top + THICKNESS + GAP;
    }
    let bottom = y - GAP / 2.0;
    let begins =
        (range.start > 0.0).then(|| format!("the axis begins at {}, not at zero", axis(range.start)));
    let body = html! {
        @for tick in round_ticks(&range) {
            line x1=(px(x(tick))) x2=(px(x(tick))) y1=(TOP) y2=(px(bottom))
                stroke="currentColor" stroke-opacity="0.12" {}
            text x=(px(x(tick))) y=(px(bottom + 18.0)) text-anchor="middle" { (axis(tick)) }
        }
        @for row in rows { (row) }
        line x1=(SIDE) x2=(SIDE) y1=(TOP) y2=(px(bottom)) stroke="currentColor" stroke-opacity="0.5" {}
        @if let Some(begins) = &begins {
            text x=(WIDTH / 2.0) y=(px(bottom + 18.0 + LINE)) text-anchor="middle" fill-opacity="0.75" { (begins) }
        }
    };
    let height = bottom + 28.0 + if begins.is_some() { LINE } else { 0.0 };
    Ok(drawing(title, height, body))
}

/// Where an axis of bars with these values and deviations begins and ends, both at round numbers.
fn bar_range(ends: impl Iterator<Item = (f64, f64)>, base: Base) -> Range<f64> {
    let (low, high) = ends.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), (value, spread)| {
        (low.min(value - spread), high.max(value + spread))
    });
    let high = if high > 0.0 { high } else { 1.0 };
    // The shortest bar keeps a length that can be seen.
    let start = match base {
        Base::NearValues => low - (0.5 * (high - low)).max(0.04 * high),
        Base::Zero => 0.0,
    };
    let start = if start > 0.5 * high { start } else { 0.0 };
    let step = tick_step(&(start..high));
    step * (start / step + 1e-6).floor()..step * (high / step - 1e-6).ceil()
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
        is_page_coloured(&bars("t", &[bar], Base::Zero, &number).unwrap());
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
        for base in [Base::Zero, Base::NearValues] {
            assert!(bars("t", &[bar(0.0), bar(0.0)], base, &number).is_ok());
            assert!(bars("t", &[bar(0.5)], base, &number).is_ok());
            assert!(bars("t", &[], base, &number).is_err());
            assert!(bars("t", &[bar(f64::NAN)], base, &number).is_err());
        }
    }

    #[test]
    fn bars_begin_at_zero_unless_they_are_close_together_and_may_begin_elsewhere() {
        let range = |values: &[f64], base| {
            let Range { start, end } = bar_range(values.iter().map(|&value| (value, 0.01)), base);
            ((start * 1e3).round() / 1e3, (end * 1e3).round() / 1e3)
        };
        assert_eq!(range(&[0.85, 0.9], Base::Zero), (0.0, 1.0));
        assert_eq!(range(&[0.85, 0.9], Base::NearValues), (0.8, 0.95));
        assert_eq!(range(&[0.3, 0.9], Base::NearValues), (0.0, 1.0), "not close together");
        assert_eq!(range(&[0.0, 0.0], Base::NearValues).0, 0.0);
        let (start, end) = range(&[0.946], Base::NearValues);
        assert!(start < 0.93 && end <= 1.0, "{start} {end}");

        let svg = |value, base| {
            let bar = Bar { label: "a".to_owned(), value, spread: Some(0.01), text: String::new() };
            bars("t", &[bar], base, &|value| format!("{:.0} %", 100.0 * value)).unwrap()
        };
        assert!(svg(0.9, Base::NearValues).contains("the axis begins at 84 %, not at zero"));
        assert!(!svg(0.9, Base::Zero).contains("begins"));
        assert!(
            svg(0.9, Base::Zero).contains(">100 %<") && svg(0.9, Base::Zero).contains("v8"),
            "ticks, a whisker"
        );
    }

    #[test]
    fn long_labels_are_wrapped() {
        assert_eq!(wrapped("abc de f", 6), ["abc de", "f"]);
        assert_eq!(wrapped("a×cdefgh i", 4), ["a×cd", "efgh", "i"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    /// The height of a drawing, and the lowest place of a text.
    fn extent(svg: &str) -> (f64, f64) {
        let number = |text: &str| text.split('"').next().unwrap().parse::<f64>().unwrap();
        let height = svg.split("viewBox=\"0 0 560 ").nth(1).map(number).unwrap();
        let texts = svg.split("<text ").skip(1).map(|text| number(text.split(" y=\"").nth(1).unwrap()));
        (height, texts.max_by(f64::total_cmp).unwrap())
    }

    #[test]
    fn legends_stand_below_the_lines_and_drawings_grow_with_them() {
        let draw = |labels: &[String]| {
            let axis = PlotAxis::plain(Spacing::Linear, &number);
            let series: Vec<_> =
                labels.iter().map(|label| Series::line(label, vec![(0.0, 1.0), (1.0, 2.0)])).collect();
            lines("t", &axis, &axis, &series).unwrap()
        };
        let short: Vec<String> = (0..4).map(|n| format!("net {n}")).collect();
        let long: Vec<String> =
            (0..4).map(|n| format!("{n} CF-Conv, 2^15 random positions, Φ(H, W)")).collect();
        let very_long = vec!["a rather long word ".repeat(8)];
        let heights = [&short, &long, &very_long].map(|labels| {
            let svg = draw(labels);
            let (height, lowest) = extent(&svg);
            assert!(lowest < height && lowest > 310.0, "{lowest} of {height}");
            height
        });
        assert!(heights[0] < heights[2] && heights[2] < heights[1], "{heights:?}: one, three and four lines");
    }

    #[test]
    fn labels_of_an_axis_do_not_run_into_each_other() {
        let x_axis = PlotAxis {
            ticks: Some(vec![20_000.0, 20_100.0, 60_000.0]),
            ..PlotAxis::plain(Spacing::Linear, &number)
        };
        let y_axis = PlotAxis::plain(Spacing::Linear, &number);
        let svg = lines("t", &x_axis, &y_axis, &[Series::line("a", vec![(20_000.0, 1.0), (60_000.0, 2.0)])]);
        let svg = svg.unwrap();
        assert!(svg.contains(">20000<") && svg.contains(">60000<") && !svg.contains(">20100<"), "{svg}");
    }
}
