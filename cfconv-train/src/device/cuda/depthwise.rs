//! Depthwise convolutions in space.

use cfconv_core::engine::{DepthwiseConvSizes, PaddingMode};

use super::{ConvolutionOperands, Grid, Launcher, SpatialConvolution, count, launch};
use crate::device::{Result, Span, SpanMut};

/// A convolution of each channel with its own k×k weights.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConvolution(pub(crate) DepthwiseConvSizes);

impl SpatialConvolution for DepthwiseConvolution {
    fn num_weights(&self) -> usize {
        self.0.num_weights()
    }

    fn pixels(&self) -> usize {
        self.0.height * self.0.width
    }

    fn apply<L: Launcher>(
        &self,
        device: &L,
        adjoint: bool,
        operands: ConvolutionOperands<'_, L>,
    ) -> Result<()> {
        let DepthwiseConvSizes { channels, height, width, kernel_size, padding } = self.0;
        let ConvolutionOperands { batch, input, weight, bias, output } = operands;
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
            padding == PaddingMode::Circular,
            adjoint
        )
    }

    fn backward_weight<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        grad_output: Span<'_, L>,
        grad_weight: SpanMut<'_, L>,
    ) -> Result<()> {
        let DepthwiseConvSizes { channels, height, width, kernel_size, padding } = self.0;
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
            padding == PaddingMode::Circular
        )
    }
}
