//! The figures of an experiment.

use anyhow::Result;

use super::columns;
use super::report::TrainingResults;
use super::row::{self, Row, SeedRun};
use super::run_folder::EpochPoint;
use super::seeds::MeanStd;
use crate::number_text::{axis_number, axis_percent, mib, short, thousands};
use crate::plots::{self, Bar, Base, PlotAxis, SERIES_COLOURS, Series, Spacing, distinct};

/// Draws an experiment: over its abscissa if it has one, else a bar for each network. Adds curves over sizes and
/// epochs if the networks are few enough to tell apart.
pub(crate) fn draw(results: &TrainingResults) -> Result<Vec<String>> {
    let rows = &results.rows;
    let mut drawings = match &results.abscissa {
        Some(abscissa) => over_abscissa(rows, abscissa)?,
        None => compare(rows)?,
    };
    if rows.len() <= SERIES_COLOURS {
        drawings.extend(over_sizes(rows)?);
        drawings.extend(over_epochs(rows)?);
    }
    Ok(drawings)
}

/// A measure: its title, its value for a network and for one run, and the text of a value.
type Measure = (&'static str, fn(&Row) -> Option<f64>, fn(&SeedRun) -> Option<f64>, fn(f64) -> String);

const ACCURACY: &str = "Test accuracy";

const MEASURES: &[Measure] = &[
    (ACCURACY, |row| Some(row.accuracy), |run| run.summary.accuracy, axis_percent),
    (
        "Time per step",
        |row| Some(row.step_ms),
        |run| Some(run.summary.step_ms),
        |ms| format!("{} ms", short(ms)),
    ),
    ("Peak memory", |row| row.peak_mib, |run| run.summary.peak_mib, mib),
    (
        "Shadow gap after the last epoch",
        |row| row.shadow_gap,
        |run| run.last(|point| point.shadow_gap),
        short,
    ),
    (
        "Share of positions refreshed in an epoch",
        |row| row.coverage,
        |run| run.last(|point| point.coverage),
        axis_percent,
    ),
    ("Parameters", |row| Some(row.parameters as f64), |_| None, |count| thousands(count as u64)),
];

/// One figure for each measure that some network has, with a bar for each network and its deviation over the seeds.
/// Accuracies are close together and begin where they differ; bars of amounts begin at zero, as amounts do.
fn compare(rows: &[Row]) -> Result<Vec<String>> {
    let mut drawings = Vec::new();
    for (title, of_row, of_run, text) in MEASURES {
        let is_accuracy = *title == ACCURACY;
        let base = if is_accuracy { Base::NearValues } else { Base::Zero };
        let bar = |row: &Row| {
            let value = of_row(row)?;
            let over_seeds: Vec<f64> = row.runs.iter().filter_map(of_run).collect();
            let spread = MeanStd::of(&over_seeds).and_then(|value| value.std);
            let text = if is_accuracy { columns::accuracy(row) } else { text(value) };
            Some(Bar { label: row.label.clone(), value, spread, text })
        };
        let bars: Vec<_> = rows.iter().filter_map(bar).collect();
        if !bars.is_empty() {
            drawings.push(plots::bars(title, &bars, base, text)?);
        }
    }
    Ok(drawings)
}

/// Lines over one axis of the experiment, one for each combination of everything else. A row whose place is not a
/// number (all positions) becomes a level line.
fn over_abscissa(rows: &[Row], abscissa: &str) -> Result<Vec<String>> {
    let place = |row: &Row| row.place(abscissa);
    let ticks = distinct(rows.iter().filter_map(place));
    let (Some(&first), Some(&last)) = (ticks.first(), ticks.last()) else { return Ok(vec![]) };
    let spacing = if first > 0.0 && last >= 8.0 * first { Spacing::Logarithmic } else { Spacing::Linear };
    let x_axis = PlotAxis { description: abscissa, spacing, text: &axis_number, ticks: Some(ticks) };
    let mut drawings = Vec::new();
    for (title, of_row, of_run, text) in MEASURES {
        let mut series = Vec::new();
        for group in row::groups(rows) {
            let members: Vec<_> = rows.iter().filter(|row| row.group == group).collect();
            let point = |row: &&Row| Some((place(row)?, of_row(row)?));
            let line: Vec<_> = members.iter().filter_map(point).collect();
            if !line.is_empty() {
                let faint = seed_lines(&members, place, *of_run);
                series.push(Series { faint, ..Series::line(group, line) });
            }
            for row in members.iter().filter(|row| place(row).is_none()) {
                let level = |value| Series::line(&row.label, vec![(first, value), (last, value)]);
                series.extend(of_row(row).map(level));
            }
        }
        // A measure that reads the same everywhere needs no figure.
        let texts = || series.iter().flat_map(|s| &s.lines).flatten().map(|&(_, y)| text(y));
        if texts().any(|text| texts().next() != Some(text)) {
            let y_axis = PlotAxis::plain(Spacing::Linear, text);
            drawings.push(plots::lines(title, &x_axis, &y_axis, &series)?);
        }
    }
    Ok(drawings)
}

/// A line for each seed, if there are several.
fn seed_lines(
    members: &[&Row],
    place: impl Fn(&Row) -> Option<f64>,
    measure: fn(&SeedRun) -> Option<f64>,
) -> Vec<Vec<(f64, f64)>> {
    let seeds = members.iter().map(|row| row.runs.len()).max().filter(|&seeds| seeds > 1).unwrap_or(0);
    let line = |seed| {
        let point = |row: &&Row| Some((place(row)?, measure(row.runs.get(seed)?)?));
        members.iter().filter_map(point).collect()
    };
    (0..seeds).map(line).collect()
}

/// Accuracy over the sizes of the test images, if networks were tested at several.
fn over_sizes(rows: &[Row]) -> Result<Option<String>> {
    let line = |row: &Row| {
        let points = row.sizes.iter().map(|point| (point.size as f64, point.accuracy));
        Series::line(&row.label, points.collect())
    };
    let series: Vec<_> = rows.iter().filter(|row| !row.sizes.is_empty()).map(line).collect();
    if series.is_empty() {
        return Ok(None);
    }
    let x_axis = PlotAxis {
        description: "rows and columns of test images",
        ticks: Some(distinct(rows.iter().flat_map(|row| &row.sizes).map(|point| point.size as f64))),
        ..PlotAxis::plain(Spacing::Linear, &axis_number)
    };
    let y_axis = PlotAxis::plain(Spacing::Linear, &axis_percent);
    plots::lines("Test accuracy over image size", &x_axis, &y_axis, &series).map(Some)
}

/// Accuracy and loss over the epochs.
fn over_epochs(rows: &[Row]) -> Result<Vec<String>> {
    let accuracy = curves(rows, |p| p.validation_accuracy, |p| p.train_accuracy);
    let loss = curves(rows, |p| p.validation_loss, |p| p.train_loss);
    let loss_text = |loss: f64| format!("{loss:.2}");
    let last = rows.iter().flat_map(|row| &row.runs).flat_map(|run| &run.curve).map(|p| p.epoch).max();
    let last = last.unwrap_or(1);
    let x_axis = PlotAxis {
        description: "epochs",
        ticks: Some((1..=last).step_by(last.div_ceil(8) as usize).map(|epoch| epoch as f64).collect()),
        ..PlotAxis::plain(Spacing::Linear, &|epoch| format!("{epoch:.0}"))
    };
    let mut drawings = Vec::new();
    for (title, series, text) in [
        ("Accuracy: validation, and training (faint)", &accuracy, &axis_percent as &dyn Fn(f64) -> String),
        ("Loss: validation, and training (faint)", &loss, &loss_text),
    ] {
        if series.iter().any(|series| !series.lines.is_empty() || !series.faint.is_empty()) {
            let y_axis = PlotAxis::plain(Spacing::Linear, text);
            drawings.push(plots::lines(title, &x_axis, &y_axis, series)?);
        }
    }
    Ok(drawings)
}

/// The runs of each network: solid by one measure, faint by another.
fn curves(
    rows: &[Row],
    solid: fn(&EpochPoint) -> Option<f64>,
    faint: fn(&EpochPoint) -> Option<f64>,
) -> Vec<Series> {
    let lines = |row: &Row, measure: fn(&EpochPoint) -> Option<f64>| {
        let point = |point: &EpochPoint| Some((point.epoch as f64, measure(point)?));
        let lines = row.runs.iter().map(|run| run.curve.iter().filter_map(point).collect::<Vec<_>>());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let one =
        |row: &Row| Series { label: row.label.clone(), lines: lines(row, solid), faint: lines(row, faint) };
    rows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::trained;
    use super::super::row::tests::{row, variant};
    use super::*;

    #[test]
    fn networks_without_an_axis_are_compared_by_bars() {
        let drawings = draw(&trained(&[0.7, 0.8])).unwrap();
        // Six measures, and accuracy and loss over the epochs.
        assert_eq!(drawings.len(), 8);
        assert!(drawings[0].contains("75.0 % ± 7.1") && drawings[0].contains("v8"), "with a whisker");
        assert!(drawings[0].contains("the axis begins at"), "accuracies are close together");
        assert!(!drawings[1].contains("the axis begins at"), "times begin at zero");
    }

    #[test]
    fn figures_over_an_axis_have_a_level_line_for_a_place_that_is_not_a_number() {
        let mut results = trained(&[0.7]);
        results.abscissa = Some("positions".to_owned());
        results.rows = [(Some(4096.0), 0.6), (Some(262_144.0), 0.7), (None, 0.8)]
            .map(|(x, accuracy)| row(&variant("all of them", x), &[accuracy, accuracy]))
            .into();
        let drawings = draw(&results).unwrap();
        let titles = |title: &str| drawings.iter().filter(|svg| svg.contains(title)).count();
        assert_eq!(titles("Test accuracy"), 1);
        assert_eq!(titles("Parameters"), 0, "they are the same everywhere");
        assert!(drawings[0].contains("2^12") && drawings[0].contains("all of them"));
    }
}
