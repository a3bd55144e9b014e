//! Position embedding on the CUDA device.

use super::PositionEmbeddingOp;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> PositionEmbeddingOp for L {
    fn position_embedding(
        &self,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "position_embedding";
        input.expect_len(OP, "input", params.len() * batch)?;
        output.expect_len(OP, "output", params.len() * batch)?;
        let len = count(input.len());
        launch!(self, "position_embedding", Grid::over(len, L::THREADS), input, params, output, batch, len)
    }

    fn position_embedding_vjp(
        &self,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "position_embedding_vjp";
        grad_output.expect_len(OP, "grad_output", grad_params.len() * batch)?;
        if let Some(grad_input) = grad_input {
            grad_input.expect_len(OP, "grad_input", grad_output.len())?;
            self.copy(grad_output, grad_input)?;
        }
        let positions = count(grad_params.len());
        let grid = Grid::over(positions, L::THREADS);
        launch!(self, "add_sums_over_images", grid, grad_output, grad_params, batch, positions)
    }
}
