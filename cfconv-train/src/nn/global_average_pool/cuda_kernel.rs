//! Global average pooling on the CUDA device.

use super::GlobalAveragePoolOp;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> GlobalAveragePoolOp for L {
    fn global_average_pool(
        &self,
        pixels: usize,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        input.expect_len("global_average_pool", "input", output.len() * pixels)?;
        let (grid, channels) = (Grid::over(count(output.len()), L::THREADS), output.len() / batch);
        launch!(self, "global_average_pool", grid, input, output, channels, pixels, batch)
    }

    fn global_average_pool_adjoint(
        &self,
        pixels: usize,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_input.expect_len("global_average_pool_adjoint", "grad_input", grad_output.len() * pixels)?;
        let (grid, channels) = (Grid::over(count(grad_input.len()), L::THREADS), grad_output.len() / batch);
        launch!(self, "global_average_pool_adjoint", grid, grad_output, grad_input, channels, pixels, batch)
    }
}
