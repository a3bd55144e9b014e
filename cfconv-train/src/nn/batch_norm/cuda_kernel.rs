//! Batch normalisation on the CUDA device: sums of each channel in chunks, then one pass over the values.

use super::{BatchNormOp, BatchNormSizes, BatchStatistics};
use crate::device::cuda::{ChannelSums, Grid, Launcher, Scratch, count, launch};
use crate::device::{Result, Span};
use crate::nn::activation::cuda_kernel::number;
use crate::nn::{Backward, Forward};

impl<L: Launcher> BatchNormOp for L {
    fn batch_norm_train_kernel(
        &self,
        sizes: &BatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let BatchStatistics { running, mut saved } = statistics;
        let Forward { batch, input, params, output } = io;
        let BatchNormSizes { channels, pixels, epsilon, momentum, activation } = *sizes;
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

    fn batch_norm_vjp_kernel(
        &self,
        sizes: &BatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        let input = io.checked_input();
        let Backward { batch, params, grad_output, grad_input, grad_params, .. } = io;
        let BatchNormSizes { channels, pixels, activation, .. } = *sizes;
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

    fn batch_norm_eval_kernel(
        &self,
        sizes: &BatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let BatchNormSizes { channels, pixels, epsilon, activation, .. } = *sizes;
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
