//! Averages of weights over the steps of a run, for evaluation.

use serde::{Deserialize, Serialize};

use crate::device::{Buffer, Device, Span, SpanMut};
use crate::networks::{NamedTensor, Network, NetworkError, Result, TensorValues};
use crate::nn::StepMonitor;
use crate::schedule::{OutOfRange, require};

/// The table `[average]`: an exponential moving average of parameters and running statistics.
///
/// # Source
/// Polyak and Juditsky, 1992; the warm-up `min(decay, (1 + t)/(10 + t))` is TensorFlow's: early averages forget
/// the beginning of the run quickly.
///
/// # Examples
/// ```
/// use cfconv_train::averaging::AverageConfig;
///
/// let config: AverageConfig = toml::from_str("decay = 0.99").unwrap();
/// assert!(config.warmup);
/// assert_eq!(config.decay_at(0), 0.1);
/// assert_eq!(config.decay_at(1_000_000), 0.99);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageConfig {
    /// Weight of the old average at each step, once warm. Default: 0.998.
    pub decay: f64,
    /// Whether the decay rises from 0.1. Default: true.
    pub warmup: bool,
}

impl Default for AverageConfig {
    fn default() -> Self {
        Self { decay: 0.998, warmup: true }
    }
}

impl AverageConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// [`OutOfRange`] names the field.
    pub fn validate(&self) -> std::result::Result<(), OutOfRange> {
        require("average.decay", "0 to below 1", (0.0..1.0).contains(&self.decay), self.decay)
    }

    /// The weight of the old average at update number `updates` (from 0).
    pub fn decay_at(&self, updates: u64) -> f64 {
        if !self.warmup {
            return self.decay;
        }
        let updates = updates as f64;
        self.decay.min((1.0 + updates) / (10.0 + updates))
    }
}

/// The averages of one network's parameters and running statistics.
#[derive(Debug)]
pub struct WeightAverage<D: Device> {
    config: AverageConfig,
    params: Buffer<D>,
    running: Buffer<D>,
    updates: u64,
}

impl<D: Device> WeightAverage<D> {
    /// Begins with the network's present weights.
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn try_new(network: &Network<D>, config: &AverageConfig) -> Result<Self> {
        let device = network.device();
        let copy = |source: &Buffer<D>| {
            let len = device.buffer_len(source);
            let mut target = device.alloc(len)?;
            device.copy(Span::new(source, 0..len), SpanMut::new(&mut target, 0..len))?;
            Ok::<_, NetworkError>(target)
        };
        Ok(Self {
            config: config.clone(),
            params: copy(network.params())?,
            running: copy(network.running())?,
            updates: 0,
        })
    }

    /// Takes in the network's present weights, unless the step that `monitor` has checked failed; to be called after
    /// each step of the optimiser.
    ///
    /// # Errors
    /// What the device reports.
    pub fn update(&mut self, network: &Network<D>, monitor: &StepMonitor<D>) -> Result<()> {
        let device = network.device();
        let weight = (1.0 - self.config.decay_at(self.updates)) as f32;
        let pairs = [(network.params(), &mut self.params), (network.running(), &mut self.running)];
        for (source, average) in pairs {
            let range = 0..device.buffer_len(source);
            let (source, average) = (Span::new(source, range.clone()), SpanMut::new(average, range));
            device.average_step(weight, monitor.step_status(), source, average)?;
        }
        self.updates += 1;
        Ok(())
    }

    /// Takes the last `updates` out of the count: they belonged to steps of which
    /// [`StepMonitor::sync`] has shown the first to have failed, and changed nothing.
    pub fn forget_failed_updates(&mut self, updates: usize) {
        self.updates -= updates as u64;
    }

    /// Puts the averages in the place of the network's weights, and the weights here; a second call undoes it.
    ///
    /// Evaluate with [`KernelSource::Dense`](crate::nn::KernelSource) in between: kernel states belong
    /// to the trained weights.
    pub fn swap(&mut self, network: &mut Network<D>) {
        network.swap_weights(&mut self.params, &mut self.running);
    }

    /// Bytes of the averages.
    pub fn memory_bytes(&self, device: &D) -> usize {
        (device.buffer_len(&self.params) + device.buffer_len(&self.running)) * size_of::<f32>()
    }

    /// Number of updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The averages as named tensors, for checkpoints: `average.{segment}`, `average.{layer}.running_mean`, …,
    /// and `average.updates`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn export(&self, network: &Network<D>) -> Result<Vec<NamedTensor>> {
        let mut tensors = network.export_segments(PREFIX, &self.params)?;
        tensors.extend(network.export_running(PREFIX, &self.running)?);
        tensors.push(NamedTensor {
            name: UPDATES.to_owned(),
            shape: vec![1],
            values: TensorValues::U64(vec![self.updates]),
        });
        Ok(tensors)
    }

    /// Restores what [`export`](Self::export) gave.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn import(&mut self, network: &Network<D>, tensors: &[NamedTensor]) -> Result<()> {
        network.import_segments(PREFIX, tensors, &mut self.params)?;
        network.import_running(PREFIX, tensors, &mut self.running)?;
        let found = tensors.iter().find(|tensor| tensor.name == UPDATES);
        match found.map(|tensor| &tensor.values) {
            Some(TensorValues::U64(values)) if values.len() == 1 => self.updates = values[0],
            Some(_) => {
                let (name, expected) = (UPDATES.to_owned(), "u64 [1]".to_owned());
                return Err(NetworkError::TensorMismatch { name, expected, got: "another type".to_owned() });
            }
            None => return Err(NetworkError::MissingTensor { name: UPDATES.to_owned() }),
        }
        Ok(())
    }
}

const PREFIX: &str = "average.";
const UPDATES: &str = "average.updates";
