//! The program `cfconv-bench-cuda`: `cfconv-bench` with a graphics card. `cfconv-bench` starts it for `--device cuda`.

#[path = "accelerator/cuda.rs"]
mod accelerator;
mod cli;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    match cfconv_train::cuda_program::answer_probe() {
        Some(code) => Ok(code),
        None => cli::run(),
    }
}
