//! Plots as SVG text that takes its colours from the page around it.
//!
//! They are drawn in stand-in colours that are then replaced by `currentColor` and the page's `--series-N`, so
//! that one drawing suits light and dark pages.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Number of colours that the page offers as `--series-0` and so on.
pub(crate) const SERIES_COLOURS: usize = 4;

const SIZE: (u32, u32) = (560, 320);
const INK: RGBColor = RGBColor(1, 1, 1);
const FONT: &str = "sans-serif";

/// Lines of one colour: one for each seed.
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) lines: Vec<Vec<(f64, f64)>>,
    /// Lines of the same thing measured in training, drawn faintly.
    pub(crate) faint: Vec<Vec<(f64, f64)>>,
}

/// One bar, with a whisker of ± `spread`.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) spread: Option<f64>,
    /// What stands above it.
    pub(crate) text: String,
}

fn stand_in(series: usize) -> RGBColor {
    RGBColor(1, 2, (series % SERIES_COLOURS) as u8)
}

/// Replaces the stand-in colours and lets the drawing grow with the page.
fn finish(svg: &str, title: &str) -> String {
    let mut svg = svg.replace("#010101", "currentColor");
    for series in 0..SERIES_COLOURS {
        svg = svg.replace(&format!("#0102{series:02X}"), &format!("var(--series-{series})"));
    }
    let fixed = format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1);
    svg.replacen(&fixed, &format!("role=\"img\" aria-label=\"{}\" ", crate::page::escape(title)), 1)
}

/// Draws values over epochs.
///
/// # Errors
/// There are no points, or plotters cannot draw them.
pub(crate) fn lines(title: &str, series: &[Series], y_text: &dyn Fn(f64) -> String) -> Result<String> {
    let points = || series.iter().flat_map(|s| s.lines.iter().chain(&s.faint)).flatten().copied();
    if points().next().is_none() {
        return Err(anyhow!("{title}: there is nothing to plot"));
    }
    let range = |value: fn((f64, f64)) -> f64| {
        points()
            .map(value)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (first, last) = range(|(x, _)| x);
    let (low, high) = range(|(_, y)| y);
    let margin = (0.06 * (high - low)).max(1e-3);
    let x_range = first..last.max(first + 1.0);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 16).into_font().color(&INK))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .build_cartesian_2d(x_range, low - margin..high + margin)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.12))
            .axis_style(INK.mix(0.5))
            .label_style((FONT, 12).into_font().color(&INK))
            .x_labels(8)
            .x_desc("epochs")
            .x_label_formatter(&|x| if x.fract().abs() < 1e-6 { format!("{x:.0}") } else { String::new() })
            .y_labels(6)
            .y_label_formatter(&|y| y_text(*y))
            .draw()?;
        for (index, s) in series.iter().enumerate() {
            let colour = stand_in(index);
            for line in &s.faint {
                chart.draw_series(LineSeries::new(line.iter().copied(), colour.mix(0.4).stroke_width(1)))?;
            }
            for (number, line) in s.lines.iter().enumerate() {
                let drawn = chart.draw_series(
                    LineSeries::new(line.iter().copied(), colour.stroke_width(2)).point_size(2),
                )?;
                if number == 0 {
                    let swatch =
                        move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2));
                    drawn.label(&s.label).legend(swatch);
                }
            }
        }
        chart
            .configure_series_labels()
            .label_font((FONT, 12).into_font().color(&INK))
            .border_style(TRANSPARENT)
            .background_style(TRANSPARENT)
            .draw()?;
        area.present()?;
    }
    Ok(finish(&svg, title))
}

/// Draws lines on logarithmic axes, with a mark at each point.
///
/// # Errors
/// There are no points, a coordinate is not positive, or plotters cannot draw them.
pub(crate) fn log_lines(
    title: &str,
    x_desc: &str,
    series: &[Series],
    x_text: &dyn Fn(f64) -> String,
    y_text: &dyn Fn(f64) -> String,
) -> Result<String> {
    let points = || series.iter().flat_map(|s| &s.lines).flatten().copied();
    if points().next().is_none() || points().any(|(x, y)| !(x > 0.0 && y > 0.0)) {
        return Err(anyhow!("{title}: positive points are needed"));
    }
    let range = |value: fn((f64, f64)) -> f64| {
        let (low, high) =
            points().map(value).fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        low / 1.3..high * 1.3
    };
    let (x_range, y_range) = (range(|(x, _)| x), range(|(_, y)| y));
    let mut x_ticks: Vec<f64> = points().map(|(x, _)| x).collect();
    x_ticks.sort_by(f64::total_cmp);
    x_ticks.dedup();
    let y_ticks = decade_ticks(&y_range);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 16).into_font().color(&INK))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(70)
            .build_cartesian_2d(
                x_range.log_scale().with_key_points(x_ticks),
                y_range.log_scale().with_key_points(y_ticks),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.12))
            .axis_style(INK.mix(0.5))
            .label_style((FONT, 12).into_font().color(&INK))
            .x_labels(6)
            .x_desc(x_desc)
            .x_label_formatter(&|x| x_text(*x))
            .y_labels(6)
            .y_label_formatter(&|y| y_text(*y))
            .draw()?;
        for (index, s) in series.iter().enumerate() {
            let colour = stand_in(index);
            for line in &s.lines {
                let drawn = chart.draw_series(
                    LineSeries::new(line.iter().copied(), colour.stroke_width(2)).point_size(2),
                )?;
                let swatch =
                    move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2));
                drawn.label(&s.label).legend(swatch);
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
    Ok(finish(&svg, title))
}

/// Powers of ten inside the range; also twice and five times them where there would be few.
fn decade_ticks(range: &std::ops::Range<f64>) -> Vec<f64> {
    let (low, high) = (range.start.log10(), range.end.log10());
    let steps: &[f64] = if high - low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    (low.floor() as i32..=high.ceil() as i32)
        .flat_map(|decade| steps.iter().map(move |step| step * 10.0_f64.powi(decade)))
        .filter(|tick| range.contains(tick))
        .collect()
}

/// Gives a drawing colours of its own, which can be read on light and dark grounds, for use outside a page.
pub(crate) fn standalone(svg: &str) -> String {
    const COLOURS: [&str; SERIES_COLOURS] = ["#3b7de0", "#d9640c", "#0b8a5f", "#8b3fd1"];
    let svg = svg.replace("currentColor", "#7a838d");
    (0..SERIES_COLOURS).fold(svg, |svg, n| svg.replace(&format!("var(--series-{n})"), COLOURS[n]))
}

/// Draws one bar for each network, from zero.
///
/// # Errors
/// There are no bars, or plotters cannot draw them.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> Result<String> {
    if bars.is_empty() {
        return Err(anyhow!("{title}: there is nothing to plot"));
    }
    let highest = bars.iter().map(|bar| bar.value + bar.spread.unwrap_or(0.0)).fold(0.0, f64::max);
    let top = if highest > 0.0 { 1.18 * highest } else { 1.0 };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 16).into_font().color(&INK))
            .margin(10)
            .x_label_area_size(8)
            .y_label_area_size(8)
            .margin_bottom(30)
            .build_cartesian_2d(0.0..bars.len() as f64, 0.0..top)?;
        chart.configure_mesh().disable_mesh().axis_style(INK.mix(0.5)).x_labels(0).y_labels(0).draw()?;
        let text =
            |size: i32, vertical| (FONT, size).into_font().color(&INK).pos(Pos::new(HPos::Center, vertical));
        for (index, bar) in bars.iter().enumerate() {
            let middle = index as f64 + 0.5;
            let body = [(middle - 0.25, 0.0), (middle + 0.25, bar.value)];
            chart.draw_series([Rectangle::new(body, stand_in(index).mix(0.85).filled())])?;
            let mut end = bar.value;
            if let Some(spread) = bar.spread {
                end += spread;
                let whisker = vec![(middle, bar.value - spread), (middle, end)];
                chart.draw_series([PathElement::new(whisker, INK.stroke_width(2))])?;
            }
            let above = EmptyElement::at((middle, end))
                + Text::new(bar.text.clone(), (0, -4), text(14, VPos::Bottom));
            chart.draw_series([above])?;
            let below =
                EmptyElement::at((middle, 0.0)) + Text::new(bar.label.clone(), (0, 8), text(13, VPos::Top));
            chart.draw_series([below])?;
        }
        area.present()?;
    }
    Ok(finish(&svg, title))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(f64, f64)]) -> Series {
        Series { label: "a < b".to_owned(), lines: vec![points.to_vec()], faint: vec![] }
    }

    fn is_page_coloured(svg: &str) {
        assert!(svg.starts_with("<svg "), "{svg}");
        assert!(svg.contains("var(--series-0)") && svg.contains("currentColor"), "{svg}");
        assert!(!svg.contains("\"#"), "a colour of its own: {svg}");
        assert!(!svg.contains("a < b") && svg.contains("a &lt; b"), "text is not escaped: {svg}");
        assert!(!svg.contains("width=\"560\""), "the size is fixed: {svg}");
    }

    #[test]
    fn plots_take_their_colours_from_the_page() {
        is_page_coloured(&lines("t", &[series(&[(1.0, 0.2), (2.0, 0.4)])], &|y| y.to_string()).unwrap());
        let bar = Bar { label: "a < b".to_owned(), value: 2.0, spread: Some(0.5), text: "2".to_owned() };
        is_page_coloured(&bars("t", &[bar]).unwrap());
    }

    #[test]
    fn logarithmic_plots_need_positive_points() {
        let draw = |points: &[(f64, f64)]| {
            log_lines("t", "x", &[series(points)], &|x| x.to_string(), &|y| y.to_string())
        };
        let svg = draw(&[(1.0, 0.2), (100.0, 40.0)]).unwrap();
        is_page_coloured(&svg);
        let alone = standalone(&svg);
        assert!(!alone.contains("var(") && !alone.contains("currentColor"), "{alone}");
        assert!(draw(&[(1.0, 0.0)]).is_err() && draw(&[]).is_err());
    }

    #[test]
    fn narrow_ranges_have_ticks_between_the_powers_of_ten() {
        assert_eq!(decade_ticks(&(0.9..60.0)), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(decade_ticks(&(0.5..2e3)), [1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn one_point_and_equal_values_can_be_drawn() {
        assert!(lines("t", &[series(&[(1.0, 0.5)])], &|y| y.to_string()).is_ok());
        let bar = |value| Bar { label: String::new(), value, spread: None, text: String::new() };
        assert!(bars("t", &[bar(0.0), bar(0.0)]).is_ok());
    }

    #[test]
    fn empty_plots_are_errors() {
        assert!(lines("t", &[], &|y| y.to_string()).is_err());
        assert!(bars("t", &[]).is_err());
    }
}
