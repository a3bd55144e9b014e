//! `cfconv eval`.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::checkpoint::{load_model, load_model_at};
use crate::data::{DataConfig, Loader, Split, load_for_evaluation};
use crate::device::Device;
use crate::trainer::{Evaluation, evaluate_each};
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::confusion::Confusion;
use super::device::DeviceArguments;
use super::mistakes::{Mistake, Mistakes};
use super::progress::LoadingBar;
use super::{set_log_level, start_threads};

#[derive(Debug, Args)]
pub struct EvalArguments {
    /// A checkpoint or model, such as best.safetensors in a run's folder.
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// Images, as for `cfconv train`. Default: the embedded data set.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Which images to use: `all`, or one part of the split that training made.
    #[arg(long, value_enum, default_value_t = SplitChoice::All)]
    split: SplitChoice,
    /// Rows and columns of the images. Kernels of CF-Conv layers are resampled to this size. Default: the training
    /// size.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    size: Option<u32>,
    /// Images in one step.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch_size: u32,
    #[command(flatten)]
    pub(super) device: DeviceArguments,
    /// Number of threads; 0 means one for each core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Write the images that the network is most confidently wrong about into this folder, as PNG files in the size
    /// that the network sees. Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    mistakes: Option<PathBuf>,
    /// With --mistakes: how many images at most.
    #[arg(long, value_name = "N", requires = "mistakes", default_value_t = 12)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    mistakes_count: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SplitChoice {
    All,
    Train,
    Validation,
    Test,
}

impl From<SplitChoice> for Split {
    fn from(choice: SplitChoice) -> Self {
        match choice {
            SplitChoice::All => Self::All,
            SplitChoice::Train => Self::Train,
            SplitChoice::Validation => Self::Validation,
            SplitChoice::Test => Self::Test,
        }
    }
}

/// The result as JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    accuracy: f64,
    loss: f64,
    images: usize,
    parameters: usize,
    skipped: usize,
    classes: Vec<ClassReport<'a>>,
    /// Numbers of images: a row for each true class, a column for each predicted one. Absent for many classes.
    confusion: Option<&'a [Vec<usize>]>,
    /// The worst mistakes, if a folder was given for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    mistakes: Option<Vec<Mistake<'a>>>,
    model: &'a str,
    checkpoint: String,
    data: &'a str,
    split: Split,
    /// Rows and columns of the images.
    size: usize,
    step: usize,
    averaged: bool,
}

#[derive(Debug, Serialize)]
struct ClassReport<'a> {
    class: &'a str,
    /// Absent for a class without images.
    accuracy: Option<f64>,
    images: usize,
}

impl EvalArguments {
    pub(super) fn run_on<D: Device>(self, device: D) -> anyhow::Result<ExitCode> {
        set_log_level(self.json);
        start_threads(self.threads)?;
        let count = self.mistakes_count as usize;
        let mut mistakes = self.mistakes.map(|folder| Mistakes::try_new(folder, count)).transpose()?;
        let batch = self.batch_size as usize;
        let mut model = match self.size {
            Some(size) => load_model_at(device, &self.checkpoint, batch, size as usize)?,
            None => load_model(device, &self.checkpoint, batch)?,
        };
        // The embedded data set and the split are those of the training; `all` means every image.
        let trained_on = model.metadata.config.data.clone();
        let max_images_per_class = trained_on.max_images_per_class.filter(|_| self.split != SplitChoice::All);
        let size = self.size.map_or(trained_on.size, |size| size as usize);
        let config = DataConfig { path: self.data.clone(), max_images_per_class, size, ..trained_on };
        let loading = LoadingBar::new(self.json);
        let dataset = load_for_evaluation(&config, &model.metadata.class_names, &|done, total| {
            loading.update(done, total);
        })?;
        loading.finish();
        let dataset = Arc::new(dataset);
        let loader =
            Loader::evaluation(Arc::clone(&dataset), self.split.into(), batch, model.metadata.normalization)?;
        let mut confusion = Confusion::new(model.metadata.class_names.len());
        let evaluation = evaluate_each(&mut model.network, &loader, |answer| {
            confusion.iter_mut().for_each(|confusion| confusion.count(&answer));
            mistakes.iter_mut().for_each(|mistakes| mistakes.count(answer));
        })
        .with_context(|| format!("cannot evaluate {}", self.checkpoint.display()))?;
        let skipped = dataset.skip_summary();
        let metadata = &model.metadata;
        let mistakes = mistakes.map(|it| it.write(&dataset, &metadata.class_names)).transpose()?;
        let report = Report {
            accuracy: evaluation.score.accuracy,
            loss: evaluation.score.loss,
            images: evaluation.score.images,
            parameters: metadata.parameters,
            skipped: skipped.total(),
            classes: classes(&metadata.class_names, &evaluation),
            confusion: confusion.as_ref().map(Confusion::rows),
            mistakes,
            model: &metadata.config.name,
            checkpoint: self.checkpoint.display().to_string(),
            data: dataset.origin(),
            split: self.split.into(),
            size,
            step: metadata.step,
            averaged: metadata.averaged,
        };
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(out, "{} ({} parameters, step {})", report.model, report.parameters, report.step)?;
        writeln!(out, "{}, split {}: {} images, {skipped}", report.data, report.split, report.images)?;
        writeln!(out, "accuracy {:.2} %, loss {:.4}", 100.0 * report.accuracy, report.loss)?;
        for class in &report.classes {
            match class.accuracy {
                Some(accuracy) => {
                    writeln!(out, "  {:<24} {:6.2} % of {}", class.class, 100.0 * accuracy, class.images)?;
                }
                None => writeln!(out, "  {:<24}     no images", class.class)?,
            }
        }
        confusion.iter().try_for_each(|confusion| confusion.print(&mut out, &metadata.class_names))?;
        for Mistake { file, image, class, predicted, probability } in report.mistakes.iter().flatten() {
            writeln!(out, "{file}: {image} is {class}, predicted {predicted} {:.1} %", 100.0 * probability)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn classes<'a>(names: &'a [String], evaluation: &Evaluation) -> Vec<ClassReport<'a>> {
    names
        .iter()
        .zip(&evaluation.classes)
        .map(|(class, count)| ClassReport {
            class,
            accuracy: (count.images > 0).then(|| count.correct as f64 / count.images as f64),
            images: count.images,
        })
        .collect()
}
