//! The positions of one step.

use cfconv_mlp::Positions;

/// The positions that a step visits: every one, or a sorted list without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SampledPositions {
    population: u32,
    all: bool,
    list: Vec<u32>,
}

impl SampledPositions {
    /// Every one of `population` positions.
    pub fn all(population: u32) -> Self {
        Self { population, all: true, list: Vec::new() }
    }

    /// Number of positions visited.
    pub fn len(&self) -> usize {
        if self.all { self.population as usize } else { self.list.len() }
    }

    /// Whether no position is visited; never so for what a sampler returns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every position is visited.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Number of positions the kernel has.
    pub fn population(&self) -> usize {
        self.population as usize
    }

    /// The sorted positions, or `None` if every one is visited.
    pub fn list(&self) -> Option<&[u32]> {
        (!self.all).then_some(&self.list)
    }

    /// The positions, as the kernel network takes them.
    pub fn as_positions(&self) -> Positions<'_> {
        match self.list() {
            None => Positions::All,
            Some(list) => Positions::List(list),
        }
    }

    /// Every visited position in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let everything = if self.all { 0..self.population } else { 0..0 };
        everything.chain(self.list.iter().copied())
    }

    /// Bytes that the list takes.
    pub fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<u32>()
    }

    /// Becomes every one of `population` positions; the list's memory is kept.
    pub(super) fn set_all(&mut self, population: u32) {
        self.population = population;
        self.all = true;
        self.list.clear();
    }

    /// Becomes a list, to be written by the caller.
    pub(super) fn set_list(&mut self, population: u32) -> &mut Vec<u32> {
        self.population = population;
        self.all = false;
        self.list.clear();
        &mut self.list
    }
}
