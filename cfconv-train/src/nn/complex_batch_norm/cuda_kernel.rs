//! Complex batch normalisation on the CUDA device: a block for each ring of each channel, then one pass over the
//! values.

use super::{ComplexBatchNormOp, ComplexBatchNormSizes};
use crate::device::cuda::{Argument, Grid, Launcher, Scratch, count, launch};
use crate::device::{IndexBuffer, Result, Span};
use crate::nn::{Backward, BatchStatistics, Forward};

/// Numbers of a ring's map in each direction, and of its shares of the parameters' gradients.
const MAP: usize = 4;
const GRADIENT_MAP: usize = 10;
const SHARES: usize = 5;

impl<L: Launcher> ComplexBatchNormOp for L {
    fn complex_batch_norm_train_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let BatchStatistics { running, mut saved } = statistics;
        let rings = rings_of_bins(self, sizes)?;
        launch!(
            self,
            "complex_batch_norm_statistics",
            ring_grid::<L>(sizes, 6),
            io.input,
            Argument::ReadIndices(&rings),
            running,
            saved.reborrow(),
            bins(sizes),
            io.batch,
            sizes.momentum
        )?;
        apply(self, sizes, &rings, saved.into_span(), io)
    }

    fn complex_batch_norm_vjp_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        let input = io.checked_input();
        let Backward { batch, params, grad_output, grad_input, grad_params, .. } = io;
        let (channels, ring_count) = (sizes.spectrum.channels, sizes.rings());
        let rings = rings_of_bins(self, sizes)?;
        let mut shares = Scratch::new(self, SHARES * channels * ring_count)?;
        let mut maps = Scratch::new(self, GRADIENT_MAP * channels * ring_count)?;
        launch!(
            self,
            "complex_batch_norm_gradient_sums",
            ring_grid::<L>(sizes, 7),
            input,
            params,
            saved,
            Argument::ReadIndices(&rings),
            grad_output,
            shares.all_mut(),
            maps.all_mut(),
            bins(sizes),
            batch,
            sizes.epsilon
        )?;
        let grid = Grid::over(count(SHARES * channels), L::THREADS);
        launch!(self, "add_ring_shares", grid, shares.all(), grad_params, SHARES * channels, ring_count)?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        launch!(
            self,
            "complex_batch_norm_gradient_input",
            Grid::over(count(input.len() / 2), L::THREADS),
            input,
            saved,
            maps.all(),
            Argument::ReadIndices(&rings),
            grad_output,
            grad_input,
            channels,
            ring_count,
            bins(sizes),
            batch
        )
    }

    fn complex_batch_norm_eval_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let rings = rings_of_bins(self, sizes)?;
        apply(self, sizes, &rings, running, io)
    }
}

fn bins(sizes: &ComplexBatchNormSizes) -> usize {
    sizes.spectrum.height * sizes.spectrum.half_width()
}

/// A block for each ring of each channel, with `sums` sums.
fn ring_grid<L: Launcher>(sizes: &ComplexBatchNormSizes, sums: usize) -> Grid {
    let shared = sums * L::THREADS as usize * size_of::<f64>();
    Grid::new([sizes.rings(), sizes.spectrum.channels, 1], L::THREADS).with_shared(shared)
}

fn rings_of_bins<L: Launcher>(device: &L, sizes: &ComplexBatchNormSizes) -> Result<IndexBuffer<L>> {
    let mut rings = device.alloc_indices(bins(sizes))?;
    let grid = Grid::over(count(bins(sizes)), L::THREADS);
    let target = Argument::WriteIndices(&mut rings);
    launch!(
        device,
        "rings_of_bins",
        grid,
        target,
        sizes.spectrum.height,
        sizes.spectrum.width,
        sizes.rings() - 1
    )?;
    Ok(rings)
}

fn apply<L: Launcher>(
    device: &L,
    sizes: &ComplexBatchNormSizes,
    rings: &IndexBuffer<L>,
    statistics: Span<'_, L>,
    io: Forward<'_, L>,
) -> Result<()> {
    let Forward { batch, input, params, output } = io;
    let (channels, ring_count) = (sizes.spectrum.channels, sizes.rings());
    let mut maps = Scratch::new(device, MAP * channels * ring_count)?;
    let grid = Grid::over(count(channels * ring_count), L::THREADS);
    launch!(
        device,
        "complex_batch_norm_maps",
        grid,
        params,
        statistics,
        maps.all_mut(),
        channels,
        ring_count,
        sizes.epsilon
    )?;
    launch!(
        device,
        "complex_batch_norm_apply",
        Grid::over(count(input.len() / 2), L::THREADS),
        input,
        params,
        statistics,
        maps.all(),
        Argument::ReadIndices(rings),
        output,
        channels,
        ring_count,
        bins(sizes),
        batch
    )
}
