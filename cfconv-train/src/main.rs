//! The program `cfconv`: `train`, `eval`, `predict`, `export` and `inspect`. For a graphics card it starts
//! `cfconv-cuda`.

use std::process::ExitCode;

use cfconv_train::cli::{self, CudaProgram};

fn main() -> ExitCode {
    cli::main(&CudaProgram::new("cfconv-cuda", "cargo build --release --features cuda"))
}
