//! `cfconv train`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::TrainConfig;
use crate::data::{expected_formats, load_dataset};
use crate::device::Device;
use crate::run_folder::RunFolder;
use crate::trainer::{Limits, Outcome, Trainer};
use anyhow::{Context, bail};
use clap::Args;

use super::device::DeviceArguments;
use super::progress::{LoadingBar, TrainingDisplay};
use super::size::parse_mib;
use super::{set_log_level, start_threads};

/// Exit code of a run that was interrupted and wrote its checkpoint: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
pub struct TrainArguments {
    /// Configuration file. With --resume, the default is the run's own config.toml.
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "PATH", help = data_help())]
    data: Option<PathBuf>,
    /// Folder of the run. It must not hold a run yet, except with --resume.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Continue the run in the folder from its last checkpoint.
    #[arg(long)]
    resume: bool,
    /// Passes over the training images (train.epochs).
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Seed of all randomness (seed).
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of threads; 0 means one for each core (train.threads).
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    pub(super) device: DeviceArguments,
    /// Images in one step (train.batch_size).
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Refuse a run that is estimated to need more memory than this, such as 512MiB or 2GiB. A number without a unit
    /// is in MiB (train.memory_limit_mib). Default: what the device has available.
    #[arg(long, value_name = "SIZE", value_parser = parse_mib)]
    memory_limit: Option<usize>,
    /// Stop after this many steps in total and write a checkpoint. The schedule is still that of the whole run.
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
    /// Override a key of the configuration, for example `--set optimizer.learning_rate=0.001`, or remove it:
    /// `--set average=`. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print only warnings and errors.
    #[arg(long)]
    quiet: bool,
}

fn data_help() -> String {
    let formats = expected_formats();
    format!("Images: {formats}. Default: what the configuration says, or else the embedded data set")
}

impl TrainArguments {
    pub(super) fn run_on<D: Device>(self, device: D) -> anyhow::Result<ExitCode> {
        set_log_level(self.quiet);
        let folder = if self.resume { RunFolder::resume(&self.out)? } else { RunFolder::create(&self.out)? };
        let mut config = self.configuration(&folder)?;
        start_threads(config.train.threads)?;
        if let Some(path) = &self.data {
            config.data.path = Some(path.clone());
        }
        let loading = LoadingBar::new(self.quiet);
        let dataset = load_dataset(&config.data, &|done, total| loading.update(done, total))?;
        loading.finish();
        let skipped = dataset.skip_summary();
        if skipped.total() > 0 {
            tracing::warn!("{}: {skipped}", dataset.origin());
        }
        let dataset = Arc::new(dataset);
        let trainer = if self.resume {
            Trainer::resume(device, config, dataset, folder)?
        } else {
            Trainer::try_new(device, config, dataset, folder)?
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || {
            // A second interrupt does not wait for the end of the step.
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(INTERRUPTED));
            }
        })
        .context("cannot watch for interrupts")?;
        let limits = Limits { max_steps: self.max_steps, interrupted: &interrupted };
        match trainer.run(&limits, &mut TrainingDisplay::new(self.quiet))? {
            Outcome::Done(_) => Ok(ExitCode::SUCCESS),
            Outcome::Interrupted { step } => {
                eprintln!(
                    "interrupted after step {step}; continue with: cfconv train --resume --out {}",
                    self.out.display()
                );
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }

    /// The configuration file under the options of the command line.
    fn configuration(&self, folder: &RunFolder) -> anyhow::Result<TrainConfig> {
        let file = match &self.config {
            Some(file) => file.clone(),
            None if self.resume => folder.config(),
            None => bail!("--config is missing"),
        };
        let mut overrides = self.set.clone();
        let numbers = [
            ("train.epochs", self.epochs),
            ("train.threads", self.threads),
            ("train.batch_size", self.batch_size),
            ("train.memory_limit_mib", self.memory_limit),
        ];
        overrides
            .extend(numbers.iter().filter_map(|(key, value)| value.map(|value| format!("{key}={value}"))));
        overrides.extend(self.seed.map(|seed| format!("seed={seed}")));
        Ok(TrainConfig::load(&file, &overrides)?)
    }
}
