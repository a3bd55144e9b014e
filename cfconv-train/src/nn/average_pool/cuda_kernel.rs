//! Average pooling on the CUDA device.

use super::{AveragePoolOp, PoolSizes};
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> AveragePoolOp for L {
    fn average_pool(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        input.expect_len("average_pool", "input", sizes.input_len(batch))?;
        output.expect_len("average_pool", "output", sizes.output_len(batch))?;
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(output.len()), L::THREADS);
        launch!(self, "average_pool", grid, input, output, channels, height, width, size, stride, batch)
    }

    fn average_pool_adjoint(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_output.expect_len("average_pool_adjoint", "grad_output", sizes.output_len(batch))?;
        grad_input.expect_len("average_pool_adjoint", "grad_input", sizes.input_len(batch))?;
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(grad_input.len()), L::THREADS);
        launch!(
            self,
            "average_pool_adjoint",
            grid,
            grad_output,
            grad_input,
            channels,
            height,
            width,
            size,
            stride,
            batch
        )
    }
}
