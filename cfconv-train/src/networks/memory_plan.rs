//! Which buffer holds which value and gradient, and when.
//!
//! A training step is a line of moments: the forward pass of layer 0, 1, …, n − 1, the loss, then the backward
//! pass of layer n − 1, …, 0. Each value and each gradient is needed from one moment to another; two that never
//! meet share a buffer.

use super::plan::PlannedLayer;

/// Names a buffer.
pub(super) type BufferId = usize;

/// How a layer's backward pass hands on the gradient of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GradRoute {
    /// Nobody needs it.
    Skip,
    /// It is the first to arrive: written in place.
    Overwrite,
    /// Another has arrived before: written to a buffer of its own, then added.
    Add { through: BufferId },
}

/// The buffers of a network; lengths are those of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemoryPlan {
    pub(super) buffer_lens: Vec<usize>,
    /// The buffer of each value.
    pub(super) values: Vec<BufferId>,
    /// The buffer of each value's gradient; `None` if nobody needs it.
    pub(super) grads: Vec<Option<BufferId>>,
    /// For each layer the routes of its operands' gradients; the second is for the second operand of a sum.
    pub(super) routes: Vec<[GradRoute; 2]>,
}

/// How long something needs a buffer, both moments included.
#[derive(Clone, Copy, Debug)]
struct LiveRange {
    start: usize,
    end: usize,
    len: usize,
    occupant: Occupant,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug)]
enum Occupant {
    Value(usize),
    Grad(usize),
    /// The gradient of an operand that is then added to one that has arrived before.
    Staging {
        layer: usize,
        operand: usize,
    },
}

impl MemoryPlan {
    /// Plans the memory of `layers` over values of `value_lens`; value 0 is the input, the last layer's output
    /// the network's.
    pub(super) fn new(layers: &[PlannedLayer], value_lens: &[usize]) -> Self {
        let loss = layers.len();
        let backward = |layer: usize| 2 * loss - layer;
        let needs_grad = find_needed_gradients(layers, value_lens.len());

        let mut values: Vec<(usize, usize)> = vec![(0, 0); value_lens.len()];
        for (at, layer) in layers.iter().enumerate() {
            values[layer.output] = (at, at);
        }
        for (at, layer) in layers.iter().enumerate() {
            for value in layer.operands() {
                let until = if layer.backward_reads_input() { backward(at) } else { at };
                values[value].1 = values[value].1.max(until);
            }
        }
        // Logits can be read at any time after the forward pass.
        if let Some(last) = layers.last() {
            values[last.output].1 = 2 * loss;
        }

        let mut ranges = Vec::new();
        for (value, &(start, end)) in values.iter().enumerate() {
            ranges.push(LiveRange { start, end, len: value_lens[value], occupant: Occupant::Value(value) });
        }
        let mut routes = vec![[GradRoute::Skip; 2]; layers.len()];
        let mut arrived: Vec<Option<usize>> = vec![None; value_lens.len()];
        if let Some(last) = layers.last() {
            arrived[last.output] = Some(loss);
        }
        for (at, layer) in layers.iter().enumerate().rev() {
            for (operand, value) in layer.operands().enumerate() {
                if !needs_grad[value] {
                    continue;
                }
                if arrived[value].is_none() {
                    arrived[value] = Some(backward(at));
                    routes[at][operand] = GradRoute::Overwrite;
                } else {
                    let moment = backward(at);
                    let occupant = Occupant::Staging { layer: at, operand };
                    ranges.push(LiveRange { start: moment, end: moment, len: value_lens[value], occupant });
                }
            }
        }
        for (at, layer) in layers.iter().enumerate() {
            if let Some(start) = arrived[layer.output] {
                let len = value_lens[layer.output];
                ranges.push(LiveRange {
                    start,
                    end: backward(at),
                    len,
                    occupant: Occupant::Grad(layer.output),
                });
            }
        }

        let mut plan = Self {
            buffer_lens: Vec::new(),
            values: vec![0; value_lens.len()],
            grads: vec![None; value_lens.len()],
            routes,
        };
        plan.assign_buffers(ranges);
        plan
    }

    /// Gives each live range a buffer that is free throughout: the smallest that is large enough, else the largest,
    /// which grows.
    fn assign_buffers(&mut self, mut ranges: Vec<LiveRange>) {
        ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.len)));
        let mut busy_until: Vec<usize> = Vec::new();
        for range in ranges {
            let free = (0..busy_until.len()).filter(|&buffer| busy_until[buffer] < range.start);
            let best = free.min_by_key(|&buffer| {
                let len = self.buffer_lens[buffer];
                if len >= range.len { (0, len - range.len) } else { (1, range.len - len) }
            });
            let buffer = best.unwrap_or_else(|| {
                busy_until.push(0);
                self.buffer_lens.push(0);
                busy_until.len() - 1
            });
            busy_until[buffer] = range.end;
            self.buffer_lens[buffer] = self.buffer_lens[buffer].max(range.len);
            match range.occupant {
                Occupant::Value(value) => self.values[value] = buffer,
                Occupant::Grad(value) => self.grads[value] = Some(buffer),
                Occupant::Staging { layer, operand } => {
                    self.routes[layer][operand] = GradRoute::Add { through: buffer };
                }
            }
        }
    }

    /// Values of all buffers for one image.
    pub(super) fn total_len(&self) -> usize {
        self.buffer_lens.iter().sum()
    }
}

/// Values whose gradient some parameter below depends on.
fn find_needed_gradients(layers: &[PlannedLayer], values: usize) -> Vec<bool> {
    let mut needed = vec![false; values];
    for layer in layers {
        needed[layer.output] = !layer.params.is_empty() || layer.operands().any(|value| needed[value]);
    }
    needed
}
