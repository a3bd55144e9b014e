//! In which order the positions of a step go through the networks of Φ.

use super::Launcher;
use super::phi::Phi;
use crate::device::{IndexBuffer, Result};

/// Runs of positions, about: each is one block's work and has a gradient of its own.
const RUNS: usize = 1024;

/// Bytes that the gradients of the runs of at most `entries` positions take while they are computed, for a kernel with
/// `parameters` in `networks` networks.
pub(crate) fn run_gradient_bytes(entries: usize, networks: usize, parameters: usize) -> usize {
    entries.min(RUNS + networks) * parameters.div_ceil(networks) * size_of::<f32>()
}

/// The positions of a step, or every one, in runs of one network each.
///
/// It depends on the positions only, and so does the order of all sums.
#[derive(Debug)]
pub(crate) struct PhiSchedule<L: Launcher> {
    /// `[runs, 3]`: first item, items, network.
    pub(super) runs: IndexBuffer<L>,
    pub(super) run_count: usize,
    /// The entry of each item, where networks differ; otherwise items are entries.
    pub(super) order: Option<IndexBuffer<L>>,
    /// The runs of network m: from `first_runs[m]` to `first_runs[m + 1]`.
    pub(super) first_runs: IndexBuffer<L>,
    /// Of a shared basis: the frequencies that are evaluated.
    pub(super) frequencies: usize,
    /// Their numbers, unless all are.
    pub(super) frequency_list: Option<IndexBuffer<L>>,
    /// Of a shared basis at listed positions: the place of each entry's frequency among them, where the entries of each
    /// begin, the entries sorted by channel pair and where those of each pair begin.
    pub(super) frequency_of: Option<IndexBuffer<L>>,
    pub(super) first_entries: Option<IndexBuffer<L>>,
    pub(super) by_pair: Option<IndexBuffer<L>>,
    pub(super) first_of_pair: Option<IndexBuffer<L>>,
}

impl<L: Launcher> PhiSchedule<L> {
    /// Schedules the sorted `positions`, or all of `population` without a list.
    pub(crate) fn new(
        device: &L,
        phi: &Phi<L>,
        positions: Option<&[u32]>,
        population: usize,
    ) -> Result<Self> {
        let shape = phi.shape();
        let upload = |list: &[u32]| -> Result<IndexBuffer<L>> {
            let mut buffer = device.alloc_indices(list.len().max(1))?;
            device.upload_indices(list, &mut buffer)?;
            Ok(buffer)
        };
        let entries = positions.map_or(population, <[u32]>::len);
        let mut basis = BasisOrder::default();
        let (items, order, counts) = match (shape.basis_size, positions) {
            (Some(_), None) => {
                let frequencies = population / shape.pairs;
                (frequencies, None, vec![frequencies])
            }
            (Some(_), Some(list)) => {
                basis = BasisOrder::new(list, shape.pairs);
                let frequencies = basis.frequencies.len();
                (frequencies, None, vec![frequencies])
            }
            (None, _) if shape.mlps == 1 => (entries, None, vec![entries]),
            (None, _) => {
                let network_of = phi.mlp().config().parameterization.network_of(&phi.mlp().grid());
                let network = |entry: usize| network_of(positions.map_or(entry as u32, |list| list[entry]));
                let (order, counts) = grouped(entries, shape.mlps, network);
                (entries, Some(order), counts)
            }
        };
        let (runs, first_runs) = runs_of(&counts, items, phi.tile_width());
        let listed = shape.basis_size.is_some() && positions.is_some();
        let if_listed = |list: &[u32]| if listed { upload(list).map(Some) } else { Ok(None) };
        Ok(Self {
            run_count: runs.len() / 3,
            runs: upload(&runs)?,
            order: order.map(|order| upload(&order)).transpose()?,
            first_runs: upload(&first_runs)?,
            frequencies: items,
            frequency_list: if_listed(&basis.frequencies)?,
            frequency_of: if_listed(&basis.frequency_of)?,
            first_entries: if_listed(&basis.first_entries)?,
            by_pair: if_listed(&basis.by_pair)?,
            first_of_pair: if_listed(&basis.first_of_pair)?,
        })
    }
}

/// Entries sorted by group, within one in their order, and the number of each group's.
fn grouped(entries: usize, groups: usize, group: impl Fn(usize) -> usize) -> (Vec<u32>, Vec<usize>) {
    let mut counts = vec![0; groups];
    for entry in 0..entries {
        counts[group(entry)] += 1;
    }
    let mut next = starts(&counts);
    let mut order = vec![0; entries];
    for entry in 0..entries {
        let place = &mut next[group(entry)];
        order[*place as usize] = entry as u32;
        *place += 1;
    }
    (order, counts)
}

/// Where each group begins, and the end of the last.
fn starts(counts: &[usize]) -> Vec<u32> {
    let mut end = 0;
    std::iter::once(0)
        .chain(counts.iter().map(|count| {
            end += count;
            end as u32
        }))
        .collect()
}

/// Runs `[first, items, network]` of at most about `RUNS` equal parts, whole tiles each, and where each network's begin.
fn runs_of(counts: &[usize], items: usize, tile: usize) -> (Vec<u32>, Vec<u32>) {
    let longest = items.div_ceil(RUNS).max(1).next_multiple_of(tile);
    let (mut runs, mut first_runs) = (Vec::new(), vec![0]);
    let mut first = 0;
    for (network, &count) in counts.iter().enumerate() {
        let end = first + count;
        while first < end {
            let len = longest.min(end - first);
            runs.extend([first as u32, len as u32, network as u32]);
            first += len;
        }
        first_runs.push((runs.len() / 3) as u32);
    }
    (runs, first_runs)
}

/// The entries of a shared basis by frequency and by channel pair.
#[derive(Debug, Default, PartialEq)]
struct BasisOrder {
    frequencies: Vec<u32>,
    frequency_of: Vec<u32>,
    first_entries: Vec<u32>,
    by_pair: Vec<u32>,
    first_of_pair: Vec<u32>,
}

impl BasisOrder {
    fn new(positions: &[u32], pairs: usize) -> Self {
        let mut order = Self::default();
        for (entry, &position) in positions.iter().enumerate() {
            let frequency = position / pairs as u32;
            if order.frequencies.last() != Some(&frequency) {
                order.frequencies.push(frequency);
                order.first_entries.push(entry as u32);
            }
            order.frequency_of.push(order.frequencies.len() as u32 - 1);
        }
        order.first_entries.push(positions.len() as u32);
        let (by_pair, counts) = grouped(positions.len(), pairs, |entry| positions[entry] as usize % pairs);
        order.first_of_pair = starts(&counts);
        order.by_pair = by_pair;
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_grouped_in_their_order() {
        let (order, counts) = grouped(7, 3, |entry| [2, 0, 2, 2, 0, 2, 0][entry]);
        assert_eq!(order, [1, 4, 6, 0, 2, 3, 5]);
        assert_eq!(counts, [3, 0, 4]);
        assert_eq!(starts(&counts), [0, 3, 3, 7]);
    }

    #[test]
    fn runs_cover_every_item_once_and_keep_networks_apart() {
        for counts in [vec![1], vec![0, 5, 0], vec![4000, 1, 33], vec![100_000]] {
            let items = counts.iter().sum();
            let (runs, first_runs) = runs_of(&counts, items, 32);
            assert!(runs.len() / 3 <= RUNS + counts.len());
            let mut next = 0;
            for run in runs.chunks(3) {
                assert_eq!(run[0], next);
                assert!(run[1] > 0);
                next += run[1];
            }
            assert_eq!(next as usize, items);
            for (network, &count) in counts.iter().enumerate() {
                let own = &runs[3 * first_runs[network] as usize..3 * first_runs[network + 1] as usize];
                assert!(own.chunks(3).all(|run| run[2] == network as u32));
                assert_eq!(own.chunks(3).map(|run| run[1] as usize).sum::<usize>(), count);
            }
        }
    }

    #[test]
    fn a_shared_basis_knows_its_entries_both_ways() {
        // Three pairs; frequencies 0, 2, 2, 3.
        let order = BasisOrder::new(&[1, 6, 8, 10], 3);
        assert_eq!(order.frequencies, [0, 2, 3]);
        assert_eq!(order.frequency_of, [0, 1, 1, 2]);
        assert_eq!(order.first_entries, [0, 1, 3, 4]);
        assert_eq!(order.by_pair, [1, 0, 3, 2]);
        assert_eq!(order.first_of_pair, [0, 1, 3, 4]);
    }
}
