//! Short trainings of small networks on noise, to compare devices with.

use cfconv_train::device::Device;
use cfconv_train::networks::{InputShape, Network, NetworkConfig};
use cfconv_train::optim::{Optimizer, OptimizerConfig};

use super::{host, noise};

const INPUT: InputShape = InputShape { channels: 2, height: 9, width: 6 };
const BATCH: usize = 5;

/// A network of three classes with its first parameters.
pub(crate) fn network<D: Device>(device: &D, text: &str) -> Network<D> {
    let config: NetworkConfig = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    let mut network = Network::try_new(device.clone(), &config, INPUT, 3, BATCH).unwrap();
    network.initialize(11).unwrap();
    network
}

/// One of three classes for each image.
pub(crate) fn labels(batch: usize) -> Vec<u32> {
    (0..batch).map(|image| (image * 2 % 3) as u32).collect()
}

/// Step `step` on batch `batch`, without an optimiser; the loss.
fn step_on<D: Device>(network: &mut Network<D>, step: u64, batch: u64) -> f64 {
    let InputShape { channels, height, width } = network.plan().input();
    let images: Vec<f32> = noise(batch, channels * height * width * BATCH).iter().map(|x| 3.0 * x).collect();
    network.begin_step(step).unwrap();
    network.forward(BATCH, &images).unwrap();
    let loss = network.loss(&labels(BATCH), 0.1).unwrap();
    network.backward().unwrap();
    loss.mean()
}

/// The first step without an optimiser; the loss.
pub(crate) fn first_step<D: Device>(network: &mut Network<D>) -> f64 {
    step_on(network, 0, 0)
}

/// Parameters after some steps, each on a batch of its own.
pub(crate) fn continue_training<D: Device>(
    network: &mut Network<D>,
    steps: std::ops::Range<u64>,
    optimizer: &mut Optimizer<D>,
) -> Vec<f32> {
    for step in steps {
        step_on(network, step, step);
        optimizer.step(network, 0.01).unwrap();
    }
    host(network.device(), network.params())
}

/// Losses of some steps of Adam that go through `batches` batches in turn, and the parameters after them.
pub(crate) fn train<D: Device>(device: &D, text: &str, batches: u64, steps: u64) -> (Vec<f64>, Vec<f32>) {
    let mut network = network(device, text);
    let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
    let losses = (0..steps)
        .map(|step| {
            let loss = step_on(&mut network, step, step % batches);
            optimizer.step(&mut network, 0.01).unwrap();
            loss
        })
        .collect();
    let params = host(device, network.params());
    (losses, params)
}
