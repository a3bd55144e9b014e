//! How many positions a step needs: a power law over the size of the kernel and its bandwidth.

use serde::{Deserialize, Serialize};

use super::row::{self, Row};

/// Share of the accuracy of all positions that has to be reached.
const SHARE: f64 = 0.99;

/// The axis of numbers of positions.
const POSITIONS: &str = "positions";

/// Standard errors on either side of an exponent: about 95 % of a normal distribution.
const BAND: f64 = 1.96;

/// Largest shadow gap of a kernel state that counts as up to date.
const SMALL_GAP: f64 = 0.02;

/// What enough positions reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Criterion {
    /// A share of the accuracy of all positions.
    Accuracy,
    /// A small shadow gap after the last epoch: hardly any noise, whatever a network has learned.
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

    /// What a row's number of positions reaches: more is better.
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

/// What the cells of an experiment need, and laws for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PositionsLaw {
    pub(crate) criterion: Criterion,
    pub(crate) cells: Vec<Cell>,
    /// By the axes of the experiment; absent if too few cells need a known number.
    pub(crate) by_axes: Option<PowerLaw>,
    /// By the number of positions of the largest kernel alone: what a layer can go by.
    pub(crate) by_kernel: Option<PowerLaw>,
}

/// `log2(positions) = constant + Σ exponent · log2(coordinate)`, fitted by least squares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PowerLaw {
    /// The constant first.
    pub(crate) terms: Vec<Term>,
    /// Share of the variance of log2(positions) that the law explains.
    pub(crate) r_squared: f64,
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
    #[serde(default)]
    pub(crate) whole: Option<f64>,
    /// Number that reaches the share; absent if none that was tried does.
    pub(crate) positions: Option<f64>,
    /// Whether the smallest number that was tried reaches it already: then it is an upper bound.
    pub(crate) at_most: bool,
}

/// One term of the law, with the ends of its confidence band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Term {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Finds the positions that each cell needs and fits laws to those that are known.
pub(crate) fn fit(rows: &[Row], criterion: Criterion) -> PositionsLaw {
    let cells: Vec<_> =
        row::groups(rows).into_iter().filter_map(|group| cell(rows, group, criterion)).collect();
    let by_axes = PowerLaw::fit(&cells, |cell| Some(cell.coordinates.clone()));
    let by_kernel = PowerLaw::fit(&cells, |cell| Some(vec![("kernel".to_owned(), cell.whole?)]));
    PositionsLaw { criterion, cells, by_axes, by_kernel }
}

impl PowerLaw {
    /// `None` if there are too few cells with a known number.
    fn fit(cells: &[Cell], coordinates: impl Fn(&Cell) -> Option<Vec<(String, f64)>>) -> Option<Self> {
        let known: Vec<_> = cells
            .iter()
            .filter(|cell| !cell.at_most)
            .filter_map(|cell| Some((coordinates(cell)?, cell.positions?.log2())))
            .collect();
        let names = known.first()?.0.iter().map(|(name, _)| name.clone());
        let names: Vec<_> = std::iter::once("constant".to_owned()).chain(names).collect();
        let design: Vec<Vec<f64>> = known
            .iter()
            .map(|(coordinates, _)| {
                std::iter::once(1.0).chain(coordinates.iter().map(|(_, x)| x.log2())).collect()
            })
            .collect();
        let target: Vec<f64> = known.iter().map(|&(_, positions)| positions).collect();
        let solution = least_squares(&design, &target)?;
        let terms = names
            .into_iter()
            .zip(solution.values.iter().zip(&solution.errors))
            .map(|(name, (&value, error))| {
                let reach = BAND * error;
                Term { name, value, low: value - reach, high: value + reach }
            })
            .collect();
        Some(Self { terms, r_squared: solution.r_squared })
    }

    /// The law as a formula.
    pub(crate) fn formula(&self) -> String {
        let constant = self.terms.first().map_or(0.0, |term| term.value);
        let powers = self.terms.iter().skip(1).map(|term| format!(" · {}^{:.2}", term.name, term.value));
        format!("positions = {}{}", Shown(constant.exp2()), powers.collect::<String>())
    }
}

impl PositionsLaw {
    /// The law by the axes as a formula, or why there is none.
    pub(crate) fn formula(&self) -> String {
        self.by_axes.as_ref().map_or_else(
            || {
                let known = self.cells.iter().filter(|cell| cell.positions.is_some() && !cell.at_most);
                format!(
                    "No law: {} of {} networks need a number of positions between those that were tried, too few to fit.",
                    known.count(),
                    self.cells.len()
                )
            },
            PowerLaw::formula,
        )
    }

    /// The laws there are.
    pub(crate) fn laws(&self) -> impl Iterator<Item = &PowerLaw> {
        self.by_axes.iter().chain(&self.by_kernel)
    }

    /// The least and the largest share of a network's largest kernel that is needed.
    pub(crate) fn shares(&self) -> Option<(f64, f64)> {
        let shares = || self.cells.iter().filter_map(|cell| Some(cell.positions? / cell.whole?));
        Some((shares().reduce(f64::min)?, shares().reduce(f64::max)?))
    }
}

/// A number with three digits that count.
struct Shown(f64);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = (2 - self.0.abs().log10().floor() as i32).clamp(0, 9) as usize;
        write!(f, "{:.digits$}", self.0)
    }
}

/// `None` if the cell lacks a row with all positions.
fn cell(rows: &[Row], group: &str, criterion: Criterion) -> Option<Cell> {
    let members: Vec<_> = rows.iter().filter(|row| row.group == group).collect();
    let positions = |row: &Row| row.coordinates.get(POSITIONS).copied().flatten();
    let dense = members.iter().find(|row| positions(row).is_none())?;
    // A number larger than the kernel is the whole kernel, as all positions are: no network needs more.
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
    let crossing = crossing(&curve, goal);
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
        positions: crossing,
        at_most: curve.first().is_some_and(|&(_, reached)| reached >= goal),
    })
}

/// Where a curve over positions reaches `goal` for good, between points on the logarithm of the positions.
fn crossing(curve: &[(f64, f64)], goal: f64) -> Option<f64> {
    let reached = curve.iter().rposition(|&(_, accuracy)| accuracy < goal).map_or(0, |last| last + 1);
    let &(right, above) = curve.get(reached)?;
    let Some(&(left, below)) = reached.checked_sub(1).and_then(|before| curve.get(before)) else {
        return Some(right);
    };
    let share = (goal - below) / (above - below);
    Some((left.log2() + share * (right.log2() - left.log2())).exp2())
}

struct Solution {
    values: Vec<f64>,
    /// Standard errors.
    errors: Vec<f64>,
    r_squared: f64,
}

/// Ordinary least squares by the normal equations; `None` unless there are more equations than unknowns and the
/// columns are independent.
fn least_squares(design: &[Vec<f64>], target: &[f64]) -> Option<Solution> {
    let unknowns = design.first()?.len();
    let spare = design.len().checked_sub(unknowns).filter(|&spare| spare > 0)?;
    let sum = |a: usize, b: usize| design.iter().map(|row| row[a] * row[b]).sum::<f64>();
    let normal: Vec<Vec<f64>> = (0..unknowns).map(|a| (0..unknowns).map(|b| sum(a, b)).collect()).collect();
    let inverse = invert(normal)?;
    let moments: Vec<f64> =
        (0..unknowns).map(|a| design.iter().zip(target).map(|(row, y)| row[a] * y).sum::<f64>()).collect();
    let values: Vec<f64> =
        inverse.iter().map(|row| row.iter().zip(&moments).map(|(a, b)| a * b).sum()).collect();
    let predicted = |row: &Vec<f64>| row.iter().zip(&values).map(|(x, value)| x * value).sum::<f64>();
    let residual: f64 = design.iter().zip(target).map(|(row, y)| (y - predicted(row)).powi(2)).sum();
    let mean = target.iter().sum::<f64>() / target.len() as f64;
    let total: f64 = target.iter().map(|y| (y - mean).powi(2)).sum();
    let variance = residual / spare as f64;
    let errors = (0..unknowns).map(|a| (variance * inverse[a][a].max(0.0)).sqrt()).collect();
    Some(Solution { values, errors, r_squared: if total > 0.0 { 1.0 - residual / total } else { 1.0 } })
}

/// Gauss–Jordan elimination with pivots; `None` for a singular matrix.
fn invert(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    for (index, row) in matrix.iter_mut().enumerate() {
        row.extend((0..n).map(|column| f64::from(u8::from(column == index))));
    }
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-9 {
            return None;
        }
        matrix.swap(column, pivot);
        let scale = matrix[column][column];
        matrix[column].iter_mut().for_each(|value| *value /= scale);
        let pivot_row = matrix[column].clone();
        for (_, row) in matrix.iter_mut().enumerate().filter(|(index, _)| *index != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    Some(matrix.into_iter().map(|row| row[n..].to_vec()).collect())
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
        let rows: Vec<_> = [(16.0, 8.0), (16.0, 32.0), (32.0, 8.0), (32.0, 32.0), (64.0, 16.0)]
            .into_iter()
            .flat_map(|(size, channels): (f64, f64)| {
                let needed = 4.0 * size.powf(1.0) * channels.powf(0.5);
                rows_of(&format!("{size} {channels}"), size, channels, needed)
            })
            .collect();
        let law = fit(&rows);
        assert_eq!(law.cells.len(), 5);
        let by_axes = law.by_axes.as_ref().unwrap();
        let term = |name: &str| by_axes.terms.iter().find(|term| term.name == name).unwrap();
        assert!((term("size").value - 1.0).abs() < 1e-6, "{law:?}");
        assert!((term("channels").value - 0.5).abs() < 1e-6, "{law:?}");
        assert!(term("size").low <= term("size").value && by_axes.r_squared > 0.999, "{law:?}");
        assert!(law.formula().starts_with("positions = "), "{}", law.formula());
    }

    #[test]
    fn a_law_of_the_gap_does_not_ask_for_the_accuracy() {
        let mut rows: Vec<_> = [(16.0, 8.0), (16.0, 32.0), (32.0, 8.0), (32.0, 32.0)]
            .into_iter()
            .flat_map(|(size, channels)| rows_of(&format!("{size} {channels}"), size, channels, 1.0))
            .collect();
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
        let rows: Vec<_> = [(8.0, 8.0), (8.0, 16.0), (16.0, 16.0), (32.0, 16.0)]
            .into_iter()
            .flat_map(|(size, channels): (f64, f64)| {
                let whole = size * size * channels * channels;
                let mut rows = rows_of(&format!("{size} {channels}"), size, channels, 3.0 * whole.powf(0.75));
                rows.iter_mut().for_each(|row| row.kernel_positions = Some(whole));
                rows
            })
            .collect();
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

    #[test]
    fn inverse_times_matrix_is_one() {
        let inverse = invert(vec![vec![0.0, 2.0], vec![1.0, 3.0]]).unwrap();
        assert_eq!(inverse, [[-1.5, 1.0], [0.5, 0.0]]);
        assert!(invert(vec![vec![1.0, 2.0], vec![2.0, 4.0]]).is_none());
    }
}
