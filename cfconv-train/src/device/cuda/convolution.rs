//! Convolutions in space as matrix products, for every operation that is one.

use super::{Grid, Launcher, Scratch, add_channel_sums, count, launch, part_mut};
use crate::device::{DeviceError, Result, Span, SpanMut};

/// Threads of a block, and the rows and columns of its results: those of `kernels/convolution.cu`.
const THREADS: u32 = 256;
const TILE: usize = 64;
const INNER: usize = 16;

/// Blocks that the weight gradient is split into, about.
const GRADIENT_BLOCKS: usize = 512;

/// Columns of a chunk of the weight gradient, at least.
const COLUMNS_PER_CHUNK: usize = 1024;

/// Sizes of a convolution with `[out_channels, in_channels, k, k]` weights, stride 1, output as large as the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernel_size: usize,
    pub(crate) circular: bool,
}

impl Convolution {
    /// A matrix `[out_features, in_features]`, applied to each of `pixels` columns.
    pub(crate) fn pointwise(in_channels: usize, out_channels: usize, pixels: usize) -> Self {
        Self { in_channels, out_channels, height: 1, width: pixels, kernel_size: 1, circular: false }
    }

    fn inner(&self) -> usize {
        self.in_channels * self.kernel_size * self.kernel_size
    }

    /// Pixels of all images, which the kernels number with 32 bits.
    fn columns(&self, op: &'static str, batch: usize) -> Result<usize> {
        let columns = self.height * self.width * batch;
        if columns > i32::MAX as usize {
            let (name, expected) = ("height·width·batch", "fewer than 2^31");
            return Err(DeviceError::UnsupportedSize { op, name, expected, got: columns });
        }
        Ok(columns)
    }

    fn chunks(&self, columns: usize) -> usize {
        let tiles = self.inner().div_ceil(TILE) * self.out_channels.div_ceil(TILE);
        columns.div_ceil(COLUMNS_PER_CHUNK).min(GRADIENT_BLOCKS.div_ceil(tiles)).max(1)
    }

    /// Bytes that the partial sums of the weight gradient take at most, while it is computed.
    pub(crate) fn planned_bytes(&self) -> usize {
        let tiles = self.inner().div_ceil(TILE) * self.out_channels.div_ceil(TILE);
        GRADIENT_BLOCKS.div_ceil(tiles) * self.out_channels * self.inner() * size_of::<f32>()
    }

    pub(crate) fn forward<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        weight: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        self.product(device, "conv2d", false, batch, input, weight, bias, output)
    }

    pub(crate) fn backward_input<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        grad_output: Span<'_, L>,
        weight: Span<'_, L>,
        grad_input: SpanMut<'_, L>,
    ) -> Result<()> {
        let transposed = Self { in_channels: self.out_channels, out_channels: self.in_channels, ..*self };
        transposed.product(device, "conv2d_vjp", true, batch, grad_output, weight, None, grad_input)
    }

    fn product<L: Launcher>(
        &self,
        device: &L,
        op: &'static str,
        adjoint: bool,
        batch: usize,
        input: Span<'_, L>,
        weight: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        let Self { in_channels, out_channels, height, width, kernel_size, circular } = *self;
        let columns = self.columns(op, batch)?;
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
            circular,
            adjoint,
            device.tf32()
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
        let Self { in_channels, out_channels, height, width, kernel_size, circular } = *self;
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
            circular,
            device.tf32()
        )?;
        let grid = Grid::over(count(len), L::THREADS);
        launch!(device, "add_partials", grid, partial.all(), grad_weight, count(len), chunks)
    }

    /// Adds to the gradients of parameters that are the weight and, if there are more, the bias.
    pub(crate) fn backward_params<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        grad_output: Span<'_, L>,
        mut grad_params: SpanMut<'_, L>,
    ) -> Result<()> {
        let (weights, len) = (self.out_channels * self.inner(), grad_params.len());
        self.backward_weight(device, batch, input, grad_output, part_mut(&mut grad_params, 0..weights))?;
        if len > weights {
            let plane = self.height * self.width * batch;
            add_channel_sums(device, grad_output, plane, part_mut(&mut grad_params, weights..len))?;
        }
        Ok(())
    }
}
