//! The program `cfconv-bench`.

use anyhow::Result;
use cfconv_bench::{RunArgs, conv3x3, fft, infer, layer, net, sgemm};
use clap::{Parser, Subcommand};
use serde_json::Value;

/// Times transforms, layers and networks of cfconv.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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

fn main() -> Result<()> {
    let Cli { run, json, command } = Cli::parse();
    run.start_threads()?;
    let result = match &command {
        Command::Fft(args) => serde_json::to_value(fft::run(args, &run)?)?,
        Command::Layer(args) => serde_json::to_value(layer::run(args, &run)?)?,
        Command::Conv3x3(args) => serde_json::to_value(conv3x3::run(args, &run)?)?,
        Command::Net(args) => serde_json::to_value(net::run(args, &run)?)?,
        Command::Infer(args) => serde_json::to_value(infer::run(args, &run)?)?,
        Command::Sgemm(args) => serde_json::to_value(sgemm::run(args, &run)?)?,
    };
    if json {
        println!("{result}");
    } else {
        print_lines(&result);
    }
    Ok(())
}

fn print_lines(result: &Value) {
    let fields = result.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(_, value)| !value.is_null()) {
        match value.as_str() {
            Some(text) => println!("{name:<20} {text}"),
            None => println!("{name:<20} {value}"),
        }
    }
}
