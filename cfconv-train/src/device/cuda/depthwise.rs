//! Depthwise convolutions in space.

use super::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

/// Sizes of a convolution of each channel with its own k×k weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthwiseConvolution {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernel_size: usize,
    pub(crate) circular: bool,
}

impl DepthwiseConvolution {
    pub(crate) fn forward<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        weight: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        self.apply(device, false, batch, input, weight, bias, output)
    }

    pub(crate) fn backward_input<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        grad_output: Span<'_, L>,
        weight: Span<'_, L>,
        grad_input: SpanMut<'_, L>,
    ) -> Result<()> {
        self.apply(device, true, batch, grad_output, weight, None, grad_input)
    }

    fn apply<L: Launcher>(
        &self,
        device: &L,
        adjoint: bool,
        batch: usize,
        input: Span<'_, L>,
        weight: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        let Self { channels, height, width, kernel_size, circular } = *self;
        let grid = Grid::over(count(output.len()), L::THREADS);
        launch!(
            device,
            "depthwise_conv2d",
            grid,
            input,
            weight,
            bias,
            output,
            channels,
            height,
            width,
            kernel_size,
            batch,
            circular,
            adjoint
        )
    }

    /// Adds to the gradient of the weight.
    pub(crate) fn backward_weight<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        grad_output: Span<'_, L>,
        grad_weight: SpanMut<'_, L>,
    ) -> Result<()> {
        let Self { channels, height, width, kernel_size, circular } = *self;
        let grid = Grid::new([kernel_size * kernel_size, channels, 1], L::THREADS);
        launch!(
            device,
            "depthwise_weight_gradient",
            grid.with_shared(L::THREADS as usize * size_of::<f64>()),
            input,
            grad_output,
            grad_weight,
            channels,
            height,
            width,
            kernel_size,
            batch,
            circular
        )
    }
}
