//! A training step of a whole network.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cfconv_train::config::TrainConfig;
use cfconv_train::device::{Cpu, Device};
use cfconv_train::networks::{InputShape, NamedTensor, Network, TensorValues};
use cfconv_train::nn::StepMonitor;
use cfconv_train::optim::Optimizer;
use serde::Serialize;

use crate::memory::{MemoryWatch, mib};
use crate::shape::at_least_one;
use crate::{DeviceArgs, Dump, RunArgs, Timing, operands};

/// Options of `cfconv-bench net`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file, as for `cfconv train`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Images in one step. Default: the configuration's.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    batch: Option<usize>,
    /// Classes.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    classes: usize,
    /// Override a key of the configuration, such as `network.sampler.num_positions=4096`; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the network works.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// A whole step: kernel refresh, forward, loss, backward, optimiser. Images are ready beforehand.
    #[serde(flatten)]
    pub timing: Timing,
    /// Images in one step.
    pub batch: usize,
    /// Rows and columns of an image.
    pub size: usize,
    /// Trained numbers.
    pub parameters: usize,
    /// Growth of the process from before the network was made, in MiB, where the system tells.
    pub peak_mib: Option<f64>,
    /// What the network says it holds, in MiB.
    pub held_mib: f64,
    /// Loss after the last step. The network memorises the noise images, so the loss falls.
    pub loss: f64,
}

/// Channels of the images.
const CHANNELS: usize = 3;

/// A network with images of noise.
pub(crate) struct Subject<D: Device> {
    pub(crate) config: TrainConfig,
    pub(crate) network: Network<D>,
    pub(crate) images: Vec<f32>,
    pub(crate) labels: Vec<u32>,
}

impl<D: Device> Subject<D> {
    pub(crate) fn load(
        device: D,
        config: &std::path::Path,
        set: &[String],
        batch: Option<usize>,
        classes: usize,
    ) -> Result<Self> {
        let config = TrainConfig::load(config, set)?;
        let batch = batch.unwrap_or(config.train.batch_size);
        let size = config.data.size;
        let input = InputShape { channels: CHANNELS, height: size, width: size };
        let mut network = Network::try_new(device, &config.network, input, classes, batch)
            .with_context(|| format!("building the network of {}", config.name))?;
        network.initialize(config.seed)?;
        let images = operands::uniform(CHANNELS * size * size * batch, 1);
        let labels = (0..batch).map(|image| (image % classes) as u32).collect();
        Ok(Self { config, network, images, labels })
    }

    /// Does training step `number` as the trainer does and returns the loss; the device has done everything then.
    fn step(
        &mut self,
        number: u64,
        optimizer: &mut Optimizer<D>,
        monitor: &mut StepMonitor<D>,
    ) -> Result<f64> {
        self.network.begin_step(number)?;
        self.network.forward(self.labels.len(), &self.images)?;
        self.network.enqueue_loss(&self.labels, self.config.train.label_smoothing, monitor)?;
        self.network.backward()?;
        optimizer.enqueue_step(&mut self.network, self.config.optimizer.learning_rate, monitor)?;
        let sums = monitor.sync(self.network.device())?[0];
        Ok(sums.loss / self.labels.len() as f64)
    }

    /// Forward pass and loss.
    fn loss(&mut self) -> Result<f64> {
        self.network.forward(self.labels.len(), &self.images)?;
        Ok(self.network.loss(&self.labels, self.config.train.label_smoothing)?.mean())
    }

    /// Moves the kernel states away from Φ, so that every refreshed value changes; returns all states.
    pub(crate) fn disturb(&mut self) -> Result<Vec<NamedTensor>> {
        let mut states = self.network.export_states()?;
        for state in states.iter_mut().filter(|state| state.name.ends_with(".kernel_state")) {
            if let TensorValues::F32(values) = &mut state.values {
                let size = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
                let noise = operands::uniform(values.len(), 5);
                values.iter_mut().zip(noise).for_each(|(value, noise)| *value += 0.5 * size.sqrt() * noise);
            }
        }
        self.network.import_states(&states)?;
        Ok(states)
    }

    /// Adds the images.
    pub(crate) fn dump_images(&self, dump: &mut Dump) {
        let (size, batch) = (self.config.data.size, self.labels.len());
        dump.real("input", &[CHANNELS, size, size, batch], &self.images);
    }
}

/// Times training steps of a network on images of noise on the processor.
///
/// # Errors
/// A configuration that cannot be read, a network that does not fit the images.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    run_on(Cpu::default(), args, run)
}

/// The same on any device.
///
/// # Errors
/// As [`run`], and what the device reports.
pub fn run_on<D: Device>(device: D, args: &Args, run: &RunArgs) -> Result<Report> {
    let memory = MemoryWatch::start();
    let mut monitor = StepMonitor::try_new(&device, 1)?;
    let mut subject = Subject::load(device, &args.config, &args.set, args.batch, args.classes)?;
    let mut optimizer = Optimizer::try_new(&subject.network, &subject.config.optimizer)?;
    let mut loss = f64::NAN;
    let timing = run.time(|number| {
        loss = subject.step(number, &mut optimizer, &mut monitor)?;
        Ok(())
    })?;
    let Subject { config, network, labels, .. } = subject;
    Ok(Report {
        timing,
        batch: labels.len(),
        size: config.data.size,
        parameters: network.num_parameters(),
        peak_mib: memory.growth_mib(),
        held_mib: mib(network.memory_bytes() + optimizer.memory_bytes()),
        loss,
    })
}

/// Writes images, labels, parameters, states before and after a step, logits, loss and gradients. The step of
/// the optimiser is not part of it.
///
/// # Errors
/// As [`run`].
pub fn dump(args: &Args) -> Result<Dump> {
    let mut subject = Subject::load(Cpu::default(), &args.config, &args.set, args.batch, args.classes)?;
    let mut dump = Dump::default();
    let before = subject.disturb()?;
    dump.extend("", &subject.network.export_parameters()?);
    dump.extend("before.", &before);
    subject.network.begin_step(0)?;
    let loss = subject.loss()?;
    dump.scalar("loss", loss);
    dump.real("logits", &[args.classes, subject.labels.len()], &subject.network.logits()?);
    subject.network.backward()?;
    subject.dump_images(&mut dump);
    dump.indices("labels", subject.labels.iter().map(|&label| u64::from(label)));
    dump.extend("", &subject.network.export_segments("grad.", subject.network.grads())?);
    let after = subject.network.export_states()?;
    for (before, after) in before.iter().zip(&after) {
        if let Some(layer) = after.name.strip_suffix(".kernel_state") {
            let visited = visited_positions(before, after);
            dump.indices(&format!("{layer}.positions"), visited.into_iter());
        }
    }
    dump.extend("after.", &after);
    Ok(dump)
}

/// Places where two kernel states differ, by complex value.
fn visited_positions(before: &NamedTensor, after: &NamedTensor) -> Vec<u64> {
    let (TensorValues::F32(before), TensorValues::F32(after)) = (&before.values, &after.values) else {
        return vec![];
    };
    let pairs = before.as_chunks::<2>().0.iter().zip(after.as_chunks::<2>().0);
    (0..).zip(pairs).filter(|(_, (before, after))| before != after).map(|(position, _)| position).collect()
}
