//! The program `cfconv-bench`.

#[path = "accelerator/delegate.rs"]
mod accelerator;
mod cli;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    cli::run()
}
