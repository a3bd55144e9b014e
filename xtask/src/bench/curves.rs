//! The scaling curves as drawings.

use anyhow::Result;

use super::scaling::{CHANNELS, Curve, POSITIONS, Point, SIZE};
use crate::number_text::{axis_number, time};
use crate::plots::{self, PlotAxis, Series, Spacing, distinct};

/// A drawing and the name of its file.
pub(crate) struct Drawing {
    pub(crate) file: String,
    pub(crate) svg: String,
}

/// Draws time and memory along each axis that has points.
pub(crate) fn draw(curves: &[Curve]) -> Result<Vec<Drawing>> {
    let mut drawings = Vec::new();
    for (axis, description) in [POSITIONS, SIZE, CHANNELS] {
        let curves: Vec<_> = curves.iter().filter(|curve| curve.axis == axis).collect();
        let mut draw = |measure, title, value: fn(&Point) -> Option<f64>, text: fn(f64) -> String| {
            let line = |curve: &&Curve| {
                let points = curve.points.iter().filter_map(|point| Some((point.x, value(point)?)));
                Series::line(&curve.label, points.collect())
            };
            let series: Vec<_> = curves.iter().map(line).filter(|s| !s.lines[0].is_empty()).collect();
            if series.is_empty() {
                return Ok(());
            }
            // Labels stand at the points.
            let ticks = distinct(series.iter().flat_map(|s| &s.lines[0]).map(|&(x, _)| x));
            let x_axis = PlotAxis {
                description,
                spacing: Spacing::Logarithmic,
                text: &axis_number,
                ticks: Some(ticks),
            };
            let y_axis = PlotAxis::plain(Spacing::Logarithmic, &text);
            let svg = plots::lines(&format!("{title} over {description}"), &x_axis, &y_axis, &series)?;
            drawings.push(Drawing { file: format!("scaling-{axis}-{measure}.svg"), svg });
            anyhow::Ok(())
        };
        draw("time", "Time of a step", |point| Some(point.median_s), time)?;
        // Zero has no logarithm; a tenth of a MiB is too little to measure.
        let mib = |point: &Point| point.scratch_mib.map(|mib| mib.max(0.1));
        let mib_text = |mib: f64| format!("{} MiB", (1e3 * mib).round() / 1e3);
        draw("memory", "Memory beyond operands and results", mib, mib_text)?;
    }
    Ok(drawings)
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
