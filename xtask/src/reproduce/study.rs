//! Experiments that train no classifier: tables and figures of what a program measures.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Args;
use super::report::Intro;
use crate::number_text::short;
use crate::plots::{self, PlotAxis, Series, Spacing};
use crate::progress::Progress;
use crate::scale::Scale;
use crate::table::Table;

/// A study: a file of this folder.
#[derive(Clone, Copy)]
pub(crate) struct Study {
    /// Number of steps of its progress.
    pub(crate) len: fn(Scale) -> usize,
    /// Measures, or says which program cannot be built or fails.
    pub(crate) run: fn(&Args, &mut Progress) -> Result<(Intro, StudyResults)>,
}

/// The results of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudyResults {
    pub(crate) tables: Vec<Table>,
    pub(crate) figures: Vec<Figure>,
    /// Everything that was measured.
    pub(crate) data: Value,
}

/// Lines over logarithmic axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) x: String,
    /// What follows the numbers of the vertical axis.
    pub(crate) unit: String,
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Figure {
    /// Draws the points that have a logarithm; fails if there are none.
    pub(crate) fn draw(&self) -> Result<String> {
        let positive = |&(x, y): &(f64, f64)| x > 0.0 && y > 0.0;
        let line =
            |line: &Line| Series::line(&line.label, line.points.iter().copied().filter(positive).collect());
        let series: Vec<Series> = self.lines.iter().map(line).collect();
        let text = |value: f64| format!("{}{}", short(value), self.unit);
        let x_axis = PlotAxis { description: &self.x, ..PlotAxis::plain(Spacing::Logarithmic, &short) };
        plots::lines(&self.title, &x_axis, &PlotAxis::plain(Spacing::Logarithmic, &text), &series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_leave_out_what_has_no_logarithm() {
        let line = |points: &[(f64, f64)]| Line { label: "a".to_owned(), points: points.to_vec() };
        let figure = |points| Figure {
            title: "t".to_owned(),
            x: "steps".to_owned(),
            unit: " MiB".to_owned(),
            lines: vec![line(points)],
        };
        let svg = figure(&[(0.0, 1.0), (1.0, 2.0), (10.0, 200.0)]).draw().unwrap();
        assert!(svg.contains("100 MiB"), "{svg}");
        assert!(figure(&[(0.0, 1.0)]).draw().is_err());
    }
}
