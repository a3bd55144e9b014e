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
mod miri;
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
    /// Run tests of unsafe code in Miri, which finds undefined behaviour; needs the nightly toolchain.
    ///
    /// Miri interprets a program and checks each access to memory, about a thousand times slower than the processor.
    /// The tests run on the portable instruction set. Covered are, in cfconv-fft, lanes in registers and in memory and
    /// the transforms of groups of planes, and in cfconv-core the products of direct convolutions. Not covered are AVX,
    /// AVX-512 and NEON, and all unsafe code of cfconv-train: it calls foreign functions, of CUDA's driver and of the
    /// emulated kernels. `rustup toolchain install nightly --component miri,rust-src` installs what is needed.
    Miri(miri::Args),
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
        Command::Miri(args) => miri::run(&args),
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
