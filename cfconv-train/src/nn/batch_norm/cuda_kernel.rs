//! Batch normalisation on the CUDA device: sums of each channel in chunks, then one pass over the values.

use super::{BatchNormOp, BatchNormSizes};
use crate::device::cuda::{ChannelSums, Grid, Launcher, Scratch, count, launch};
use crate::device::{Result, Span, SpanMut};
use crate::nn::activation::cuda_kernel::number;

impl<L: Launcher> BatchNormOp for L {
    fn batch_norm_train(
        &self,
        sizes: &BatchNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        running: SpanMut<'_, Self>,
        mut saved: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "batch_norm_train";
        let BatchNormSizes { channels, pixels, epsilon, momentum, activation } = *sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        output.expect_len(OP, "output", sizes.len(batch))?;
        params.expect_len(OP, "params", 2 * channels)?;
        running.expect_len(OP, "running", 2 * channels)?;
        saved.expect_len(OP, "saved", 2 * channels)?;
        let plane = pixels * batch;
        let sums = ChannelSums::new::<L>(channels, plane);
        let mut partial = sums.partial(self, 2)?;
        launch!(self, "channel_moments", sums.grid::<L>(2), input, partial.all_mut(), count(plane))?;
        launch!(
            self,
            "batch_norm_statistics",
            sums.channel_grid::<L>(),
            input,
            partial.all(),
            running,
            saved.reborrow(),
            channels,
            sums.chunks(),
            count(plane),
            epsilon,
            momentum
        )?;
        let saved = saved.into_span();
        launch!(
            self,
            "batch_norm_apply",
            Grid::over(count(input.len()), L::THREADS),
            input,
            params,
            saved,
            output,
            channels,
            count(plane),
            number(activation),
            epsilon,
            false
        )
    }

    fn batch_norm_vjp(
        &self,
        sizes: &BatchNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        saved: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "batch_norm_vjp";
        let BatchNormSizes { channels, pixels, activation, .. } = *sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        grad_output.expect_len(OP, "grad_output", sizes.len(batch))?;
        if let Some(grad_input) = &grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.len(batch))?;
        }
        params.expect_len(OP, "params", 2 * channels)?;
        saved.expect_len(OP, "saved", 2 * channels)?;
        grad_params.expect_len(OP, "grad_params", 2 * channels)?;
        let plane = pixels * batch;
        let sums = ChannelSums::new::<L>(channels, plane);
        let mut partial = sums.partial(self, 2)?;
        launch!(
            self,
            "batch_norm_gradient_sums",
            sums.grid::<L>(2),
            input,
            params,
            saved,
            grad_output,
            partial.all_mut(),
            channels,
            count(plane),
            number(activation)
        )?;
        let mut totals = Scratch::new(self, 2 * channels)?;
        launch!(
            self,
            "add_channel_sums_2",
            sums.channel_grid::<L>(),
            partial.all(),
            grad_params,
            totals.all_mut(),
            channels,
            sums.chunks()
        )?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        launch!(
            self,
            "batch_norm_gradient_input",
            Grid::over(count(input.len()), L::THREADS),
            input,
            params,
            saved,
            totals.all(),
            grad_output,
            grad_input,
            channels,
            count(plane),
            number(activation)
        )
    }

    fn batch_norm_eval(
        &self,
        sizes: &BatchNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        running: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "batch_norm_eval";
        let BatchNormSizes { channels, pixels, epsilon, activation, .. } = *sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        output.expect_len(OP, "output", sizes.len(batch))?;
        params.expect_len(OP, "params", 2 * channels)?;
        running.expect_len(OP, "running", 2 * channels)?;
        launch!(
            self,
            "batch_norm_apply",
            Grid::over(count(input.len()), L::THREADS),
            input,
            params,
            running,
            output,
            channels,
            count(pixels * batch),
            number(activation),
            epsilon,
            true
        )
    }
}
