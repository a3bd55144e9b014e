//! The program `cfconv`: `train`, `eval`, `predict` and `inspect`.
//!
//! Results go to standard output, progress and messages to standard error. A failure ends with exit code 1 and
//! one line that tells it and its causes; an interrupted training run writes its checkpoint and ends with exit code 130.

#[path = "accelerator/delegate.rs"]
mod accelerator;
mod cli;
mod message;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    message::exit_code(cli::run())
}
