//! Commands of the repository, run as `cargo xtask COMMAND`.
//!
//! Each command has a file of its own. They launch cargo and the programs of the workspace and depend on none
//! of its crates, so that a command starts within seconds of a fresh clone and cannot be broken by the code it
//! checks.

mod atomic;
mod bench;
mod build;
mod environment;
mod number_text;
mod page;
mod plots;
mod reproduce;
mod test;
mod text_table;
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
    /// Measure transforms, layers and networks beside PyTorch and write a table, a report and plots.
    Bench(bench::Args),
    /// Train the networks of an experiment and report accuracy, time and memory.
    Reproduce(reproduce::Args),
    /// Run every check that a change must pass: format, documentation, lints, tests.
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
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
