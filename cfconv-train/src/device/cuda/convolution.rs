//! Convolutions in space as matrix products, for every operation that is one.

use cfconv_core::engine::{DirectConvSizes, PaddingMode};

use super::{ConvolutionOperands, Grid, Launcher, Scratch, SpatialConvolution, count, launch};
use crate::device::{DeviceError, Result, Span, SpanMut};

/// Threads of a block, and the rows and columns of its results: those of `kernels/convolution.cu`.
const THREADS: u32 = 256;
const TILE: usize = 64;
const INNER: usize = 16;

/// Blocks that the weight gradient is split into, about.
const GRADIENT_BLOCKS: usize = 512;

/// Columns of a chunk of the weight gradient, at least.
const COLUMNS_PER_CHUNK: usize = 1024;

/// A convolution with `[out_channels, in_channels, k, k]` weights. Working memory is taken while it runs.
#[derive(Clone, Copy, Debug)]
pub struct Convolution(pub(crate) DirectConvSizes);

impl Convolution {
    /// A matrix `[out_features, in_features]`, applied to each of `pixels` columns.
    pub(crate) fn pointwise(in_channels: usize, out_channels: usize, pixels: usize) -> Self {
        let padding = PaddingMode::Zeros;
        Self(DirectConvSizes { in_channels, out_channels, height: 1, width: pixels, kernel_size: 1, padding })
    }

    fn inner(&self) -> usize {
        self.0.in_channels * self.0.kernel_size * self.0.kernel_size
    }

    /// Pixels of all images, which the kernels number with 32 bits.
    fn columns(&self, op: &'static str, batch: usize) -> Result<usize> {
        let columns = self.pixels() * batch;
        if columns > i32::MAX as usize {
            let (name, expected) = ("height·width·batch", "fewer than 2^31");
            return Err(DeviceError::UnsupportedSize { op, name, expected, got: columns });
        }
        Ok(columns)
    }

    fn chunks(&self, columns: usize) -> usize {
        let tiles = self.inner().div_ceil(TILE) * self.0.out_channels.div_ceil(TILE);
        columns.div_ceil(COLUMNS_PER_CHUNK).min(GRADIENT_BLOCKS.div_ceil(tiles)).max(1)
    }

    /// Bytes that the partial sums of the weight gradient take at most, while it is computed.
    pub(crate) fn planned_bytes(&self) -> usize {
        let tiles = self.inner().div_ceil(TILE) * self.0.out_channels.div_ceil(TILE);
        GRADIENT_BLOCKS.div_ceil(tiles) * self.0.num_weights() * size_of::<f32>()
    }
}

impl SpatialConvolution for Convolution {
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
        let DirectConvSizes { height, width, kernel_size, padding, .. } = self.0;
        let (in_channels, out_channels) = match adjoint {
            false => (self.0.in_channels, self.0.out_channels),
            true => (self.0.out_channels, self.0.in_channels),
        };
        let ConvolutionOperands { batch, input, weight, bias, output } = operands;
        let columns = self.columns(if adjoint { "conv2d_vjp" } else { "conv2d" }, batch)?;
        let shared = INNER * (2 * TILE + 1) * size_of::<f32>();
        let grid = Grid::new([columns.div_ceil(TILE), out_channels.div_ceil(TILE), 1], THREADS);
        launch!(
            device,
            "conv2d",
            grid.with_shared(shared),
            input,
            weight,
            bias,
            output,
            in_channels,
            out_channels,
            height,
            width,
            kernel_size,
            batch,
            padding == PaddingMode::Circular,
            adjoint,
            device.tf32()
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
        let DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding } = self.0;
        let columns = self.columns("conv2d_vjp", batch)?;
        let (chunks, len) = (self.chunks(columns), grad_weight.len());
        let mut partial = Scratch::new(device, chunks * len)?;
        let shared = 2 * INNER * (TILE + 1) * size_of::<f32>();
        let blocks = [self.inner().div_ceil(TILE), out_channels.div_ceil(TILE), chunks];
        launch!(
            device,
            "conv2d_weight_gradient",
            Grid::new(blocks, THREADS).with_shared(shared),
            input,
            grad_output,
            partial.all_mut(),
            in_channels,
            out_channels,
            height,
            width,
            kernel_size,
            batch,
            padding == PaddingMode::Circular,
            device.tf32()
        )?;
        let grid = Grid::over(count(len), L::THREADS);
        launch!(device, "add_partials", grid, partial.all(), grad_weight, count(len), chunks)
    }
}
