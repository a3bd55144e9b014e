//! The command line of `cfconv`: one file for each command.

mod eval;
mod export;
mod inspect;
mod predict;
mod progress;
mod size;
mod train;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::accelerator;

/// Trains, evaluates, applies and inspects networks with continuous Fourier convolutions.
#[derive(Debug, Parser)]
#[command(name = "cfconv", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network and keep everything about the run in a folder.
    Train(train::TrainArguments),
    /// Measure the accuracy of a checkpoint on a data set.
    Eval(eval::EvalArguments),
    /// Name the likeliest classes of images.
    Predict(predict::PredictArguments),
    /// Write a model to pass on: the weights that evaluations use and the configuration, without kernel states, the
    /// optimiser's state and the place of the images. Its kernels are Φ at every position.
    Export(export::ExportArguments),
    /// Show the layers, shapes, parameters and kernel states of a checkpoint or a configuration.
    Inspect(inspect::InspectArguments),
}

/// Where the arithmetic runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceChoice {
    /// The graphics card if there is one that works, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The first graphics card.
    Cuda,
}

/// The options that choose it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DeviceArguments {
    /// Where the arithmetic runs.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Matrix products on the graphics card's tensor cores, with factors of ten bits behind the point (TF32), and
    /// errors of about two thousandths of the largest result.
    #[arg(long)]
    pub(crate) tf32: bool,
}

impl DeviceArguments {
    /// Refuses what the processor does not have.
    ///
    /// # Errors
    /// `--tf32` with `--device cpu`.
    pub(crate) fn check(self) -> anyhow::Result<()> {
        if self.tf32 && self.device == DeviceChoice::Cpu {
            bail!(
                "--tf32 is for tensor cores of a graphics card: leave it out, or take --device cuda or auto"
            );
        }
        Ok(())
    }

    /// Says why `auto` takes the processor.
    pub(crate) fn tell_fallback(self, reason: &dyn std::fmt::Display) {
        let precision = if self.tf32 { ", where --tf32 changes nothing" } else { "" };
        eprintln!("running on the CPU{precision}: {reason}");
    }
}

/// Runs the command that the command line asks for.
///
/// # Errors
/// Whatever made the command fail, as a chain of messages.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Train(arguments) => accelerator::run(arguments.device, arguments),
        Command::Eval(arguments) => accelerator::run(arguments.device, arguments),
        Command::Predict(arguments) => accelerator::run(arguments.device, arguments),
        Command::Export(arguments) => arguments.run(),
        Command::Inspect(arguments) => arguments.run(),
    }
}

/// Sizes the pool of threads of this process: `threads` of them, or one for each core if it is 0.
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
