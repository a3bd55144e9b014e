//! `memory`: what a run will need, estimated before anything is allocated, and the nearest setting that fits.

use std::fmt;

use cfconv_core::{NumPositions, SamplerConfig};
use serde::{Deserialize, Serialize};

use super::{Signature, SignatureKind};
use crate::config::TrainConfig;
use crate::data::CHANNELS;
use crate::device::Device;
use crate::networks::{InputShape, NetworkPlan, PlannedBatches, Result};
use crate::optim::OptimizerKind;

/// Batches that exist at once besides those of steps on their way: ready, being assembled, and the stage that it is
/// assembled on.
const BATCHES_AHEAD: usize = 3;

/// From this share of the limit on, a run that fits is warned of.
const NEAR: f64 = 0.9;

/// Fewest positions that are proposed.
const FEWEST_POSITIONS: usize = 64;

const MIB: f64 = (1 << 20) as f64;

/// What the data asks for, whatever the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryDemand {
    /// Number of classes.
    pub classes: usize,
    /// Number of images, of which each decoded pixel takes a byte for each colour.
    pub images: usize,
}

/// Bytes that a run grows to, in the memory of its device: the host's, or the device's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryEstimate {
    /// Parameters, gradients, moments of the optimiser, averages.
    pub parameters: usize,
    /// Kernel states, what undoing a step needs of them, and the kernels that evaluation uses.
    pub kernel_states: usize,
    /// Values and gradients between layers.
    pub activations: usize,
    /// What layers keep for their backward pass, and their working memory.
    pub layers: usize,
    /// The decoded images, and the batches made of them; none of them lies in a device's own memory.
    pub images: usize,
    /// The copy of parameters, moments and states while a checkpoint is written, on the host too.
    pub checkpoint: usize,
}

impl MemoryEstimate {
    /// Estimates what a run of `config` needs.
    ///
    /// # Errors
    /// A network that does not fit the images.
    pub fn of<D: Device>(device: &D, config: &TrainConfig, demand: &MemoryDemand) -> Result<Self> {
        let size = config.data.size;
        let input = InputShape { channels: CHANNELS, height: size, width: size };
        let plan = NetworkPlan::try_new(&config.network, input, demand.classes)?;
        let averaged = usize::from(config.average.is_some());
        let batches = PlannedBatches {
            training: config.train.batch_size,
            evaluation: config.train.evaluation_batch(),
            other_weights: averaged > 0,
        };
        let network = plan.memory(device, &batches)?;
        let moments = match config.optimizer.kind {
            OptimizerKind::Adam | OptimizerKind::AdamW => 2,
            OptimizerKind::Sgd => 1,
        };
        let value = size_of::<f32>();
        let parameters = plan.num_parameters() * value;
        let running = plan.running_bytes();
        let largest = batches.training.max(batches.evaluation);
        let batch_bytes = largest * CHANNELS * size * size * value;
        let images =
            demand.images * CHANNELS * size * size + (BATCHES_AHEAD + D::STEPS_IN_FLIGHT) * batch_bytes;
        let checkpoint = (1 + moments + averaged) * parameters + averaged * running + plan.state_bytes();
        let on_host = |bytes| if D::OWN_MEMORY { 0 } else { bytes };
        Ok(Self {
            // The optimiser's mask of decaying parameters is as large as a moment.
            parameters: network.parameters + (moments + 1 + averaged) * parameters + averaged * running,
            kernel_states: network.kernel_states,
            activations: network.activations,
            layers: network.layers,
            images: on_host(images),
            checkpoint: on_host(checkpoint),
        })
    }

    /// The sum of all parts.
    pub fn total(&self) -> usize {
        self.parameters + self.kernel_states + self.activations + self.layers + self.images + self.checkpoint
    }

    /// The warning that a run of `limit` bytes fits barely.
    pub fn warning(&self, limit: usize) -> Option<Signature> {
        let share = self.total() as f64 / limit as f64;
        if share < NEAR {
            return None;
        }
        let seen = format!("the run will need {:.0} % of its memory limit: {self}", 100.0 * share);
        Some(
            Signature::new(SignatureKind::Memory, 0, 0, seen)
                .with("estimate_mib", self.total() as f64 / MIB)
                .with("limit_mib", limit as f64 / MIB)
                .advise("a smaller train.batch_size, or a larger train.memory_limit_mib"),
        )
    }

    /// Refuses a run that needs more than `limit` bytes, with the nearest setting that fits.
    ///
    /// # Errors
    /// What [`of`](Self::of) reports of smaller configurations.
    pub fn check<D: Device>(
        &self,
        limit: usize,
        device: &D,
        config: &TrainConfig,
        demand: &MemoryDemand,
    ) -> Result<Option<MemoryRefusal>> {
        if self.total() <= limit {
            return Ok(None);
        }
        let nearest = nearest(limit, device, config, demand)?;
        Ok(Some(MemoryRefusal { estimate: *self, limit, nearest }))
    }
}

impl fmt::Display for MemoryEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| format!("{:.1}", bytes as f64 / MIB);
        write!(
            f,
            "{} MiB (parameters and optimiser {}, kernel states {}, activations {}, layers {}, images {}, writing \
             checkpoints {})",
            mib(self.total()),
            mib(self.parameters),
            mib(self.kernel_states),
            mib(self.activations),
            mib(self.layers),
            mib(self.images),
            mib(self.checkpoint),
        )
    }
}

/// A run that needs more memory than it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRefusal {
    /// What it needs.
    pub estimate: MemoryEstimate,
    /// What it may have, in bytes.
    pub limit: usize,
    /// What to change so that it fits; `None` if nothing helps.
    pub nearest: Option<String>,
}

impl fmt::Display for MemoryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit as f64 / MIB;
        write!(f, "memory: the run needs {}, the limit is {limit:.1} MiB; ", self.estimate)?;
        match &self.nearest {
            Some(change) => write!(f, "the nearest setting that fits: {change}"),
            None => f.write_str("no smaller setting fits: raise train.memory_limit_mib (--memory-limit)"),
        }
    }
}

/// The nearest setting that fits: the largest batch; else the most positions with a batch of any size; else the
/// largest images.
fn nearest<D: Device>(
    limit: usize,
    device: &D,
    config: &TrainConfig,
    demand: &MemoryDemand,
) -> Result<Option<String>> {
    let largest_batch = |config: &TrainConfig| -> Result<Option<usize>> {
        let (mut good, mut bad) = (0, config.train.batch_size + 1);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            let estimate = MemoryEstimate::of(device, &with_batch(config, middle), demand)?;
            if estimate.total() <= limit { good = middle } else { bad = middle }
        }
        Ok((good > 0).then_some(good))
    };
    let batch_text = |batch: usize| format!("train.batch_size = {batch} (or --batch-size {batch})");
    if let Some(batch) = largest_batch(config)? {
        return Ok(Some(batch_text(batch)));
    }
    let mut positions = most_positions(config).unwrap_or(0).next_power_of_two();
    while positions > FEWEST_POSITIONS {
        positions /= 2;
        if let Some(batch) = largest_batch(&with_positions(config, positions))? {
            let batch = batch_text(batch);
            return Ok(Some(format!("network.sampler.num_positions = {positions} and {batch}")));
        }
    }
    for size in (1..config.data.size).rev() {
        let mut smaller = config.clone();
        smaller.data.size = size;
        // Pooling leaves nothing of images that are too small.
        if let Ok(Some(batch)) = largest_batch(&smaller) {
            let batch = batch_text(batch);
            return Ok(Some(format!("data.size = {size} and {batch}")));
        }
    }
    Ok(None)
}

fn with_batch(config: &TrainConfig, batch: usize) -> TrainConfig {
    let mut config = config.clone();
    config.train.batch_size = batch;
    config.train.evaluation_batch_size = config.train.evaluation_batch_size.min(batch);
    config
}

fn positions_mut(sampler: &mut SamplerConfig) -> Option<&mut NumPositions> {
    match sampler {
        SamplerConfig::Uniform { num_positions, .. }
        | SamplerConfig::Stratified { num_positions }
        | SamplerConfig::LowDiscrepancy { num_positions }
        | SamplerConfig::GapWeighted { num_positions }
        | SamplerConfig::FrequencyBlocks { num_positions }
        | SamplerConfig::ChannelBlocks { num_positions } => Some(num_positions),
        SamplerConfig::Lattice { .. } | SamplerConfig::All {} => None,
    }
}

/// The configured number of positions of the network's sampler, if it has one.
fn most_positions(config: &TrainConfig) -> Option<usize> {
    match *positions_mut(&mut config.network.sampler.clone())? {
        NumPositions::Count(count) => Some(count),
        // No kernel has more: 32 bits number them.
        NumPositions::Share(_) | NumPositions::All | NumPositions::Auto => Some(1 << 32),
    }
}

fn with_positions(config: &TrainConfig, positions: usize) -> TrainConfig {
    let mut config = config.clone();
    if let Some(num_positions) = positions_mut(&mut config.network.sampler) {
        *num_positions = NumPositions::Count(positions);
    }
    config
}
