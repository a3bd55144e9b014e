//! Average pooling on the CUDA device.

use super::{AveragePoolOp, PoolSizes};
use crate::device::Result;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::nn::Forward;

impl<L: Launcher> AveragePoolOp for L {
    fn average_pool_kernel(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        let PoolSizes { channels, height, width, size, stride } = *sizes;
        let grid = Grid::over(count(output.len()), L::THREADS);
        launch!(self, "average_pool", grid, input, output, channels, height, width, size, stride, batch)
    }

    fn average_pool_adjoint_kernel(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input: grad_output, output: grad_input, .. } = io;
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
