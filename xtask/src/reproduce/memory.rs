//! The memory of a layer's step with few, many and all positions, for cfconv and PyTorch.

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::Args;
use super::report::Intro;
use super::study::{Figure, Line, Study, StudyResults};
use crate::bench::case::Case;
use crate::bench::contestants::{Contestants, Effort, Side};
use crate::bench::python;
use crate::bench::timing::memory;
use crate::build;
use crate::number_text::{mib, or_dash};
use crate::plots::distinct;
use crate::progress::Progress;
use crate::scale::Scale;
use crate::table::Table;

pub(crate) const STUDY: Study = Study { len: |scale| points(scale).len(), run };

/// How the kernel is evaluated.
const METHODS: [(&str, &str); 2] = [("2^15 positions", "32768"), ("all positions", "all")];

/// PyTorch evaluates all positions of kernels up to this size only: its step needs about 1.7 KiB for each position.
const PEER_POSITIONS: usize = 9_000_000;

/// What varies, and its name on an axis.
const AXES: [(&str, &str); 2] = [("size", "rows and columns"), ("channels", "channels on each side")];

/// A layer to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// `size` or `channels`.
    axis: &'static str,
    value: usize,
}

/// The layers at a scale.
fn points(scale: Scale) -> Vec<Point> {
    let (sizes, channels): (&[usize], &[usize]) = match scale {
        Scale::Smoke => (&[8], &[2]),
        Scale::Quick => (&[16, 32, 64], &[8, 16, 32]),
        Scale::Full => (&[16, 32, 64, 128, 256], &[8, 16, 32, 64, 128]),
    };
    let point = |axis: &'static str| move |&value: &usize| Point { axis, value };
    sizes.iter().map(point("size")).chain(channels.iter().map(point("channels"))).collect()
}

impl Point {
    fn case(self, positions: &str, scale: Scale) -> Case {
        let mut case = Case::new("layer").with("positions", positions);
        if scale == Scale::Smoke {
            case = case.with("batch", 1).with("hidden-width", 8).size(8).channels(2);
        }
        if self.axis == "size" { case.size(self.value) } else { case.channels(self.value) }
    }

    fn num_positions(self) -> usize {
        let (size, channels) = if self.axis == "size" { (self.value, 32) } else { (64, self.value) };
        size * (size / 2 + 1) * channels * channels
    }
}

/// What one program needed for one layer.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    axis: &'static str,
    value: usize,
    method: &'static str,
    side: &'static str,
    step_mib: Option<f64>,
    state_mib: Option<f64>,
    median_s: Option<f64>,
    command: String,
}

/// Measures every layer with every method.
fn run(args: &Args, progress: &mut Progress) -> Result<(Intro, StudyResults)> {
    let python = match &args.python {
        Some(path) => Some(python::given(path)?),
        None => python::present(),
    };
    if python.is_none() {
        progress.note(
            "memory: only cfconv; to measure PyTorch too, give --python or run `cargo xtask bench` first",
        );
    }
    let versions = python.as_ref().map(|python| python.versions.clone());
    let ours = build::program("cfconv-bench", "cfconv-bench", args.scale.profile())?;
    let contestants = Contestants { ours, python };
    let effort = Effort { threads: 2, steps: 1, warmup: 1 };
    let mut measured: Vec<Measured> = Vec::new();
    for point in points(args.scale) {
        progress.begin(&format!("memory: {} {}", point.axis, point.value));
        for (method, positions) in METHODS {
            let case = point.case(positions, args.scale);
            for side in [Side::Ours, Side::Peer] {
                let peer_fits = positions != "all" || point.num_positions() <= PEER_POSITIONS;
                if side == Side::Peer && (contestants.python.is_none() || !peer_fits) {
                    continue;
                }
                let report = match contestants.measure(side, &case, effort, false) {
                    // The peer may run out of memory; ours must not.
                    Err(error) if side == Side::Peer => {
                        progress.note(format_args!("  PyTorch, {method}: {error:#}"));
                        continue;
                    }
                    report => report?,
                };
                measured.push(Measured {
                    axis: point.axis,
                    value: point.value,
                    method,
                    side: side.name(),
                    step_mib: memory(side, &report),
                    state_mib: report["state_mib"].as_f64(),
                    median_s: report["median_s"].as_f64(),
                    command: case.to_string(),
                });
            }
        }
        progress.advance(1.0, false);
    }
    let intro = Intro {
        about: "Memory of a layer's step, forward and backward, beyond images, their gradients, parameters and kernel \
                state: 32 images, 32 channels on each side, 64×64 where nothing else is said."
            .to_owned(),
        question: "What do few and what do all positions cost in memory?".to_owned(),
        paper: Some("Evaluating every position at every step costs gigabytes; random positions are the way out.".to_owned()),
    };
    let (tables, figures) = AXES.map(|axis| table_and_figure(axis, &measured)).into_iter().unzip();
    Ok((intro, StudyResults { tables, figures, data: json!({ "points": measured, "peer": versions }) }))
}

/// A line of the figure, and a column of the table, for each side and method that was measured.
fn table_and_figure((axis, x_name): (&str, &str), measured: &[Measured]) -> (Table, Figure) {
    let measured: Vec<_> = measured.iter().filter(|measured| measured.axis == axis).collect();
    let mut lines: Vec<Line> = Vec::new();
    for found in &measured {
        let Some(step_mib) = found.step_mib else { continue };
        let (label, point) = (format!("{}, {}", found.side, found.method), (found.value as f64, step_mib));
        match lines.iter_mut().find(|line| line.label == label) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { label, points: vec![point] }),
        }
    }
    let row = |value: f64| {
        let state =
            measured.iter().find(|found| found.value as f64 == value).and_then(|found| found.state_mib);
        let cells = lines.iter().map(|line| {
            let point = line.points.iter().find(|&&(x, _)| x == value);
            point.map(|&(_, step_mib)| mib(step_mib))
        });
        let cells = std::iter::once(state.map(mib)).chain(cells).map(or_dash);
        std::iter::once(format!("{value:.0}")).chain(cells).collect()
    };
    let values = distinct(lines.iter().flat_map(|line| &line.points).map(|&(x, _)| x));
    let rows = values.into_iter().map(row).collect();
    let heads = [axis, "kernel state"].into_iter().chain(lines.iter().map(|line| line.label.as_str()));
    let title = format!("Memory of a step over {x_name}");
    let table = Table { title: title.clone(), ..Table::new(heads, rows) };
    (table, Figure { title, x: x_name.to_owned(), unit: " MiB".to_owned(), lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_row_for_each_value_and_a_dash_for_what_was_not_measured() {
        let point = |side, value, mib| Measured {
            axis: "size",
            value,
            method: "all positions",
            side,
            step_mib: Some(mib),
            state_mib: Some(3.0),
            median_s: None,
            command: String::new(),
        };
        let measured = [point("cfconv", 16, 5.0), point("cfconv", 32, 6.0), point("PyTorch", 16, 700.0)];
        let (table, figure) = table_and_figure(AXES[0], &measured);
        assert_eq!(table.heads, ["size", "kernel state", "cfconv, all positions", "PyTorch, all positions"]);
        assert_eq!(table.rows, [["16", "3 MiB", "5 MiB", "700 MiB"], ["32", "3 MiB", "6 MiB", "–"]]);
        assert_eq!(figure.lines[0].points, [(16.0, 5.0), (32.0, 6.0)]);
        assert!(table_and_figure(AXES[1], &measured).0.rows.is_empty());
    }

    #[test]
    fn the_peer_is_spared_only_what_is_too_large_for_it() {
        let large = Point { axis: "size", value: 256 };
        assert!(large.num_positions() > PEER_POSITIONS);
        assert!(Point { axis: "size", value: 128 }.num_positions() < PEER_POSITIONS);
        assert_eq!(points(Scale::Full).len(), 10);
    }
}
