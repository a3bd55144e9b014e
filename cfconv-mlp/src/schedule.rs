//! How a list of positions is cut into tiles and chunks.
//!
//! A tile is at most [`TILE`] items that share one MLP; a chunk is a run of tiles with a gradient buffer of
//! its own. Both depend on the positions only, so results do not depend on the number of threads.

use std::ops::Range;

use crate::{KernelGrid, Parameterization, Positions};

/// Items of a tile: activations of 64 features stay in the first two cache levels, and a column of two of them in the
/// few sets of the first level that rows a power of two apart share.
pub(crate) const TILE: usize = 48;

/// At most this many chunks: enough for many cores, few enough that adding their gradients costs little.
const LARGEST_CHUNK_COUNT: usize = 64;

/// Items `start..start + len` of the schedule, evaluated by MLP `mlp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) mlp: usize,
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Tile {
    /// The items of the tile.
    pub(crate) fn items(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// Tiles of all items, in order.
#[derive(Debug)]
pub(crate) struct Schedule {
    tiles: Vec<Tile>,
    /// Item `j` is entry `order[j]` of the list; `None` where item `j` is entry `j`.
    pub(crate) order: Option<Vec<u32>>,
}

impl Schedule {
    /// Tiles of `num_items` items that all belong to one MLP.
    pub(crate) fn single(num_items: usize) -> Self {
        let mut tiles = Vec::with_capacity(num_items.div_ceil(TILE));
        push_tiles(&mut tiles, 0, 0..num_items);
        Self { tiles, order: None }
    }

    /// Tiles of positions sorted by their MLP (a counting sort; the order within an MLP is kept).
    pub(crate) fn grouped(
        parameterization: Parameterization,
        grid: &KernelGrid,
        positions: Positions<'_>,
    ) -> Self {
        let num_items = positions.len(grid);
        let num_mlps = parameterization.num_networks(grid);
        if num_mlps == 1 {
            return Self::single(num_items);
        }
        let mlp_of = parameterization.network_of(grid);
        let mlps: Vec<u32> = (0..num_items).map(|index| mlp_of(positions.at(index)) as u32).collect();
        let mut starts = vec![0_usize; num_mlps + 1];
        for mlp in &mlps {
            starts[*mlp as usize + 1] += 1;
        }
        let mut tiles = Vec::new();
        for mlp in 0..num_mlps {
            starts[mlp + 1] += starts[mlp];
            push_tiles(&mut tiles, mlp, starts[mlp]..starts[mlp + 1]);
        }
        let mut order = vec![0; num_items];
        for (index, mlp) in mlps.into_iter().enumerate() {
            let next = &mut starts[mlp as usize];
            order[*next] = index as u32;
            *next += 1;
        }
        Self { tiles, order: Some(order) }
    }

    /// The entry of the list that item `item` is.
    #[inline(always)]
    pub(crate) fn entry(&self, item: usize) -> usize {
        self.order.as_ref().map_or(item, |order| order[item] as usize)
    }

    /// Runs of tiles of about equal length.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[Tile]> {
        let per_chunk = self.tiles.len().div_ceil(LARGEST_CHUNK_COUNT).max(1);
        self.tiles.chunks(per_chunk)
    }
}

/// The items of a run of tiles.
pub(crate) fn items(chunk: &[Tile]) -> Range<usize> {
    let last = chunk[chunk.len() - 1];
    chunk[0].start..last.start + last.len
}

fn push_tiles(tiles: &mut Vec<Tile>, mlp: usize, items: Range<usize>) {
    let end = items.end;
    tiles.extend(items.step_by(TILE).map(|start| Tile { mlp, start, len: TILE.min(end - start) }));
}

/// The distinct frequencies of a list of positions.
pub(crate) enum Frequencies {
    /// Every frequency, with every channel pair.
    All,
    /// Frequency `frequency[n]` has entries `starts[n]..starts[n + 1]` of the list.
    List { frequency: Vec<u32>, starts: Vec<usize> },
}

impl Frequencies {
    pub(crate) fn new(grid: &KernelGrid, positions: Positions<'_>) -> Self {
        let Positions::List(list) = positions else { return Self::All };
        let pairs = grid.num_channel_pairs() as u32;
        let (mut frequency, mut starts): (Vec<u32>, Vec<usize>) = (Vec::new(), Vec::new());
        for (index, position) in list.iter().enumerate() {
            let this = position / pairs;
            if frequency.last() != Some(&this) {
                frequency.push(this);
                starts.push(index);
            }
        }
        starts.push(list.len());
        Self::List { frequency, starts }
    }

    pub(crate) fn len(&self, grid: &KernelGrid) -> usize {
        match self {
            Self::All => grid.num_frequencies(),
            Self::List { frequency, .. } => frequency.len(),
        }
    }

    /// The frequency `h·Wr + w` of item `item`.
    pub(crate) fn frequency(&self, item: usize) -> usize {
        match self {
            Self::All => item,
            Self::List { frequency, .. } => frequency[item] as usize,
        }
    }

    /// Where the entries of item `item` start in the list; `item` may be one past the last.
    pub(crate) fn start(&self, grid: &KernelGrid, item: usize) -> usize {
        match self {
            Self::All => item * grid.num_channel_pairs(),
            Self::List { starts, .. } => starts[item],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grouped_order_sorts_by_mlp_and_covers_every_item_once() {
        let grid = KernelGrid { height: 5, width: 4, in_channels: 2, out_channels: 3 };
        let list: Vec<u32> = (0..grid.num_positions() as u32).filter(|u| u % 7 != 3).collect();
        for parameterization in [Parameterization::Hw, Parameterization::HwCin] {
            let schedule = Schedule::grouped(parameterization, &grid, Positions::List(&list));
            let order = schedule.order.as_ref().unwrap();
            let mut seen = vec![false; list.len()];
            for tile in &schedule.tiles {
                for item in tile.start..tile.start + tile.len {
                    let entry = order[item] as usize;
                    assert!(!std::mem::replace(&mut seen[entry], true));
                    let point = grid.decode(list[entry]);
                    let mlp = match parameterization {
                        Parameterization::Hw => point.i * 3 + point.o,
                        _ => point.o,
                    };
                    assert_eq!(mlp, tile.mlp);
                }
            }
            assert!(seen.iter().all(|&seen| seen));
        }
    }

    #[test]
    fn chunks_cover_the_tiles_in_order_and_stay_few() {
        for num_items in [0, 1, 128, 129, 100_000] {
            let schedule = Schedule::single(num_items);
            let mut end = 0;
            for chunk in schedule.chunks() {
                assert_eq!(items(chunk).start, end);
                end = items(chunk).end;
            }
            assert_eq!(end, num_items);
            assert!(schedule.chunks().count() <= LARGEST_CHUNK_COUNT);
        }
    }

    #[test]
    fn frequencies_of_a_list_are_its_runs() {
        let grid = KernelGrid { height: 2, width: 2, in_channels: 1, out_channels: 4 };
        let frequencies = Frequencies::new(&grid, Positions::List(&[1, 3, 8, 12, 15]));
        assert_eq!(frequencies.len(&grid), 3);
        let runs: Vec<(usize, usize)> =
            (0..3).map(|item| (frequencies.frequency(item), frequencies.start(&grid, item))).collect();
        assert_eq!(runs, [(0, 0), (2, 2), (3, 3)]);
        assert_eq!(frequencies.start(&grid, 3), 5);
    }
}
