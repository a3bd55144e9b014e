//! `cargo xtask miri`: runs tests of unsafe code in Miri, which finds undefined behaviour.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Options of `cargo xtask miri`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the tests of this crate; may be given several times.
    #[arg(long, value_name = "CRATE", value_parser = SUITES.map(|(name, _)| name))]
    only: Vec<String>,
}

/// Tests that reach unsafe code at small sizes: a crate, and cargo's words for tests of it.
const SUITES: [(&str, &[&str]); 2] = [
    ("cfconv-fft", &["--lib", "--", "simd::", "lanes::fft1d::", "lanes::group::"]),
    ("cfconv-core", &["--test", "contract", "--", "parameter_gradients_accumulate"]),
];

/// Files are read; rayon keeps memory and threads to the end of the program.
const FLAGS: &str = "-Zmiri-disable-isolation -Zmiri-ignore-leaks";

/// Runs the tests of all crates, or of those chosen.
///
/// # Errors
/// There is no Miri, or a test fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut failed = Vec::new();
    for (package, tests) in SUITES {
        if !args.only.is_empty() && !args.only.iter().any(|name| name == package) {
            continue;
        }
        // Not the cargo that built this program: it is of the stable toolchain.
        let mut command = Command::new("cargo");
        command.env_remove("RUSTUP_TOOLCHAIN").current_dir(workspace::root());
        command.args(["+nightly", "miri", "test", "--locked", "--package", package]).args(tests);
        command.env("CFCONV_ISA", "portable").env("MIRIFLAGS", FLAGS);
        eprintln!("── {package}: {command:?}");
        if !command.status().context("could not start cargo")?.success() {
            failed.push(package);
        }
    }
    ensure!(failed.is_empty(), "failed in Miri: {}", failed.join(", "));
    Ok(())
}
