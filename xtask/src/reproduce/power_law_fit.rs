//! Power laws, fitted by least squares on logarithms.

use serde::{Deserialize, Serialize};

/// Standard errors on either side of an exponent: about 95 % of a normal distribution.
const BAND: f64 = 1.96;

/// `log2(positions) = constant + Σ exponent · log2(coordinate)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PowerLaw {
    /// The constant first.
    pub(crate) terms: Vec<Term>,
    /// Share of the variance of log2(positions) that the law explains.
    pub(crate) r_squared: f64,
}

/// One term of a law, with the ends of its confidence band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Term {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl PowerLaw {
    /// Fits a law to numbers of positions at named coordinates; `None` if there are too few.
    pub(crate) fn fit(known: Vec<(Vec<(String, f64)>, f64)>) -> Option<Self> {
        let names = known.first()?.0.iter().map(|(name, _)| name.clone());
        let names: Vec<_> = std::iter::once("constant".to_owned()).chain(names).collect();
        let logarithms = |coordinates: &[(String, f64)]| {
            std::iter::once(1.0).chain(coordinates.iter().map(|(_, x)| x.log2())).collect()
        };
        let design: Vec<Vec<f64>> = known.iter().map(|(coordinates, _)| logarithms(coordinates)).collect();
        let target: Vec<f64> = known.iter().map(|(_, positions)| positions.log2()).collect();
        let (solution, r_squared) = least_squares(&design, &target)?;
        let term = |(name, (value, error)): (String, (f64, f64))| Term {
            name,
            value,
            low: value - BAND * error,
            high: value + BAND * error,
        };
        Some(Self { terms: names.into_iter().zip(solution).map(term).collect(), r_squared })
    }

    /// The law as a formula.
    pub(crate) fn formula(&self) -> String {
        let factor = self.terms.first().map_or(1.0, |term| term.value.exp2());
        let powers = self.terms.iter().skip(1).map(|term| format!(" · {}^{:.2}", term.name, term.value));
        // Three digits that count.
        let digits = (2 - factor.log10().floor() as i32).clamp(0, 9) as usize;
        format!("positions = {factor:.digits$}{}", powers.collect::<String>())
    }
}

/// Ordinary least squares by the normal equations: each unknown with its standard error, and R². `None` unless there
/// are more equations than unknowns and the columns are independent.
fn least_squares(design: &[Vec<f64>], target: &[f64]) -> Option<(Vec<(f64, f64)>, f64)> {
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
    let errors = (0..unknowns).map(|a| (variance * inverse[a][a].max(0.0)).sqrt());
    let r_squared = if total > 0.0 { 1.0 - residual / total } else { 1.0 };
    Some((values.iter().copied().zip(errors).collect(), r_squared))
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
    use super::*;

    #[test]
    fn inverse_times_matrix_is_one() {
        let inverse = invert(vec![vec![0.0, 2.0], vec![1.0, 3.0]]).unwrap();
        assert_eq!(inverse, [[-1.5, 1.0], [0.5, 0.0]]);
        assert!(invert(vec![vec![1.0, 2.0], vec![2.0, 4.0]]).is_none());
    }
}
