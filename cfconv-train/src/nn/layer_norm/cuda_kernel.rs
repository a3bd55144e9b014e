//! Layer normalisation on the CUDA device: one thread for each pixel of each image.

use super::{LayerNormOp, LayerNormSizes};
use crate::device::cuda::{ChannelSums, Grid, Launcher, Scratch, count, launch};
use crate::device::{Result, Span};
use crate::nn::{Backward, Forward};

impl<L: Launcher> LayerNormOp for L {
    fn layer_norm_kernel(&self, sizes: &LayerNormSizes, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let statistics = statistics(self, sizes, batch, input)?;
        let (grid, plane) = (Grid::over(count(input.len()), L::THREADS), sizes.pixels * batch);
        launch!(
            self,
            "layer_norm_apply",
            grid,
            input,
            params,
            statistics.all(),
            output,
            sizes.channels,
            count(plane)
        )
    }

    fn layer_norm_vjp_kernel(&self, sizes: &LayerNormSizes, io: Backward<'_, Self>) -> Result<()> {
        let input = io.checked_input();
        let Backward { batch, params, grad_output, grad_input, grad_params, .. } = io;
        let channels = sizes.channels;
        let plane = sizes.pixels * batch;
        let statistics = statistics(self, sizes, batch, input)?;
        // 1. dγ = Σ dy·x̂ and dβ = Σ dy.
        let sums = ChannelSums::new::<L>(channels, plane);
        let mut partial = sums.partial(self, 2)?;
        launch!(
            self,
            "layer_norm_gradient_sums",
            sums.grid::<L>(2),
            input,
            statistics.all(),
            grad_output,
            partial.all_mut(),
            count(plane)
        )?;
        sums.add_two(self, &partial, grad_params)?;
        // 2. dx.
        let Some(grad_input) = grad_input else { return Ok(()) };
        launch!(
            self,
            "layer_norm_gradient_input",
            Grid::over(count(plane), L::THREADS),
            input,
            params,
            statistics.all(),
            grad_output,
            grad_input,
            channels,
            count(plane)
        )
    }
}

/// Mean and 1/√(σ² + ε) of each pixel of each image.
fn statistics<L: Launcher>(
    device: &L,
    sizes: &LayerNormSizes,
    batch: usize,
    input: Span<'_, L>,
) -> Result<Scratch<L>> {
    let plane = sizes.pixels * batch;
    let mut statistics = Scratch::new(device, 2 * plane)?;
    let grid = Grid::over(count(plane), L::THREADS);
    launch!(
        device,
        "layer_norm_statistics",
        grid,
        input,
        statistics.all_mut(),
        sizes.channels,
        count(plane),
        sizes.epsilon
    )?;
    Ok(statistics)
}
