//! Group normalisation on the CUDA device: sums in chunks of rows, the images side by side.

use super::{GroupNormOp, GroupNormSizes};
use crate::device::cuda::{ChannelSums, Grid, Launcher, Scratch, count, launch};
use crate::device::{Result, Span};
use crate::nn::{Backward, Forward};

/// Rows of a chunk, at least.
const ROWS_PER_CHUNK: usize = 64;

/// Most chunks of a group's rows.
const MAX_CHUNKS: usize = 64;

impl<L: Launcher> GroupNormOp for L {
    fn group_norm_kernel(&self, sizes: &GroupNormSizes, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let columns = Columns::new(sizes, batch);
        let statistics = columns.statistics(self, sizes, input)?;
        launch!(
            self,
            "group_norm_apply",
            Grid::over(count(input.len()), L::THREADS),
            input,
            params,
            statistics.all(),
            output,
            sizes.channels,
            count(sizes.pixels * batch),
            columns.rows,
            batch,
            columns.columns
        )
    }

    fn group_norm_vjp_kernel(&self, sizes: &GroupNormSizes, io: Backward<'_, Self>) -> Result<()> {
        let input = io.checked_input();
        let Backward { batch, params, grad_output, grad_input, grad_params, .. } = io;
        let columns @ Columns { rows, columns: num_columns, chunks, .. } = Columns::new(sizes, batch);
        let (channels, plane) = (sizes.channels, sizes.pixels * batch);
        let statistics = columns.statistics(self, sizes, input)?;
        // 1. dγ = Σ dy·x̂ and dβ = Σ dy.
        let sums = ChannelSums::new::<L>(channels, plane);
        let mut partial = sums.partial(self, 2)?;
        launch!(
            self,
            "group_norm_gradient_sums",
            sums.grid::<L>(2),
            input,
            statistics.all(),
            grad_output,
            partial.all_mut(),
            count(plane),
            rows,
            batch,
            num_columns
        )?;
        sums.add_two(self, &partial, grad_params)?;
        // 2. With g = γ·dy: Σ g/n and Σ g·x̂/n over each group of each image.
        let Some(grad_input) = grad_input else { return Ok(()) };
        let mut partial = columns.partial(self)?;
        launch!(
            self,
            "group_norm_gradient_moments",
            columns.chunk_grid::<L>(),
            input,
            params,
            statistics.all(),
            grad_output,
            partial.all_mut(),
            count(plane),
            rows,
            batch,
            num_columns
        )?;
        let mut means = Scratch::new(self, 2 * num_columns)?;
        launch!(
            self,
            "group_norm_gradient_means",
            Grid::over(count(num_columns), L::THREADS),
            partial.all(),
            means.all_mut(),
            rows,
            num_columns,
            chunks
        )?;
        // 3. dx.
        launch!(
            self,
            "group_norm_gradient_input",
            Grid::over(count(input.len()), L::THREADS),
            input,
            params,
            statistics.all(),
            means.all(),
            grad_output,
            grad_input,
            channels,
            count(plane),
            rows,
            batch,
            num_columns
        )
    }
}

/// The groups of all images: each column is one image of one group.
#[derive(Clone, Copy)]
struct Columns {
    rows: usize,
    batch: usize,
    columns: usize,
    /// How many parts the rows are cut into; it depends on sizes only, and so does the order of all sums.
    chunks: usize,
}

impl Columns {
    fn new(sizes: &GroupNormSizes, batch: usize) -> Self {
        let rows = sizes.group_len();
        let chunks = rows.div_ceil(ROWS_PER_CHUNK).min(MAX_CHUNKS);
        Self { rows, batch, columns: sizes.groups * batch, chunks }
    }

    /// The launch of a kernel that sums each chunk of each column.
    fn chunk_grid<L: Launcher>(self) -> Grid {
        let threads = L::THREADS as usize;
        Grid::new([self.columns.div_ceil(threads), self.chunks, 1], L::THREADS)
    }

    /// Room for two sums of each chunk of each column.
    fn partial<L: Launcher>(self, device: &L) -> Result<Scratch<L>> {
        Scratch::of_doubles(device, self.columns * self.chunks * 2)
    }

    /// Mean and 1/√(σ² + ε) of each column.
    fn statistics<L: Launcher>(
        self,
        device: &L,
        sizes: &GroupNormSizes,
        input: Span<'_, L>,
    ) -> Result<Scratch<L>> {
        let Self { rows, batch, columns, chunks } = self;
        let mut partial = self.partial(device)?;
        launch!(
            device,
            "group_norm_moments",
            self.chunk_grid::<L>(),
            input,
            partial.all_mut(),
            rows,
            batch,
            columns
        )?;
        let mut statistics = Scratch::new(device, 2 * columns)?;
        launch!(
            device,
            "group_norm_statistics",
            Grid::over(count(columns), L::THREADS),
            input,
            partial.all(),
            statistics.all_mut(),
            rows,
            batch,
            columns,
            chunks,
            sizes.epsilon
        )?;
        Ok(statistics)
    }
}
