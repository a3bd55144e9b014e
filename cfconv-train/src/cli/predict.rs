//! `cfconv predict`.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::checkpoint::load_model;
use crate::data::{BatchAssembler, load_image};
use crate::device::Device;
use crate::trainer::probabilities;
use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::device::DeviceArguments;
use super::{set_log_level, start_threads};

/// Images in one step.
const BATCH: usize = 64;

#[derive(Debug, Args)]
pub struct PredictArguments {
    /// A checkpoint or model, such as best.safetensors in a run's folder.
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// JPEG or PNG images.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Print one JSON array with an object for each image.
    #[arg(long)]
    json: bool,
    /// How many of the most likely classes to name.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    pub(super) device: DeviceArguments,
    /// Number of threads; 0 means one for each core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

#[derive(Debug, Serialize)]
struct Prediction<'a> {
    image: String,
    class: &'a str,
    top: Vec<Likely<'a>>,
}

#[derive(Debug, Serialize)]
struct Likely<'a> {
    class: &'a str,
    probability: f32,
}

impl PredictArguments {
    pub(super) fn run_on<D: Device>(self, device: D) -> anyhow::Result<ExitCode> {
        set_log_level(self.json);
        start_threads(self.threads)?;
        let batch = self.images.len().min(BATCH);
        let mut model = load_model(device, &self.checkpoint, batch)?;
        let data = model.metadata.config.data.clone();
        let assembler = BatchAssembler::evaluation(model.metadata.normalization);
        let mut predictions = Vec::with_capacity(self.images.len());
        for paths in self.images.chunks(BATCH) {
            let sources: Vec<Vec<u8>> = paths
                .iter()
                .map(|path| load_image(path, data.size, data.resize))
                .collect::<Result<_, _>>()?;
            let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let mut input = vec![0.0; sources.iter().map(|source| source.len()).sum()];
            assembler.assemble_images(&sources, data.size, &mut input)?;
            let rows = probabilities(&mut model.network, &input, paths.len())
                .with_context(|| format!("cannot apply {}", self.checkpoint.display()))?;
            for (path, row) in paths.iter().zip(&rows) {
                let mut ranked: Vec<Likely<'_>> = model
                    .metadata
                    .class_names
                    .iter()
                    .zip(row)
                    .map(|(class, &probability)| Likely { class, probability })
                    .collect();
                ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
                ranked.truncate(self.top as usize);
                let class = ranked.first().map_or("", |likely| likely.class);
                predictions.push(Prediction { image: path.display().to_string(), class, top: ranked });
            }
        }
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&predictions)?)?;
        } else {
            for prediction in &predictions {
                let ranked: Vec<String> = prediction
                    .top
                    .iter()
                    .map(|likely| format!("{} {:.1} %", likely.class, 100.0 * likely.probability))
                    .collect();
                writeln!(out, "{}: {}", prediction.image, ranked.join(", "))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
