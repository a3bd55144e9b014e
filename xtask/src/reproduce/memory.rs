//! The memory of a layer's step: few, many and all positions, ours and PyTorch's.

use anyhow::Result;
use serde_json::{Value, json};

use super::progress::Progress;
use super::scale::Scale;
use super::study::{Figure, Line, StudyOptions, StudyReport, Table};
use crate::bench::contestants::{Contestants, Effort};
use crate::bench::python;
use crate::bench::rows::Side;
use crate::bench::timing::memory;
use crate::bench::work::Work;
use crate::build::{self, Profile};
use crate::environment::Environment;
use crate::workspace;

/// How the kernel is evaluated.
const METHODS: [(&str, &str); 2] = [("2^15 positions", "32768"), ("all positions", "all")];

/// Most positions of a kernel whose evaluation at all positions PyTorch is asked for: its step needs about
/// 1.7 KiB for each.
const PEER_POSITIONS: usize = 9_000_000;

/// A layer that is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// `size` or `channels`.
    axis: &'static str,
    value: usize,
}

/// The layers at a scale.
pub(crate) fn points(scale: Scale) -> Vec<Point> {
    let (sizes, channels): (&[usize], &[usize]) = match scale {
        Scale::Smoke => (&[8], &[2]),
        Scale::Quick => (&[16, 32, 64], &[8, 16, 32]),
        Scale::Full => (&[16, 32, 64, 128, 256], &[8, 16, 32, 64, 128]),
    };
    let point = |axis: &'static str| move |&value: &usize| Point { axis, value };
    sizes.iter().map(point("size")).chain(channels.iter().map(point("channels"))).collect()
}

impl Point {
    fn work(self, positions: &str, scale: Scale) -> Work {
        let work = Work::new("layer").with("positions", positions);
        let work = match self.axis {
            "size" => work.size(self.value),
            _ => work.channels(self.value),
        };
        if scale != Scale::Smoke {
            return work;
        }
        let work = work.with("batch", 1).with("hidden-width", 8);
        if self.axis == "size" { work.channels(2) } else { work.size(8) }
    }

    fn num_positions(self) -> usize {
        let (size, channels) = if self.axis == "size" { (self.value, 32) } else { (64, self.value) };
        size * (size / 2 + 1) * channels * channels
    }
}

/// Measures every layer with every method.
///
/// # Errors
/// Our program cannot be built or fails.
pub(crate) fn run(options: &StudyOptions<'_>, progress: &mut Progress) -> Result<StudyReport> {
    let scale = options.scale;
    let profile = if scale == Scale::Smoke { Profile::Dev } else { Profile::Release };
    let python = match options.python {
        Some(path) => Some(python::given(path)?),
        None => python::present(&workspace::root().join("target/bench/venv")),
    };
    if python.is_none() {
        progress.note(
            "memory: cfconv alone; for PyTorch beside it give --python, or run `cargo xtask bench` first",
        );
    }
    let versions = python.as_ref().map(|python| python.versions.clone());
    let contestants = Contestants { ours: build::program("cfconv-bench", "cfconv-bench", profile)?, python };
    let effort = Effort { threads: 2, steps: 1, warmup: 1 };
    let mut measured: Vec<Value> = Vec::new();
    for point in points(scale) {
        progress.begin(&format!("memory: {} {}", point.axis, point.value));
        for (method, positions) in METHODS {
            let work = point.work(positions, scale);
            for side in [Side::Ours, Side::Peer] {
                let peer_fits = positions != "all" || point.num_positions() <= PEER_POSITIONS;
                if side == Side::Peer && (contestants.python.is_none() || !peer_fits) {
                    continue;
                }
                let report = match contestants.measure(side, &work, effort, false) {
                    Ok(report) => report,
                    // The peer may run out of memory; ours must not.
                    Err(error) if side == Side::Peer => {
                        progress.note(&format!("  PyTorch, {method}: {error:#}"));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                measured.push(json!({
                    "axis": point.axis,
                    "value": point.value,
                    "method": method,
                    "side": name(side),
                    "step_mib": memory(side, &report),
                    "state_mib": report["state_mib"],
                    "median_s": report["median_s"],
                    "command": work.to_string(),
                }));
            }
        }
        progress.finish_run(false);
    }
    Ok(StudyReport {
        about: "Memory of a layer's step, forward and backward, beyond images, their gradients, parameters and kernel \
                state: 32 images, 32 channels on each side, 64×64 where nothing else is said."
            .to_owned(),
        question: "What do few and what do all positions cost in memory?".to_owned(),
        paper: Some("Evaluating every position at every step costs gigabytes; random positions are the way out.".to_owned()),
        command: options.command.clone(),
        scale: scale.name().to_owned(),
        tables: ["size", "channels"].map(|axis| table(axis, &measured)).into(),
        figures: ["size", "channels"].map(|axis| figure(axis, &measured)).into(),
        data: json!({ "points": measured, "peer": versions }),
        environment: Environment::here(),
    })
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Ours => "cfconv",
        Side::Peer => "PyTorch",
    }
}

/// The lines of a figure: one for each side and method that was measured.
fn figure(axis: &str, measured: &[Value]) -> Figure {
    let mut lines: Vec<Line> = Vec::new();
    for point in measured.iter().filter(|point| point["axis"] == axis) {
        let text = |field: &str| point[field].as_str().unwrap_or_default().to_owned();
        let (Some(x), Some(mib)) = (point["value"].as_f64(), point["step_mib"].as_f64()) else { continue };
        let label = format!("{}, {}", text("side"), text("method"));
        match lines.iter_mut().find(|line| line.label == label) {
            Some(line) => line.points.push((x, mib)),
            None => lines.push(Line { label, points: vec![(x, mib)] }),
        }
    }
    let x = if axis == "size" { "rows and columns" } else { "channels on each side" };
    Figure { title: format!("Memory of a step over {x}"), x: x.to_owned(), unit: " MiB".to_owned(), lines }
}

fn table(axis: &str, measured: &[Value]) -> Table {
    let figure = figure(axis, measured);
    let mut values: Vec<f64> = figure.lines.iter().flat_map(|line| &line.points).map(|&(x, _)| x).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let cell = |line: &Line, value: f64| {
        let point = line.points.iter().find(|&&(x, _)| x == value);
        point.map_or_else(|| "–".to_owned(), |(_, mib)| format!("{mib:.0} MiB"))
    };
    let rows = values
        .iter()
        .map(|&value| {
            let state = measured.iter().find(|p| p["axis"] == axis && p["value"].as_f64() == Some(value));
            let state = state.and_then(|point| point["state_mib"].as_f64());
            let state = state.map_or_else(|| "–".to_owned(), |mib| format!("{mib:.0} MiB"));
            let cells = figure.lines.iter().map(|line| cell(line, value));
            [format!("{value:.0}"), state].into_iter().chain(cells).collect()
        })
        .collect();
    let heads = [axis.to_owned(), "kernel state".to_owned()].into_iter();
    Table {
        title: figure.title,
        heads: heads.chain(figure.lines.into_iter().map(|line| line.label)).collect(),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_row_for_each_value_and_a_dash_for_what_was_not_measured() {
        let point = |side: &str, value: usize, mib: f64| {
            json!({ "axis": "size", "value": value, "method": "all positions", "side": side, "step_mib": mib,
                    "state_mib": 3.0 })
        };
        let measured = [point("cfconv", 16, 5.0), point("cfconv", 32, 6.0), point("PyTorch", 16, 700.0)];
        let table = table("size", &measured);
        assert_eq!(table.heads, ["size", "kernel state", "cfconv, all positions", "PyTorch, all positions"]);
        assert_eq!(table.rows, [["16", "3 MiB", "5 MiB", "700 MiB"], ["32", "3 MiB", "6 MiB", "–"]]);
        assert!(super::table("channels", &measured).rows.is_empty());
    }

    #[test]
    fn all_sizes_that_the_peer_is_spared_are_too_large_for_it() {
        let large = Point { axis: "size", value: 256 };
        assert!(large.num_positions() > PEER_POSITIONS);
        assert!(Point { axis: "size", value: 128 }.num_positions() < PEER_POSITIONS);
        assert_eq!(points(Scale::Full).len(), 10);
    }
}
