//! The program `cfconv-cuda`: `cfconv` with a graphics card. `cfconv` starts it for `--device cuda` and `auto`.

use std::process::ExitCode;

use cfconv_train::cli::{self, CudaCard};

fn main() -> ExitCode {
    // `cfconv` first asks whether this program starts at all and finds a graphics card.
    cli::answer_probe().unwrap_or_else(|| cli::main(&CudaCard))
}
