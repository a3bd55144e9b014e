//! The scaling curves as drawings.

use anyhow::Result;

use super::scaling::{Curve, Point};
use super::table::time;
use crate::number_text::axis_number;
use crate::plots::{self, PlotAxis, Series, Spacing};

/// The axes with their names for readers.
const AXES: [(&str, &str); 3] =
    [("positions", "positions"), ("size", "rows and columns"), ("channels", "channels on each side")];

/// A drawing and the name of its file.
pub(crate) struct Drawing {
    pub(crate) file: String,
    pub(crate) svg: String,
}

/// Draws time and memory along each axis that has points.
///
/// # Errors
/// A plot cannot be drawn.
pub(crate) fn draw(curves: &[Curve]) -> Result<Vec<Drawing>> {
    let mut drawings = Vec::new();
    for (axis, description) in AXES {
        let curves: Vec<_> = curves.iter().filter(|curve| curve.axis == axis).collect();
        let series = |value: fn(&Point) -> Option<f64>| -> Vec<Series> {
            let line = |curve: &Curve| -> Vec<_> {
                curve.points.iter().filter_map(|point| Some((point.x, value(point)?))).collect()
            };
            let one = |curve: &&Curve| Series {
                label: curve.label.clone(),
                lines: vec![line(curve)],
                faint: vec![],
            };
            curves.iter().map(one).filter(|series| !series.lines[0].is_empty()).collect()
        };
        let times = series(|point| Some(point.median_s));
        // Zero has no logarithm; a tenth of a MiB is below what can be measured.
        let memory = series(|point| point.scratch_mib.map(|mib| mib.max(0.1)));
        if !times.is_empty() {
            let title = format!("Time of a step over {description}");
            let svg = plots::lines(&title, &x_axis(description, &times), &y_axis(&time), &times)?;
            drawings.push(Drawing { file: format!("scaling-{axis}-time.svg"), svg });
        }
        if !memory.is_empty() {
            let title = format!("Memory beyond operands and results over {description}");
            let mib_text = |mib: f64| format!("{} MiB", (1e3 * mib).round() / 1e3);
            let svg = plots::lines(&title, &x_axis(description, &memory), &y_axis(&mib_text), &memory)?;
            drawings.push(Drawing { file: format!("scaling-{axis}-memory.svg"), svg });
        }
    }
    Ok(drawings)
}

/// Labels stand at the points.
fn x_axis<'a>(description: &'a str, series: &[Series]) -> PlotAxis<'a> {
    let mut ticks: Vec<f64> = series.iter().flat_map(|s| &s.lines).flatten().map(|&(x, _)| x).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    PlotAxis { description, spacing: Spacing::Logarithmic, text: &axis_number, ticks: Some(ticks) }
}

fn y_axis(text: &dyn Fn(f64) -> String) -> PlotAxis<'_> {
    PlotAxis { description: "", spacing: Spacing::Logarithmic, text, ticks: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_axis_with_points_has_a_plot_of_time_and_one_of_memory() {
        let point = |x: f64, scratch_mib| Point {
            x,
            command: "layer".to_owned(),
            median_s: 1e-3 * x,
            min_s: 1e-3 * x,
            scratch_mib,
        };
        let curve = |axis: &str, scratch_mib| Curve {
            axis: axis.to_owned(),
            label: "cfconv, 1 thread".to_owned(),
            threads: 1,
            points: vec![point(16.0, scratch_mib), point(64.0, scratch_mib)],
        };
        let drawings = draw(&[curve("positions", Some(0.0)), curve("size", None)]).unwrap();
        let files: Vec<_> = drawings.iter().map(|drawing| drawing.file.as_str()).collect();
        assert_eq!(
            files,
            ["scaling-positions-time.svg", "scaling-positions-memory.svg", "scaling-size-time.svg"]
        );
        assert!(drawings[0].svg.contains("cfconv, 1 thread") && drawings[0].svg.contains("var(--series-0)"));
        assert!(draw(&[]).unwrap().is_empty());
    }
}
