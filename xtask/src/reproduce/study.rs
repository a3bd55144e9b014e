//! Experiments that train no classifier: tables and figures of what a program measures.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::memory;
use super::progress::Progress;
use super::scale::Scale;
use super::spectral_bias;
use crate::environment::Environment;
use crate::plots::{self, PlotAxis, Series, Spacing};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Study {
    Memory,
    SpectralBias,
}

/// What decides its results.
pub(crate) struct StudyOptions<'a> {
    pub(crate) scale: Scale,
    pub(crate) seeds: u64,
    /// A Python with PyTorch to compare with.
    pub(crate) python: Option<&'a std::path::Path>,
    /// The call that gives these results.
    pub(crate) command: String,
}

/// The results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudyReport {
    /// What is measured.
    pub(crate) about: String,
    pub(crate) question: String,
    /// What the paper says about it.
    pub(crate) paper: Option<String>,
    pub(crate) command: String,
    pub(crate) scale: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) figures: Vec<Figure>,
    /// Everything that was measured.
    pub(crate) data: Value,
    pub(crate) environment: Environment,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Lines over logarithmic axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) x: String,
    /// What stands behind the numbers of the vertical axis.
    pub(crate) unit: String,
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Study {
    /// Number of steps that [`run`](Self::run) reports.
    pub(crate) fn len(self, scale: Scale) -> usize {
        match self {
            Self::Memory => memory::points(scale).len(),
            Self::SpectralBias => 1,
        }
    }

    /// Measures.
    ///
    /// # Errors
    /// A program cannot be built or fails.
    pub(crate) fn run(self, options: &StudyOptions<'_>, progress: &mut Progress) -> Result<StudyReport> {
        match self {
            Self::Memory => memory::run(options, progress),
            Self::SpectralBias => spectral_bias::run(options, progress),
        }
    }
}

impl Figure {
    /// Draws the lines; points without a logarithm are left out.
    ///
    /// # Errors
    /// Nothing is left, or plotters cannot draw it.
    pub(crate) fn draw(&self) -> Result<String> {
        let positive = |&(x, y): &(f64, f64)| x > 0.0 && y > 0.0;
        let series: Vec<Series> = self
            .lines
            .iter()
            .map(|line| {
                let points = line.points.iter().copied().filter(positive).collect();
                Series { label: line.label.clone(), lines: vec![points], faint: vec![] }
            })
            .collect();
        let text = |value: f64| format!("{}{}", short(value), self.unit);
        let axis =
            |description, text| PlotAxis { description, spacing: Spacing::Logarithmic, text, ticks: None };
        plots::lines(&self.title, &axis(&self.x, &short), &axis("", &text), &series)
    }
}

/// A number with as many digits as it needs, at most three.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 0.01 => format!("{}", (value * 1e3).round() / 1e3),
        _ => format!("{value:.0e}"),
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

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.001, 0.25, 5.0, 1000.0].map(short), ["1e-3", "0.25", "5", "1000"]);
    }
}
