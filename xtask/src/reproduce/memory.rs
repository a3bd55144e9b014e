//! The memory of a layer's step with few, many and all positions, for cfconv and PyTorch.

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::Args;
use super::report::Intro;
use super::study::{Figure, Line, Study, StudyResults};
use crate::bench::contestants::{Contestants, Effort, Side};
use crate::bench::python;
use crate::bench::scaling::{self, Axis, CHANNELS, SIZE, layer};
use crate::bench::timing::memory;
use crate::build;
use crate::number_text::{mib, or_dash};
use crate::plots::distinct;
use crate::progress::Progress;
use crate::scale::Scale;
use crate::table::{Table, row};

pub(crate) const STUDY: Study = Study { len: |scale| layers(scale).count(), run };

/// How the kernel is evaluated.
const METHODS: [(&str, &str); 2] = [("2^15 positions", "32768"), ("all positions", "all")];

/// PyTorch evaluates all positions of kernels up to this size only: its step needs about 1.7 KiB for each position.
const PEER_POSITIONS: usize = 9_000_000;

/// The layers at a scale, by what varies.
fn layers(scale: Scale) -> impl Iterator<Item = (Axis, usize)> {
    [SIZE, CHANNELS].into_iter().flat_map(move |axis| {
        scaling::values(axis, scale, Side::Ours).iter().map(move |&value| (axis, value))
    })
}

/// Positions of the whole kernel.
fn num_positions(axis: Axis, value: usize) -> usize {
    let (size, channels) = if axis == SIZE { (value, 32) } else { (64, value) };
    size * (size / 2 + 1) * channels * channels
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
    for (axis, value) in layers(args.scale) {
        progress.begin(&format!("memory: {} {value}", axis.0));
        for (method, positions) in METHODS {
            let case = layer(axis, value, positions, args.scale);
            for side in [Side::Ours, Side::Peer] {
                let peer_fits = positions != "all" || num_positions(axis, value) <= PEER_POSITIONS;
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
                    axis: axis.0,
                    value,
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
    let intro = Intro::new(
        "Memory of a layer's step, forward and backward, beyond images, their gradients, parameters and kernel \
         state: 32 images, 32 channels on each side, 64×64 where nothing else is said.",
        "How much memory do few positions need, and how much do all?",
        "Evaluating every position in every step costs gigabytes; random positions avoid this.",
    );
    let (tables, figures) = [SIZE, CHANNELS].iter().map(|axis| table_and_figure(*axis, &measured)).unzip();
    Ok((intro, StudyResults { tables, figures, data: json!({ "points": measured, "peer": versions }) }))
}

/// A line of the figure, and a column of the table, for each side and method that was measured.
fn table_and_figure((axis, x_name): Axis, measured: &[Measured]) -> (Table, Figure) {
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
    let line_of = |value: f64| {
        let state =
            measured.iter().find(|found| found.value as f64 == value).and_then(|found| found.state_mib);
        let cells = lines.iter().map(|line| {
            let point = line.points.iter().find(|&&(x, _)| x == value);
            point.map(|&(_, step_mib)| mib(step_mib))
        });
        row(format!("{value:.0}"), std::iter::once(state.map(mib)).chain(cells).map(or_dash))
    };
    let values = distinct(lines.iter().flat_map(|line| &line.points).map(|&(x, _)| x));
    let rows = values.into_iter().map(line_of).collect();
    let heads = [axis, "kernel state"].into_iter().chain(lines.iter().map(|line| line.label.as_str()));
    let title = format!("Memory of a step over {x_name}");
    let table = Table::new(heads, rows).titled(&title);
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
        let (table, figure) = table_and_figure(SIZE, &measured);
        assert_eq!(table.heads, ["size", "kernel state", "cfconv, all positions", "PyTorch, all positions"]);
        assert_eq!(table.rows, [["16", "3 MiB", "5 MiB", "700 MiB"], ["32", "3 MiB", "6 MiB", "–"]]);
        assert_eq!(figure.lines[0].points, [(16.0, 5.0), (32.0, 6.0)]);
        assert!(table_and_figure(CHANNELS, &measured).0.rows.is_empty());
    }

    #[test]
    fn the_peer_is_spared_only_what_is_too_large_for_it() {
        assert!(num_positions(SIZE, 256) > PEER_POSITIONS);
        assert!(num_positions(SIZE, 128) < PEER_POSITIONS);
        assert_eq!(layers(Scale::Full).count(), 10);
    }
}
