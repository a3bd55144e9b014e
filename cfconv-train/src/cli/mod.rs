//! The command line of `cfconv`: one file for each command. The programs `cfconv` and `cfconv-cuda` are [`main`] with
//! different graphics cards.
//!
//! Results go to standard output; progress and messages go to standard error. A failure ends the program with exit
//! code 1 and one line that gives the failure and its causes. An interrupted training run writes its checkpoint and
//! ends with exit code 130.

mod confusion;
mod cuda_program;
mod device;
mod eval;
mod exit_code;
mod export;
mod inspect;
mod mistakes;
mod predict;
mod progress;
mod size;
mod train;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use self::device::DeviceArguments;
use crate::device::Device;

pub use self::cuda_program::CudaProgram;
#[cfg(feature = "cuda")]
pub use self::cuda_program::answer_probe;
#[cfg(feature = "cuda")]
pub use self::device::CudaCard;
pub use self::device::{GraphicsCard, NoCard, RunOnCard};
pub use self::exit_code::exit_code;

/// Trains, evaluates, applies and inspects networks with continuous Fourier convolutions.
#[derive(Debug, Parser)]
#[command(name = "cfconv", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnDevice(DeviceCommand),
    /// Write a model to pass on. The file holds the configuration and the weights that evaluation uses. It holds no
    /// kernel states, no optimiser state and no path of the images: loading evaluates Φ at every position.
    Export(export::ExportArguments),
    /// Show the layers, shapes, parameters and kernel states of a checkpoint or a configuration.
    Inspect(inspect::InspectArguments),
}

/// A command whose arithmetic runs on a device.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Train a network and keep everything about the run in a folder.
    Train(train::TrainArguments),
    /// Measure the accuracy of a checkpoint on a data set.
    Eval(eval::EvalArguments),
    /// Name the most likely classes of images.
    Predict(predict::PredictArguments),
}

impl DeviceCommand {
    fn device(&self) -> DeviceArguments {
        match self {
            Self::Train(arguments) => arguments.device,
            Self::Eval(arguments) => arguments.device,
            Self::Predict(arguments) => arguments.device,
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Whatever makes it fail.
    pub fn run_on<D: Device>(self, device: D) -> anyhow::Result<ExitCode> {
        match self {
            Self::Train(arguments) => arguments.run_on(device),
            Self::Eval(arguments) => arguments.run_on(device),
            Self::Predict(arguments) => arguments.run_on(device),
        }
    }
}

/// The program `cfconv`, which reaches the graphics card as `card` says: does what the command line asks for.
pub fn main(card: &dyn GraphicsCard<DeviceCommand>) -> ExitCode {
    exit_code(match Arguments::parse().command {
        Command::OnDevice(command) => device::run_on_choice(command, card),
        Command::Export(arguments) => arguments.run(),
        Command::Inspect(arguments) => arguments.run(),
    })
}

/// Sets the size of this process's thread pool: `threads`, or one for each core if it is 0.
fn start_threads(threads: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .with_context(|| format!("cannot start {threads} threads"))
}

/// Sends log lines to standard error: from `info` on, or from `warn` on if `quiet`; the environment variable
/// `RUST_LOG` overrules both.
fn set_log_level(quiet: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(if quiet { "warn" } else { "info" }));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .with_level(false)
        .init();
}
