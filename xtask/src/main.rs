//! Commands of the repository, run as `cargo xtask COMMAND`.
//!
//! Each command has its own file or folder. The commands start cargo and the programs of the workspace and depend on
//! none of its crates, so that a command starts soon after a fresh clone and the code that it checks cannot break it.

mod bench;
mod build;
mod command;
mod cuda_check;
mod cuda_toolkit;
mod documents;
mod environment;
mod files;
mod instruction_sets;
mod kernel_picture;
mod number_text;
mod page;
mod plots;
mod progress;
mod reproduce;
mod scale;
mod table;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Commands of the cfconv repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure transforms, layers and networks of cfconv and PyTorch; write a table, a report and plots.
    Bench(bench::Args),
    /// Check the CUDA code without a graphics card: compile its kernels and run them on the host.
    CudaCheck(cuda_check::Args),
    /// Make a CUDA toolkit for building with the feature `cuda`: needs no root, driver or graphics card.
    CudaToolkit(cuda_toolkit::Args),
    /// Draw kernels that a network learned: the picture of the README.
    KernelPicture(kernel_picture::Args),
    /// Run an experiment: train its networks and report accuracy, time and memory.
    Reproduce(reproduce::Args),
    /// Run what stands for a command of a document; `cargo xtask test` calls it.
    #[command(hide = true)]
    StandIn(documents::Args),
    /// Run every check that a change must pass: format, documentation, lints, tests.
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::CudaCheck(args) => cuda_check::run(&args),
        Command::CudaToolkit(args) => cuda_toolkit::run(&args),
        Command::KernelPicture(args) => kernel_picture::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::StandIn(args) => documents::stand_in(&args),
        Command::Test(args) => test::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
