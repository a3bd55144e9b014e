//! Sums over the values of each channel: chunks of a channel in blocks of their own, then the chunks in order.

use super::{Grid, Launcher, Scratch, count, launch};
use crate::device::{Result, Span, SpanMut};

/// Most chunks of a channel.
const MAX_CHUNKS: u64 = 64;

/// Values of a chunk for each thread, at least.
const VALUES_PER_THREAD: u64 = 16;

/// How the values of each channel are cut into chunks; it depends on sizes only, and so does the order of all sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelSums {
    channels: usize,
    chunks: usize,
}

impl ChannelSums {
    pub(crate) fn new<L: Launcher>(channels: usize, plane: usize) -> Self {
        let chunk = u64::from(L::THREADS) * VALUES_PER_THREAD;
        Self { channels, chunks: count(plane).div_ceil(chunk).clamp(1, MAX_CHUNKS) as usize }
    }

    pub(crate) fn chunks(self) -> usize {
        self.chunks
    }

    /// Adds the two sums of each channel, from those of its chunks, to `target`.
    pub(crate) fn add_two<L: Launcher>(
        self,
        device: &L,
        partial: &Scratch<L>,
        target: SpanMut<'_, L>,
    ) -> Result<()> {
        let (grid, totals) = (self.channel_grid::<L>(), None::<SpanMut<'_, L>>);
        let Self { channels, chunks } = self;
        launch!(device, "add_channel_sums_2", grid, partial.all(), target, totals, channels, chunks)
    }

    /// The launch of a kernel that makes `sums` sums of each chunk.
    pub(crate) fn grid<L: Launcher>(self, sums: usize) -> Grid {
        let shared = sums * L::THREADS as usize * size_of::<f64>();
        Grid::new([self.chunks, self.channels, 1], L::THREADS).with_shared(shared)
    }

    /// The launch of a kernel that takes a channel in each thread.
    pub(crate) fn channel_grid<L: Launcher>(self) -> Grid {
        Grid::over(count(self.channels), L::THREADS)
    }

    /// Room for `sums` sums of each chunk.
    pub(crate) fn partial<L: Launcher>(self, device: &L, sums: usize) -> Result<Scratch<L>> {
        Scratch::of_doubles(device, self.channels * self.chunks * sums)
    }
}

/// `target[c] += Σ values[c, ·]` for channels of `plane` values each.
pub(crate) fn add_channel_sums<L: Launcher>(
    device: &L,
    values: Span<'_, L>,
    plane: usize,
    target: SpanMut<'_, L>,
) -> Result<()> {
    let channels = target.len();
    let sums = ChannelSums::new::<L>(channels, plane);
    let mut partial = sums.partial(device, 1)?;
    launch!(
        device,
        "channel_sums",
        sums.grid::<L>(1),
        values,
        partial.all_mut(),
        count(plane),
        count(plane)
    )?;
    let absent: Option<SpanMut<'_, L>> = None;
    launch!(
        device,
        "add_channel_sums_1",
        sums.channel_grid::<L>(),
        partial.all(),
        target,
        absent,
        channels,
        sums.chunks()
    )
}
