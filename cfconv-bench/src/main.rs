//! The program `cfconv-bench`. For a graphics card it starts `cfconv-bench-cuda`.

use std::process::ExitCode;

use cfconv_bench::cli;
use cfconv_train::cli::CudaProgram;

fn main() -> ExitCode {
    cli::main(&CudaProgram::new("cfconv-bench-cuda", "cargo build --release -p cfconv-bench --features cuda"))
}
