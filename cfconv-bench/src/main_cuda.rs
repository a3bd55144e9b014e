//! The program `cfconv-bench-cuda`: `cfconv-bench` with a graphics card. `cfconv-bench` starts it for `--device cuda`.

use std::process::ExitCode;

use cfconv_bench::cli;
use cfconv_train::cli::{CudaCard, answer_probe};

fn main() -> ExitCode {
    answer_probe().unwrap_or_else(|| cli::main(&CudaCard))
}
