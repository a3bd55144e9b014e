//! The command line of `cfconv-bench`. The programs `cfconv-bench` and `cfconv-bench-cuda` are [`main`] with different
//! graphics cards.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail, ensure};
use cfconv_fft::simd::InstructionSet;
use cfconv_train::cli::{GraphicsCard, exit_code};
use clap::{Parser, Subcommand};
use serde_json::{Value, to_value};

use crate::{DeviceArgs, Dump, RunArgs, conv3x3, fft, infer, layer, net, sgemm};

/// Times transforms, layers and networks of cfconv.
#[derive(Parser)]
#[command(name = "cfconv-bench", version)]
struct Arguments {
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
    /// Instead of measuring, write the operands and results of one step to this safetensors file.
    #[arg(long, global = true, value_name = "FILE")]
    dump: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One rfft2 and one irfft2 of batch × in-channels planes.
    Fft(fft::Args),
    #[command(flatten)]
    OnDevice(DeviceCommand),
    /// Forward and backward pass of one ordinary convolution.
    Conv3x3(conv3x3::Args),
    /// Inference with cached kernels: of one CF-Conv layer, or of a whole network.
    Infer(infer::Args),
    /// One matrix product, which shows the rate of this machine.
    Sgemm(sgemm::Args),
}

/// What can be measured on a graphics card too.
#[derive(Subcommand)]
pub enum DeviceCommand {
    /// A training step of one CF-Conv layer: sampling, kernel refresh, forward, backward.
    Layer(layer::Args),
    /// A training step of a whole network with its optimiser.
    Net(net::Args),
}

/// A measurement on a graphics card.
pub struct DeviceMeasurement {
    /// The subject.
    pub command: DeviceCommand,
    /// How often it is measured.
    pub run: RunArgs,
    /// Whether the report is one JSON object.
    pub json: bool,
}

/// The program `cfconv-bench`, which reaches the graphics card as `card` says: does what the command line asks for.
pub fn main(card: &dyn GraphicsCard<DeviceMeasurement>) -> ExitCode {
    exit_code(run(Arguments::parse(), card))
}

fn run(arguments: Arguments, card: &dyn GraphicsCard<DeviceMeasurement>) -> Result<ExitCode> {
    let Arguments { run, json, dump, command } = arguments;
    let device = match &command {
        Command::OnDevice(command) => command.device(),
        _ => DeviceArgs::default(),
    };
    let on_card = device.is_on_card()?;
    if let Some(path) = dump {
        ensure!(!on_card, "--dump writes what the CPU computes: leave out --device cuda");
        run.start_threads()?;
        command.dump()?.write(&path)?;
        return Ok(ExitCode::SUCCESS);
    }
    run.start_threads()?;
    match command {
        Command::OnDevice(command) if on_card => {
            let run_on_card =
                card.open(device.tf32).map_err(|missing| anyhow!("--device cuda: {}", missing.reason))?;
            run_on_card(DeviceMeasurement { command, run, json })
        }
        command => print(command.measure(&run)?, json),
    }
}

impl Command {
    fn measure(&self, run: &RunArgs) -> Result<Value> {
        Ok(match self {
            Self::Fft(args) => to_value(fft::run(args, run)?)?,
            Self::OnDevice(DeviceCommand::Layer(args)) => to_value(layer::run(args, run)?)?,
            Self::Conv3x3(args) => to_value(conv3x3::run(args, run)?)?,
            Self::OnDevice(DeviceCommand::Net(args)) => to_value(net::run(args, run)?)?,
            Self::Infer(args) => to_value(infer::run(args, run)?)?,
            Self::Sgemm(args) => to_value(sgemm::run(args, run)?)?,
        })
    }

    fn dump(&self) -> Result<Dump> {
        match self {
            Self::Fft(args) => fft::dump(args),
            Self::OnDevice(DeviceCommand::Layer(args)) => layer::dump(args),
            Self::Conv3x3(args) => conv3x3::dump(args),
            Self::OnDevice(DeviceCommand::Net(args)) => net::dump(args),
            Self::Infer(args) => infer::dump(args),
            Self::Sgemm(_) => bail!("sgemm has nothing to dump"),
        }
    }
}

impl DeviceCommand {
    fn device(&self) -> DeviceArgs {
        match self {
            Self::Layer(args) => args.device,
            Self::Net(args) => args.device,
        }
    }
}

/// Prints a report.
pub(crate) fn print(mut report: Value, json: bool) -> Result<ExitCode> {
    report["instruction_set"] = format!("{:?}", InstructionSet::detect()).into();
    let mut out = stdout().lock();
    if json {
        writeln!(out, "{report}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let fields = report.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(_, value)| !value.is_null()) {
        match value.as_str() {
            Some(text) => writeln!(out, "{name:<20} {text}")?,
            None => writeln!(out, "{name:<20} {value}")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
