//! How many positions a step needs, and power laws for it.

use serde::{Deserialize, Serialize};

use super::power_law_fit::PowerLaw;
use super::row::{self, Row};

/// Share of the accuracy of all positions that is enough.
const SHARE: f64 = 0.99;

/// The axis of numbers of positions.
const POSITIONS: &str = "positions";

/// Largest shadow gap of a kernel state that counts as up to date.
const SMALL_GAP: f64 = 0.02;

/// What enough positions have to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Criterion {
    /// A share of the accuracy of all positions.
    Accuracy,
    /// A small shadow gap after the last epoch, which has hardly any noise, whatever a network has learned.
    ShadowGap,
}

impl Criterion {
    /// The heading of its law.
    pub(crate) fn heading(self) -> String {
        match self {
            Self::Accuracy => {
                format!("Positions that reach {:.0} % of the accuracy of all positions", 100.0 * SHARE)
            }
            Self::ShadowGap => format!("Positions that keep the shadow gap at {SMALL_GAP}"),
        }
    }

    /// What the positions of a row reach; more is better.
    fn reached(self, row: &Row) -> Option<f64> {
        match self {
            Self::Accuracy => Some(row.accuracy),
            Self::ShadowGap => row.shadow_gap.map(|gap| -gap),
        }
    }

    fn goal(self, dense: &Row) -> f64 {
        match self {
            Self::Accuracy => SHARE * dense.accuracy,
            Self::ShadowGap => -SMALL_GAP,
        }
    }
}

/// The positions that the cells of an experiment need, and laws for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PositionsLaw {
    pub(crate) criterion: Criterion,
    pub(crate) cells: Vec<Cell>,
    /// By the axes of the experiment; absent if too few cells have a known number.
    pub(crate) by_axes: Option<PowerLaw>,
    /// By the number of positions of the largest kernel only, which a layer knows.
    pub(crate) by_kernel: Option<PowerLaw>,
}

/// The positions that one network needs on one kind of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) label: String,
    /// Its place on the axes other than the positions.
    pub(crate) coordinates: Vec<(String, f64)>,
    /// Accuracy with all positions.
    pub(crate) dense_accuracy: f64,
    /// Positions of its largest kernel.
    pub(crate) whole: Option<f64>,
    /// Number that reaches the goal; absent if no number that was tried does.
    pub(crate) positions: Option<f64>,
    /// Whether the smallest number that was tried already reaches the goal and so is an upper bound.
    pub(crate) at_most: bool,
}

/// Finds the positions that each cell needs and fits laws to those that are known.
pub(crate) fn fit(rows: &[Row], criterion: Criterion) -> PositionsLaw {
    let cells: Vec<_> =
        row::groups(rows).into_iter().filter_map(|group| cell(rows, group, criterion)).collect();
    let known = || cells.iter().filter(|cell| !cell.at_most).filter_map(|cell| Some((cell, cell.positions?)));
    let by_axes = known().map(|(cell, positions)| (cell.coordinates.clone(), positions));
    let kernel = |cell: &Cell| Some(vec![("kernel".to_owned(), cell.whole?)]);
    let by_kernel = known().filter_map(|(cell, positions)| Some((kernel(cell)?, positions)));
    let (by_axes, by_kernel) = (PowerLaw::fit(by_axes.collect()), PowerLaw::fit(by_kernel.collect()));
    PositionsLaw { criterion, cells, by_axes, by_kernel }
}

impl PositionsLaw {
    /// The law by the axes as a formula, or why there is none.
    pub(crate) fn formula(&self) -> String {
        let no_law = || {
            let known = self.cells.iter().filter(|cell| cell.positions.is_some() && !cell.at_most);
            format!(
                "No law: {} of {} networks need a number of positions between those tried, too few to fit.",
                known.count(),
                self.cells.len()
            )
        };
        self.by_axes.as_ref().map_or_else(no_law, PowerLaw::formula)
    }

    /// The laws that could be fitted.
    pub(crate) fn laws(&self) -> impl Iterator<Item = &PowerLaw> {
        self.by_axes.iter().chain(&self.by_kernel)
    }

    /// The least and the largest share of a network's largest kernel that is needed.
    pub(crate) fn shares(&self) -> Option<(f64, f64)> {
        let shares = || self.cells.iter().filter_map(|cell| Some(cell.positions? / cell.whole?));
        Some((shares().reduce(f64::min)?, shares().reduce(f64::max)?))
    }
}

/// `None` if the cell lacks a row with all positions.
fn cell(rows: &[Row], group: &str, criterion: Criterion) -> Option<Cell> {
    let members: Vec<_> = rows.iter().filter(|row| row.group == group).collect();
    let positions = |row: &Row| row.coordinates.get(POSITIONS).copied().flatten();
    let dense = members.iter().find(|row| positions(row).is_none())?;
    // No network needs more than its whole kernel.
    let whole = members.iter().filter_map(|row| row.kernel_positions).reduce(f64::max);
    let visited = |row: &Row| match whole {
        Some(whole) => Some(positions(row).map_or(whole, |number| number.min(whole))),
        None => positions(row),
    };
    let mut curve: Vec<(f64, f64)> =
        members.iter().filter_map(|row| Some((visited(row)?, criterion.reached(row)?))).collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    curve.dedup_by_key(|point| point.0);
    let goal = criterion.goal(dense);
    let coordinates = dense
        .coordinates
        .iter()
        .filter(|(name, _)| name.as_str() != POSITIONS)
        .filter_map(|(name, place)| Some((name.clone(), (*place)?)))
        .collect();
    Some(Cell {
        label: group.to_owned(),
        coordinates,
        dense_accuracy: dense.accuracy,
        whole,
        positions: crossing(&curve, goal),
        at_most: curve.first().is_some_and(|&(_, reached)| reached >= goal),
    })
}

/// Where a curve over positions reaches `goal` and stays there, interpolated on the logarithm of the positions.
fn crossing(curve: &[(f64, f64)], goal: f64) -> Option<f64> {
    let reached = curve.iter().rposition(|&(_, accuracy)| accuracy < goal).map_or(0, |last| last + 1);
    let &(right, above) = curve.get(reached)?;
    let Some(&(left, below)) = reached.checked_sub(1).and_then(|before| curve.get(before)) else {
        return Some(right);
    };
    let share = (goal - below) / (above - below);
    Some((left.log2() + share * (right.log2() - left.log2())).exp2())
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{row, variant};
    use super::*;

    fn fit(rows: &[Row]) -> PositionsLaw {
        super::fit(rows, Criterion::Accuracy)
    }

    /// Accuracies that cross 99 % of `dense` exactly at `needed` positions.
    fn rows_of(group: &str, size: f64, channels: f64, needed: f64) -> Vec<Row> {
        let dense = 0.8;
        [Some(16.0), Some(256.0), Some(4096.0), Some(65536.0), None]
            .into_iter()
            .map(|positions: Option<f64>| {
                let accuracy =
                    positions.map_or(dense, |p| SHARE * dense + 0.001 * (p.log2() - needed.log2()));
                let mut variant = variant(group, positions);
                variant.group = group.to_owned();
                variant.coordinates.push(("size".to_owned(), Some(size)));
                variant.coordinates.push(("channels".to_owned(), Some(channels)));
                row(&variant, &[accuracy])
            })
            .collect()
    }

    /// Networks at some sizes and channels that need what a function of these says.
    fn rows_that_need(cells: &[(f64, f64)], needed: impl Fn(f64, f64) -> f64) -> Vec<Row> {
        let rows = |&(size, channels): &(f64, f64)| {
            rows_of(&format!("{size} {channels}"), size, channels, needed(size, channels))
        };
        cells.iter().flat_map(rows).collect()
    }

    #[test]
    fn crossing_is_found_on_the_logarithm() {
        assert_eq!(crossing(&[(4.0, 0.5), (16.0, 0.7)], 0.6).unwrap().round(), 8.0);
        assert_eq!(crossing(&[(4.0, 0.5), (16.0, 0.7)], 0.4), Some(4.0), "the first reaches it");
        assert_eq!(crossing(&[(4.0, 0.5), (16.0, 0.7)], 0.8), None);
        // What falls below again has not reached it.
        assert_eq!(crossing(&[(2.0, 0.9), (4.0, 0.5), (16.0, 0.7)], 0.6).unwrap().round(), 8.0);
    }

    #[test]
    fn a_law_that_holds_is_found() {
        let cells = [(16.0, 8.0), (16.0, 32.0), (32.0, 8.0), (32.0, 32.0), (64.0, 16.0)];
        let law = fit(&rows_that_need(&cells, |size, channels| 4.0 * size * channels.sqrt()));
        assert_eq!(law.cells.len(), 5);
        let by_axes = law.by_axes.as_ref().unwrap();
        let term = |name: &str| by_axes.terms.iter().find(|term| term.name == name).unwrap();
        assert!((term("size").value - 1.0).abs() < 1e-6, "{law:?}");
        assert!((term("channels").value - 0.5).abs() < 1e-6, "{law:?}");
        assert!(term("size").low <= term("size").value && by_axes.r_squared > 0.999, "{law:?}");
        assert!(law.formula().starts_with("positions = "), "{}", law.formula());
    }

    #[test]
    fn a_law_of_the_gap_does_not_depend_on_the_accuracy() {
        let mut rows = rows_that_need(&[(16.0, 8.0), (16.0, 32.0), (32.0, 8.0), (32.0, 32.0)], |_, _| 1.0);
        for row in &mut rows {
            let at = |name: &str| row.coordinates[name];
            let (size, channels) = (at("size").unwrap(), at("channels").unwrap());
            // 0.02 at size²·channels/4 positions.
            row.shadow_gap = Some(at(POSITIONS).map_or(0.0, |p| 0.02 * size * size * channels / 4.0 / p));
        }
        let law = super::fit(&rows, Criterion::ShadowGap);
        let terms = &law.by_axes.as_ref().unwrap().terms;
        let term = |name: &str| terms.iter().find(|term| term.name == name).unwrap().value;
        // The crossing is found on a straight line between points that are four octaves apart.
        assert!((term("size") - 2.0).abs() < 0.6 && (term("channels") - 1.0).abs() < 0.4, "{law:?}");
    }

    #[test]
    fn too_few_cells_make_no_law() {
        let law = fit(&rows_of("one", 16.0, 8.0, 1000.0));
        assert!(law.by_axes.is_none() && law.formula().contains("1 of 1"), "{}", law.formula());
        assert!(fit(&[]).cells.is_empty());
    }

    #[test]
    fn cells_without_a_crossing_say_so() {
        let never = fit(&rows_of("never", 16.0, 8.0, 1e9));
        assert_eq!((never.cells[0].positions, never.cells[0].at_most), (None, false));
        let always = fit(&rows_of("always", 16.0, 8.0, 2.0));
        assert_eq!((always.cells[0].positions, always.cells[0].at_most), (Some(16.0), true));
    }

    #[test]
    fn a_law_of_the_kernel_alone_is_found() {
        let whole = |size: f64, channels: f64| (size * channels).powi(2);
        let cells = [(8.0, 8.0), (8.0, 16.0), (16.0, 16.0), (32.0, 16.0)];
        let mut rows = rows_that_need(&cells, |size, channels| 3.0 * whole(size, channels).powf(0.75));
        for row in &mut rows {
            let at = |name: &str| row.coordinates[name].unwrap();
            row.kernel_positions = Some(whole(at("size"), at("channels")));
        }
        let law = fit(&rows);
        let by_kernel = law.by_kernel.as_ref().unwrap();
        // Points at the end of a curve are where the whole kernel is, not where the rows say.
        let exponent = by_kernel.terms[1].value;
        assert!((exponent - 0.75).abs() < 0.1 && by_kernel.r_squared > 0.98, "{law:?}");
        assert!(by_kernel.formula().contains(" · kernel^0."), "{}", by_kernel.formula());
        assert_eq!(law.laws().count(), 2);
    }

    #[test]
    fn no_network_needs_more_than_its_whole_kernel() {
        // 65536 positions are all of 10,000, and 4096 are not enough.
        let mut rows = rows_of("small", 16.0, 8.0, 12_000.0);
        for row in &mut rows {
            row.kernel_positions = Some(10_000.0);
            if row.coordinates[POSITIONS] == Some(65536.0) {
                row.accuracy = 0.8;
            }
        }
        let law = fit(&rows);
        let cell = &law.cells[0];
        let needed = cell.positions.unwrap();
        assert_eq!((cell.whole, cell.at_most), (Some(10_000.0), false));
        assert!((4096.0..=10_000.0).contains(&needed), "{needed}");
        // The goal, 99 % of 0.8, lies most of the way from 4096's 0.7904 to the whole kernel's 0.8.
        let share = (0.792 - rows[2].accuracy) / (0.8 - rows[2].accuracy);
        let expected = (12.0 + share * (10_000.0_f64.log2() - 12.0)).exp2();
        assert!((needed / expected - 1.0).abs() < 1e-9, "{needed} {expected}");
        assert_eq!(law.shares(), Some((needed / 10_000.0, needed / 10_000.0)));
    }
}
