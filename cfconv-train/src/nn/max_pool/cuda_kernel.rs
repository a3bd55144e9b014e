//! Max pooling on the CUDA device.

use dfdx::tensor::Storage;

use super::{MaxPoolOp, PoolSizes};
use crate::device::cuda::{Argument, Grid, Launcher, count, launch};
use crate::device::{IndexBuffer, Result, Span, SpanMut, check_len};

impl<L: Launcher> MaxPoolOp for L {
    fn max_pool(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        input: Span<'_, Self>,
        winners: Option<&mut IndexBuffer<Self>>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        let len = sizes.output_len(batch);
        input.expect_len("max_pool", "input", sizes.input_len(batch))?;
        output.expect_len("max_pool", "output", len)?;
        let winners = match winners {
            Some(winners) => {
                check_len("max_pool", "winners", len, Storage::<u32>::len(self, winners).min(len))?;
                Argument::WriteIndices(winners)
            }
            None => Argument::Absent,
        };
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(len), L::THREADS);
        launch!(self, "max_pool", grid, input, winners, output, channels, height, width, size, stride, batch)
    }

    fn max_pool_vjp(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        winners: &IndexBuffer<Self>,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        let len = sizes.output_len(batch);
        grad_output.expect_len("max_pool_vjp", "grad_output", len)?;
        grad_input.expect_len("max_pool_vjp", "grad_input", sizes.input_len(batch))?;
        check_len("max_pool_vjp", "winners", len, Storage::<u32>::len(self, winners).min(len))?;
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(grad_input.len()), L::THREADS);
        launch!(
            self,
            "max_pool_vjp",
            grid,
            Argument::ReadIndices(winners),
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
