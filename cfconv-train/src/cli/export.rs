//! `cfconv export`.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::checkpoint::export_model;
use crate::device::Cpu;
use anyhow::{Context, bail};
use clap::Args;

use super::set_log_level;

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// A checkpoint or model, such as best.safetensors in a run's folder.
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl ExportArguments {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        set_log_level(false);
        if self.out.exists() {
            bail!("{} exists already: move it, or choose another --out", self.out.display());
        }
        let metadata = export_model(Cpu::default(), &self.checkpoint, &self.out)?;
        let size =
            std::fs::metadata(&self.out).with_context(|| format!("reading {}", self.out.display()))?.len();
        let mut out = stdout().lock();
        writeln!(
            out,
            "{}: {} parameters, {:.1} KiB, for images of {} pixels; holds no kernels, loading evaluates Φ",
            self.out.display(),
            metadata.parameters,
            size as f64 / 1024.0,
            metadata.config.data.size
        )?;
        Ok(ExitCode::SUCCESS)
    }
}
