//! The command line of `cfconv-bench`.

use std::io::{self, ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use cfconv_bench::{Dump, RunArgs, conv3x3, fft, infer, layer, net, sgemm};
use cfconv_fft::simd::InstructionSet;
use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::accelerator;

/// Times transforms, layers and networks of cfconv.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
    /// In place of measuring, write operands and results of one step to this safetensors file.
    #[arg(long, global = true, value_name = "FILE")]
    dump: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// One rfft2 and one irfft2 of batch × in-channels planes.
    Fft(fft::Args),
    /// A training step of one CF-Conv layer: sampling, kernel refresh, forward, backward.
    Layer(layer::Args),
    /// Forward and backward pass of one ordinary convolution.
    Conv3x3(conv3x3::Args),
    /// A training step of a whole network with its optimiser.
    Net(net::Args),
    /// Inference with cached kernels: of one CF-Conv layer, or of a whole network.
    Infer(infer::Args),
    /// A matrix product: the rate of this machine.
    Sgemm(sgemm::Args),
}

/// Does what the command line asks for.
///
/// # Errors
/// Whatever the measurement reports; with `--device cuda`, what is missing.
pub(crate) fn run() -> Result<ExitCode> {
    let Cli { run, json, dump, command } = Cli::parse();
    if let Some(path) = dump {
        ensure!(!command.is_on_card()?, "--dump writes what the CPU computes: leave out --device cuda");
        run.start_threads()?;
        command.dump()?.write(&path)?;
        return Ok(ExitCode::SUCCESS);
    }
    run.start_threads()?;
    let mut result = match command.measure(&run)? {
        ControlFlow::Continue(result) => result,
        ControlFlow::Break(code) => return Ok(code),
    };
    result["instruction_set"] = format!("{:?}", InstructionSet::detect()).into();
    match print(&result, json) {
        // A reader that has seen enough, as `head` does, is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Command {
    fn is_on_card(&self) -> Result<bool> {
        match self {
            Self::Layer(layer::Args { device, .. }) | Self::Net(net::Args { device, .. }) => {
                device.is_on_card()
            }
            _ => Ok(false),
        }
    }

    /// The report, or the exit code of the program that has measured in place of this one.
    fn measure(&self, run: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
        let report = match self {
            Self::Layer(args) if self.is_on_card()? => return accelerator::layer(args, run),
            Self::Net(args) if self.is_on_card()? => return accelerator::net(args, run),
            Self::Fft(args) => serde_json::to_value(fft::run(args, run)?)?,
            Self::Layer(args) => serde_json::to_value(layer::run(args, run)?)?,
            Self::Conv3x3(args) => serde_json::to_value(conv3x3::run(args, run)?)?,
            Self::Net(args) => serde_json::to_value(net::run(args, run)?)?,
            Self::Infer(args) => serde_json::to_value(infer::run(args, run)?)?,
            Self::Sgemm(args) => serde_json::to_value(sgemm::run(args, run)?)?,
        };
        Ok(ControlFlow::Continue(report))
    }

    fn dump(&self) -> Result<Dump> {
        match self {
            Self::Fft(args) => fft::dump(args),
            Self::Layer(args) => layer::dump(args),
            Self::Conv3x3(args) => conv3x3::dump(args),
            Self::Net(args) => net::dump(args),
            Self::Infer(args) => infer::dump(args),
            Self::Sgemm(_) => bail!("sgemm has nothing to dump"),
        }
    }
}

fn print(result: &Value, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{result}");
    }
    let fields = result.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(_, value)| !value.is_null()) {
        match value.as_str() {
            Some(text) => writeln!(out, "{name:<20} {text}")?,
            None => writeln!(out, "{name:<20} {value}")?,
        }
    }
    Ok(())
}
