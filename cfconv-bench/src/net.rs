//! A training step of a whole network.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cfconv_train::config::TrainConfig;
use cfconv_train::device::Cpu;
use cfconv_train::networks::{InputShape, Network};
use cfconv_train::optim::Optimizer;
use serde::Serialize;

use crate::memory::{MemoryWatch, mib};
use crate::shape::at_least_one;
use crate::{RunArgs, Timing, operands};

/// Options of `cfconv-bench net`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file, as for `cfconv train`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Images of a step; the configuration's if not given.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    batch: Option<usize>,
    /// Classes.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    classes: usize,
    /// Override a key of the configuration, such as `network.sampler.num_positions=4096`; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// A whole step: kernel refresh, forward, loss, backward, optimiser. Images are ready beforehand.
    #[serde(flatten)]
    pub timing: Timing,
    /// Images of a step.
    pub batch: usize,
    /// Rows and columns of an image.
    pub size: usize,
    /// Trained numbers.
    pub parameters: usize,
    /// Growth of the process from before the network was made, in MiB, where the system tells.
    pub peak_mib: Option<f64>,
    /// What the network says it holds, in MiB.
    pub held_mib: f64,
    /// Loss after the last step; noise is learned by heart, so that it falls.
    pub loss: f64,
}

/// Channels of the images.
const CHANNELS: usize = 3;

/// A network with images of noise.
pub(crate) struct Subject {
    pub(crate) config: TrainConfig,
    pub(crate) network: Network<Cpu>,
    pub(crate) images: Vec<f32>,
    pub(crate) labels: Vec<u32>,
}

impl Subject {
    pub(crate) fn load(
        config: &std::path::Path,
        set: &[String],
        batch: Option<usize>,
        classes: usize,
    ) -> Result<Self> {
        let config = TrainConfig::load(config, set)?;
        let batch = batch.unwrap_or(config.train.batch_size);
        let size = config.data.size;
        let input = InputShape { channels: CHANNELS, height: size, width: size };
        let mut network = Network::try_new(Cpu::default(), &config.network, input, classes, batch)
            .with_context(|| format!("building the network of {}", config.name))?;
        network.initialize(config.seed)?;
        let images = operands::uniform(CHANNELS * size * size * batch, 1);
        let labels = (0..batch).map(|image| (image % classes) as u32).collect();
        Ok(Self { config, network, images, labels })
    }
}

/// Times training steps of a network on images of noise.
///
/// # Errors
/// A configuration that cannot be read, a network that does not fit the images.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    let memory = MemoryWatch::start();
    let Subject { config, mut network, images, labels } =
        Subject::load(&args.config, &args.set, args.batch, args.classes)?;
    let mut optimizer = Optimizer::try_new(&network, &config.optimizer)?;
    let mut loss = f64::NAN;
    let timing = run.time(|step| {
        network.begin_step(step)?;
        network.forward(labels.len(), &images)?;
        loss = network.loss(&labels, config.train.label_smoothing)?.mean();
        network.backward()?;
        optimizer.step(&mut network, config.optimizer.learning_rate)?;
        Ok(())
    })?;
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
