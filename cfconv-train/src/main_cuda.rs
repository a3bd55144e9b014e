//! The program `cfconv-cuda`: `cfconv` with a graphics card. `cfconv` starts it for `--device cuda` and `auto`.

#[path = "accelerator/cuda.rs"]
mod accelerator;
mod cli;
mod message;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Whether this program starts at all, and finds a graphics card, is what `cfconv` asks before anything else.
    cfconv_train::cuda_program::answer_probe().unwrap_or_else(|| message::exit_code(cli::run()))
}
