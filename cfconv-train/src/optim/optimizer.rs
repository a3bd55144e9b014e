//! An optimiser with its moments on a device.

use super::config::{OptimizerConfig, OptimizerKind};
use crate::device::{Buffer, Device, DeviceError, Span, SpanMut};
use crate::networks::{NamedTensor, Network, NetworkError, TensorValues};
use crate::nn::step_status::clip_factor;
use crate::nn::{AdamMoments, AdamStep, SgdStep, StepMonitor, Update};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Norm of the gradient over all parameters, before clipping.
    pub grad_norm: f64,
    /// What the gradient was multiplied by to respect `clip_norm`; 1 if it was not too long.
    pub clip_factor: f64,
}

/// A gradient that is not finite; parameters and moments are as they were.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the norm of the gradient is {norm} at optimiser step {step}")]
pub struct NonFiniteGradient {
    /// Number of steps taken before.
    pub step: u64,
    /// The norm of the gradient over all parameters: infinite or NaN.
    pub norm: f64,
}

/// Errors of optimisers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// The gradient has an infinite value or NaN.
    #[error(transparent)]
    NonFiniteGradient(#[from] NonFiniteGradient),
    /// An error of the device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A state that does not fit the network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// An optimiser for one network.
///
/// # Examples
/// ```
/// use cfconv_train::device::{Cpu, Memory, Span};
/// use cfconv_train::networks::{InputShape, Network, NetworkConfig};
/// use cfconv_train::optim::{Optimizer, OptimizerConfig};
///
/// let config: NetworkConfig =
///     toml::from_str("layers = [{ type = 'flatten' }, { type = 'linear', bias = false }]")?;
/// let input = InputShape { channels: 1, height: 1, width: 1 };
/// let mut network = Network::try_new(Cpu::default(), &config, input, 2, 1)?;
/// let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default())?;
/// network.begin_step(0)?;
/// network.forward(1, &[1.0])?;
/// network.loss(&[0], 0.0)?;
/// network.backward()?;
/// // From zero weights both probabilities are 1/2, so the gradient is (−1/2, 1/2).
/// let report = optimizer.step(&mut network, 0.01)?;
/// assert!((report.grad_norm - 0.5_f64.sqrt()).abs() < 1e-6);
/// // Adam's first step has the length of the learning rate in each parameter.
/// let params = network.device().to_host(Span::new(network.params(), 0..2))?;
/// assert!((params[0] - 0.01).abs() < 1e-6 && (params[1] + 0.01).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Optimizer<D: Device> {
    config: OptimizerConfig,
    /// Adam's mean of gradients, or SGD's velocity.
    first: Buffer<D>,
    /// Adam's mean of squares.
    second: Option<Buffer<D>>,
    /// 1 for parameters that decay, else 0.
    decay: Buffer<D>,
    len: usize,
    steps: u64,
}

impl<D: Device> Optimizer<D> {
    /// Allocates the moments, all zero.
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn try_new(network: &Network<D>, config: &OptimizerConfig) -> Result<Self, OptimError> {
        let device = network.device();
        let len = network.num_parameters();
        let mut decay = vec![0.0; len];
        for segment in network.segments().iter().filter(|segment| segment.decays) {
            decay[segment.range.clone()].fill(1.0);
        }
        let second = match config.kind {
            OptimizerKind::Adam | OptimizerKind::AdamW => Some(device.alloc(len)?),
            OptimizerKind::Sgd => None,
        };
        Ok(Self {
            config: config.clone(),
            first: device.alloc(len)?,
            second,
            decay: device.to_device(&decay)?,
            len,
            steps: 0,
        })
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Bytes of moments and the decay mask.
    pub fn memory_bytes(&self) -> usize {
        (2 + usize::from(self.second.is_some())) * self.len * size_of::<f32>()
    }

    /// Changes the network's parameters by its gradients, and waits for the device. `learning_rate` is the one of this
    /// step: the configured one times the schedule's factor.
    ///
    /// # Errors
    /// [`OptimError::NonFiniteGradient`] if a gradient is infinite or NaN: nothing has changed then.
    pub fn step(&mut self, network: &mut Network<D>, learning_rate: f64) -> Result<StepReport, OptimError> {
        let mut monitor = StepMonitor::try_new(network.device(), 1)?;
        self.enqueue_step(network, learning_rate, &mut monitor)?;
        let norm = monitor.sync(network.device())?[0].grad_norm();
        if !norm.is_finite() {
            self.drop_last_steps(1);
            return Err(NonFiniteGradient { step: self.steps, norm }.into());
        }
        Ok(StepReport { grad_norm: norm, clip_factor: clip_factor(self.config.clip_norm, norm) })
    }

    /// Lets `monitor` check the step and, unless it failed, changes the network's parameters by its gradients. The host
    /// does not wait: [`StepMonitor::sync`] tells the norm of the gradient, and what failed.
    ///
    /// # Errors
    /// If the monitor is full, or what the device reports.
    pub fn enqueue_step(
        &mut self,
        network: &mut Network<D>,
        learning_rate: f64,
        monitor: &mut StepMonitor<D>,
    ) -> Result<(), OptimError> {
        let device = network.device().clone();
        let range = 0..self.len;
        let (params, grads) = network.params_and_grads();
        let grads = Span::new(grads, range.clone());
        monitor.check_finite(&device, self.config.clip_norm, grads)?;
        let update = Update {
            step_status: monitor.step_status(),
            grads,
            decay: Span::new(&self.decay, range.clone()),
            params: SpanMut::new(params, range.clone()),
        };
        let first = SpanMut::new(&mut self.first, range.clone());
        let learning_rate = learning_rate as f32;
        let weight_decay = self.config.weight_decay as f32;
        match &mut self.second {
            Some(second) => {
                let count = (self.steps + 1) as f64;
                let step = AdamStep {
                    learning_rate,
                    beta_1: self.config.beta_1 as f32,
                    beta_2: self.config.beta_2 as f32,
                    epsilon: self.config.epsilon as f32,
                    correction_1: (1.0 - self.config.beta_1.powf(count)) as f32,
                    correction_2: (1.0 - self.config.beta_2.powf(count)) as f32,
                    weight_decay,
                    decoupled: self.config.kind == OptimizerKind::AdamW,
                };
                let second = SpanMut::new(second, range);
                device.adam_step(&step, AdamMoments { first, second }, update)?;
            }
            None => {
                let momentum = self.config.momentum as f32;
                let step = SgdStep { learning_rate, momentum, weight_decay };
                device.sgd_step(&step, first, update)?;
            }
        }
        self.steps += 1;
        Ok(())
    }

    /// Takes the last `steps` steps, of which [`StepMonitor::sync`] has shown the first to have failed, out of the
    /// count; they changed nothing.
    pub fn drop_last_steps(&mut self, steps: usize) {
        self.steps -= steps as u64;
    }

    /// Moments and number of steps, for checkpoints: `optimizer.first.{segment}`, `optimizer.second.{segment}`,
    /// `optimizer.steps`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn export(&self, network: &Network<D>) -> Result<Vec<NamedTensor>, OptimError> {
        let mut tensors = network.export_segments("optimizer.first.", &self.first)?;
        if let Some(second) = &self.second {
            tensors.extend(network.export_segments("optimizer.second.", second)?);
        }
        tensors.push(NamedTensor {
            name: STEPS.to_owned(),
            shape: vec![1],
            values: TensorValues::U64(vec![self.steps]),
        });
        Ok(tensors)
    }

    /// Restores what [`export`](Self::export) gave.
    ///
    /// # Errors
    /// If a tensor is missing or does not fit.
    pub fn import(&mut self, network: &Network<D>, tensors: &[NamedTensor]) -> Result<(), OptimError> {
        network.import_segments("optimizer.first.", tensors, &mut self.first)?;
        if let Some(second) = &mut self.second {
            network.import_segments("optimizer.second.", tensors, second)?;
        }
        let found = tensors.iter().find(|tensor| tensor.name == STEPS);
        let found = found.ok_or_else(|| NetworkError::MissingTensor { name: STEPS.to_owned() })?;
        match &found.values {
            TensorValues::U64(values) if values.len() == 1 => self.steps = values[0],
            _ => {
                let (name, expected) = (STEPS.to_owned(), "u64 [1]".to_owned());
                let got = format!("{:?}", found.shape);
                return Err(NetworkError::TensorMismatch { name, expected, got }.into());
            }
        }
        Ok(())
    }
}

const STEPS: &str = "optimizer.steps";
