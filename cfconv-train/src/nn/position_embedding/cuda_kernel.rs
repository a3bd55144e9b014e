//! Position embedding on the CUDA device.

use super::PositionEmbeddingOp;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};
use crate::nn::Forward;

impl<L: Launcher> PositionEmbeddingOp for L {
    fn position_embedding_kernel(&self, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let len = count(input.len());
        launch!(self, "position_embedding", Grid::over(len, L::THREADS), input, params, output, batch, len)
    }

    fn add_sums_over_images(
        &self,
        batch: usize,
        values: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()> {
        let positions = count(sums.len());
        let grid = Grid::over(positions, L::THREADS);
        launch!(self, "add_sums_over_images", grid, values, sums, batch, positions)
    }
}
