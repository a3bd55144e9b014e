//! Global average pooling on the CUDA device.

use super::{GlobalAveragePoolOp, GlobalAveragePoolSizes};
use crate::device::Result;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::nn::Forward;

impl<L: Launcher> GlobalAveragePoolOp for L {
    fn global_average_pool_kernel(
        &self,
        sizes: &GlobalAveragePoolSizes,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let GlobalAveragePoolSizes { channels, pixels } = *sizes;
        let grid = Grid::over(count(io.output.len()), L::THREADS);
        launch!(self, "global_average_pool", grid, io.input, io.output, channels, pixels, io.batch)
    }

    fn global_average_pool_adjoint_kernel(
        &self,
        sizes: &GlobalAveragePoolSizes,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let GlobalAveragePoolSizes { channels, pixels } = *sizes;
        let grid = Grid::over(count(io.output.len()), L::THREADS);
        launch!(self, "global_average_pool_adjoint", grid, io.input, io.output, channels, pixels, io.batch)
    }
}
