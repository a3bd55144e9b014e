//! The widest network that fits a number of parameters.

use crate::config::KernelMlpConfig;
use crate::{KernelGrid, MlpError, Result};

/// The widths that [`KernelMlpConfig::validate`] allows.
const LARGEST_WIDTH: usize = 4096;

/// Finds the largest `hidden_width` for which the kernels of all `grids`, with `other_parameters` more,
/// have at most `budget` parameters. `config.hidden_width` itself is not used.
///
/// # Errors
/// [`MlpError::BudgetTooSmall`] if hidden width 1 already needs more; errors of
/// [`KernelMlpConfig::num_parameters`].
///
/// # Examples
/// ```
/// use cfconv_mlp::{KernelGrid, KernelMlpConfig, solve_hidden_width};
///
/// // A layer is 4 → n → n → 2: n² + 8n + 2 parameters. Two of them and 100 more: 2·20² + 16·20 + 104 = 1224.
/// let grid = KernelGrid { height: 16, width: 16, in_channels: 8, out_channels: 8 };
/// let config = KernelMlpConfig::default();
/// assert_eq!(solve_hidden_width(&config, &[grid, grid], 100, 1224)?, 20);
/// assert_eq!(solve_hidden_width(&config, &[grid, grid], 100, 1223)?, 19);
/// # Ok::<(), cfconv_mlp::MlpError>(())
/// ```
pub fn solve_hidden_width(
    config: &KernelMlpConfig,
    grids: &[KernelGrid],
    other_parameters: usize,
    budget: usize,
) -> Result<usize> {
    let total = |hidden_width: usize| -> Result<usize> {
        let config = KernelMlpConfig { hidden_width, ..config.clone() };
        grids
            .iter()
            .try_fold(other_parameters, |sum, &grid| Ok(sum.saturating_add(config.num_parameters(grid)?)))
    };
    let needed = total(1)?;
    if needed > budget {
        return Err(MlpError::BudgetTooSmall { budget, needed });
    }
    // The count grows with the width: `fits` is within the budget, `exceeds` is not (or not allowed).
    let (mut fits, mut exceeds) = (1, LARGEST_WIDTH + 1);
    while exceeds - fits > 1 {
        let middle = (fits + exceeds) / 2;
        if total(middle)? <= budget {
            fits = middle;
        } else {
            exceeds = middle;
        }
    }
    Ok(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameterization;

    #[test]
    fn solved_width_fits_and_the_next_does_not() {
        let grids = [(3, 5), (16, 16), (32, 7)].map(|(in_channels, out_channels)| KernelGrid {
            height: 9,
            width: 9,
            in_channels,
            out_channels,
        });
        for parameterization in Parameterization::ALL {
            let config = KernelMlpConfig { parameterization, ..Default::default() };
            let total = |hidden_width| -> usize {
                let config = KernelMlpConfig { hidden_width, ..config.clone() };
                77 + grids.iter().map(|&grid| config.num_parameters(grid).unwrap()).sum::<usize>()
            };
            for budget in [30_000, 30_001, 59_000] {
                let width = solve_hidden_width(&config, &grids, 77, budget).unwrap();
                assert!(total(width) <= budget && total(width + 1) > budget, "{parameterization:?}: {width}");
            }
        }
    }

    #[test]
    fn a_budget_that_nothing_fits_is_refused() {
        let grid = KernelGrid { height: 4, width: 4, in_channels: 2, out_channels: 2 };
        let error = solve_hidden_width(&KernelMlpConfig::default(), &[grid], 0, 10).unwrap_err();
        assert_eq!(error.to_string(), "parameter budget 10 is too small: hidden width 1 already needs 11");
    }
}
