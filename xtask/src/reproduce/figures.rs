//! The figures of an experiment.

use anyhow::Result;

use super::experiment::PARAMETERS;
use super::report::ExperimentReport;
use super::row::{self, Row, SeedRun};
use super::run_folder::EpochPoint;
use crate::number_text::{axis_number, percent, thousands};
use crate::plots::{self, Bar, PlotAxis, SERIES_COLOURS, Series, Spacing};

/// Draws an experiment: over its abscissa where it has one, else a bar for each network; and curves over the
/// epochs where there are few enough networks to tell them apart.
///
/// # Errors
/// A plot cannot be drawn.
pub(crate) fn draw(experiment: &ExperimentReport) -> Result<Vec<String>> {
    let mut drawings = match &experiment.abscissa {
        Some(abscissa) => over_abscissa(experiment, abscissa)?,
        None => compare(&experiment.rows)?,
    };
    if experiment.rows.len() <= SERIES_COLOURS {
        drawings.extend(over_sizes(&experiment.rows)?);
        drawings.extend(over_epochs(&experiment.rows)?);
    }
    Ok(drawings)
}

/// A measure of a row, and of one of its runs.
struct Measure {
    title: &'static str,
    of_row: fn(&Row) -> Option<f64>,
    of_run: fn(&SeedRun) -> Option<f64>,
    spread: fn(&Row) -> Option<f64>,
    text: fn(f64) -> String,
}

fn nothing(_: &Row) -> Option<f64> {
    None
}

const MEASURES: &[Measure] = &[
    Measure {
        title: "Test accuracy",
        of_row: |row| Some(row.accuracy),
        of_run: |run| Some(run.accuracy),
        spread: |row| row.accuracy_std,
        text: percent,
    },
    Measure {
        title: "Time per step",
        of_row: |row| Some(row.step_ms),
        of_run: |run| Some(run.step_ms),
        spread: nothing,
        text: |ms| format!("{ms:.1} ms"),
    },
    Measure {
        title: "Peak memory",
        of_row: |row| row.peak_mib,
        of_run: |run| run.peak_mib,
        spread: nothing,
        text: |mib| format!("{mib:.0} MiB"),
    },
    Measure {
        title: "Shadow gap after the last epoch",
        of_row: |row| row.shadow_gap,
        of_run: |run| run.curve.last().and_then(|point| point.shadow_gap),
        spread: nothing,
        text: |gap| format!("{gap:.3}"),
    },
    Measure {
        title: "Share of positions refreshed in an epoch",
        of_row: |row| row.coverage,
        of_run: |run| run.curve.last().and_then(|point| point.coverage),
        spread: nothing,
        text: percent,
    },
    Measure {
        title: "Parameters",
        of_row: |row| Some(row.parameters as f64),
        of_run: |_| None,
        spread: nothing,
        text: |count| thousands(count as u64),
    },
];

/// One bar for each network and measure.
fn compare(rows: &[Row]) -> Result<Vec<String>> {
    let mut drawings = Vec::new();
    for measure in MEASURES {
        let bar = |row: &Row| {
            let value = (measure.of_row)(row)?;
            let text = (measure.text)(value);
            Some(Bar { label: row.label.clone(), value, spread: (measure.spread)(row), text })
        };
        // Only measures that some network differs in are worth a figure: those without Φ have no gap.
        let bars: Vec<_> = rows.iter().filter_map(bar).collect();
        if !bars.is_empty() {
            drawings.push(plots::bars(measure.title, &bars)?);
        }
    }
    Ok(drawings)
}

/// Lines over one axis of the experiment, one for each combination of everything else; rows that are no number on
/// that axis (all positions) are drawn as level lines.
fn over_abscissa(experiment: &ExperimentReport, abscissa: &str) -> Result<Vec<String>> {
    let place = |row: &Row| match abscissa {
        PARAMETERS => Some(row.parameters as f64),
        _ => row.coordinates.get(abscissa).copied().flatten(),
    };
    let mut ticks: Vec<f64> = experiment.rows.iter().filter_map(place).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let (Some(&first), Some(&last)) = (ticks.first(), ticks.last()) else { return Ok(vec![]) };
    let groups = row::groups(&experiment.rows);
    let x_axis = PlotAxis {
        description: abscissa,
        spacing: if first > 0.0 && last >= 8.0 * first { Spacing::Logarithmic } else { Spacing::Linear },
        text: &axis_number,
        ticks: Some(ticks.clone()),
    };
    let mut drawings = Vec::new();
    for measure in MEASURES {
        let mut series = Vec::new();
        for group in &groups {
            let members: Vec<_> = experiment.rows.iter().filter(|row| row.group == **group).collect();
            let line: Vec<_> =
                members.iter().filter_map(|row| Some((place(row)?, (measure.of_row)(row)?))).collect();
            if !line.is_empty() {
                let faint = seed_lines(&members, place, measure.of_run);
                series.push(Series { label: (*group).to_owned(), lines: vec![line], faint });
            }
            for row in members.iter().filter(|row| place(row).is_none()) {
                if let Some(value) = (measure.of_row)(row) {
                    let level = vec![(first, value), (last, value)];
                    series.push(Series { label: row.label.clone(), lines: vec![level], faint: vec![] });
                }
            }
        }
        // Parameters that do not change along the axis are no figure.
        let values = || series.iter().flat_map(|s| &s.lines).flatten().map(|&(_, y)| y);
        let varies = values().any(|y| values().next() != Some(y));
        if varies && !series.is_empty() {
            let y_axis =
                PlotAxis { description: "", spacing: Spacing::Linear, text: &measure.text, ticks: None };
            drawings.push(plots::lines(measure.title, &x_axis, &y_axis, &series)?);
        }
    }
    Ok(drawings)
}

/// A line for each seed, where there are several.
fn seed_lines(
    members: &[&Row],
    place: impl Fn(&Row) -> Option<f64>,
    measure: fn(&SeedRun) -> Option<f64>,
) -> Vec<Vec<(f64, f64)>> {
    let seeds = members.iter().map(|row| row.runs.len()).max().unwrap_or(0);
    if seeds < 2 {
        return vec![];
    }
    (0..seeds)
        .map(|seed| {
            let point = |row: &&Row| Some((place(row)?, measure(row.runs.get(seed)?)?));
            members.iter().filter_map(point).collect()
        })
        .collect()
}

/// Accuracy over the sizes of the test images, where networks were tested at several.
fn over_sizes(rows: &[Row]) -> Result<Option<String>> {
    let line = |row: &Row| Series {
        label: row.label.clone(),
        lines: vec![row.sizes.iter().map(|point| (point.size as f64, point.accuracy)).collect()],
        faint: vec![],
    };
    let series: Vec<_> = rows.iter().filter(|row| !row.sizes.is_empty()).map(line).collect();
    if series.is_empty() {
        return Ok(None);
    }
    let ticks = rows.iter().flat_map(|row| &row.sizes).map(|point| point.size as f64).collect();
    let x_axis = PlotAxis {
        description: "rows and columns of test images",
        spacing: Spacing::Linear,
        text: &axis_number,
        ticks: Some(ticks),
    };
    let y_axis = PlotAxis { description: "", spacing: Spacing::Linear, text: &percent, ticks: None };
    plots::lines("Test accuracy over image size", &x_axis, &y_axis, &series).map(Some)
}

/// Accuracy and loss over the epochs.
fn over_epochs(rows: &[Row]) -> Result<Vec<String>> {
    let mut drawings = Vec::new();
    let accuracy = curves(rows, |p| p.validation_accuracy, |p| p.train_accuracy);
    let loss = curves(rows, |p| p.validation_loss, |p| p.train_loss);
    let loss_text = |loss: f64| format!("{loss:.2}");
    let last = rows.iter().flat_map(|row| &row.runs).flat_map(|run| &run.curve).map(|p| p.epoch).max();
    let step = (last.unwrap_or(1) as usize).div_ceil(8);
    let ticks = (1..=last.unwrap_or(1)).step_by(step).map(|epoch| epoch as f64).collect();
    let x_axis = PlotAxis {
        description: "epochs",
        spacing: Spacing::Linear,
        text: &|epoch| format!("{epoch:.0}"),
        ticks: Some(ticks),
    };
    for (title, series, text) in [
        ("Accuracy: validation, and training (faint)", &accuracy, &percent as &dyn Fn(f64) -> String),
        ("Loss: validation, and training (faint)", &loss, &loss_text),
    ] {
        if series.iter().any(|series| !series.lines.is_empty() || !series.faint.is_empty()) {
            let y_axis = PlotAxis { description: "", spacing: Spacing::Linear, text, ticks: None };
            drawings.push(plots::lines(title, &x_axis, &y_axis, series)?);
        }
    }
    Ok(drawings)
}

fn curves(
    rows: &[Row],
    solid: fn(&EpochPoint) -> Option<f64>,
    faint: fn(&EpochPoint) -> Option<f64>,
) -> Vec<Series> {
    let lines = |row: &Row, measure: fn(&EpochPoint) -> Option<f64>| {
        let line = |curve: &[EpochPoint]| {
            curve.iter().filter_map(|point| Some((point.epoch as f64, measure(point)?))).collect::<Vec<_>>()
        };
        row.runs.iter().map(|run| line(&run.curve)).filter(|line| !line.is_empty()).collect()
    };
    let one =
        |row: &Row| Series { label: row.label.clone(), lines: lines(row, solid), faint: lines(row, faint) };
    rows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::experiment;
    use super::super::row::tests::{row, variant};
    use super::*;

    #[test]
    fn networks_without_an_axis_are_compared_by_bars() {
        let drawings = draw(&experiment(&[0.7, 0.8])).unwrap();
        // Six measures, and accuracy and loss over the epochs.
        assert_eq!(drawings.len(), 8);
        assert!(drawings[0].contains("75.0 %"));
    }

    #[test]
    fn figures_over_an_axis_have_a_level_line_for_what_is_no_number() {
        let mut report = experiment(&[0.7]);
        report.abscissa = Some("positions".to_owned());
        report.rows = [(Some(4096.0), 0.6), (Some(262_144.0), 0.7), (None, 0.8)]
            .map(|(x, accuracy)| row(&variant("all of them", x), &[accuracy, accuracy]))
            .into();
        let drawings = draw(&report).unwrap();
        let titles = |title: &str| drawings.iter().filter(|svg| svg.contains(title)).count();
        assert_eq!(titles("Test accuracy"), 1);
        assert_eq!(titles("Parameters"), 0, "they are the same everywhere");
        assert!(drawings[0].contains("2^12") && drawings[0].contains("all of them"));
    }
}
