//! Max pooling on the CUDA device.

use super::{MaxPoolOp, PoolSizes};
use crate::device::cuda::{Argument, Grid, Launcher, count, launch};
use crate::device::{IndexBuffer, Result};
use crate::nn::Forward;

impl<L: Launcher> MaxPoolOp for L {
    fn max_pool_kernel(
        &self,
        sizes: &PoolSizes,
        winners: Option<&mut IndexBuffer<Self>>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        let winners = winners.map_or(Argument::Absent, Argument::WriteIndices);
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(output.len()), L::THREADS);
        launch!(self, "max_pool", grid, input, winners, output, channels, height, width, size, stride, batch)
    }

    fn max_pool_vjp_kernel(
        &self,
        sizes: &PoolSizes,
        winners: &IndexBuffer<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let Forward { batch, input: grad_output, output: grad_input, .. } = io;
        let winners = Argument::ReadIndices(winners);
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(grad_input.len()), L::THREADS);
        launch!(
            self,
            "max_pool_vjp",
            grid,
            winners,
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
