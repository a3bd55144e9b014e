//! The tests of the numeric crates on each instruction set that the processor has.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{build, workspace};

/// The crates whose kernels are compiled for each instruction set.
const CRATES: [&str; 3] = ["cfconv-fft", "cfconv-mlp", "cfconv-core"];

/// Names as `CFCONV_ISA` takes them, from the smallest to the widest, and whether the processor has the set.
#[cfg(target_arch = "x86_64")]
fn sets() -> Vec<(&'static str, bool)> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    vec![("portable", true), ("avx2", avx2), ("avx512", avx2 && is_x86_feature_detected!("avx512f"))]
}

#[cfg(target_arch = "aarch64")]
fn sets() -> Vec<(&'static str, bool)> {
    vec![("portable", true), ("neon", true)]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn sets() -> Vec<(&'static str, bool)> {
    vec![("portable", true)]
}

/// Runs the tests on every set but the widest, which programs choose by themselves. Adds what was left out to
/// `skipped`.
///
/// # Errors
/// A test fails, or the tests cannot be built.
pub(crate) fn run(skipped: &mut Vec<String>) -> Result<()> {
    let programs = build::test_programs(&CRATES)?;
    if programs.len() < CRATES.len() {
        bail!("cargo names {} test programs of {}", programs.len(), CRATES.join(", "));
    }
    let (available, absent): (Vec<_>, Vec<_>) = sets().into_iter().partition(|(_, available)| *available);
    let left_out = |(set, _)| format!("instruction set {set}: this processor does not have it");
    skipped.extend(absent.into_iter().map(left_out));
    let mut failed = Vec::new();
    for (set, _) in &available[..available.len() - 1] {
        for program in &programs {
            eprintln!("CFCONV_ISA={set}: {} {}", program.package, program.name);
            let mut command = Command::new(&program.path);
            command.arg("--quiet").env("CFCONV_ISA", set);
            command.current_dir(workspace::root().join(&program.package));
            let status = command.status().with_context(|| format!("starting {}", program.path.display()))?;
            if !status.success() {
                failed.push(format!("{} {} on {set}", program.package, program.name));
            }
        }
    }
    if !failed.is_empty() {
        bail!("tests failed: {}", failed.join(", "));
    }
    Ok(())
}
