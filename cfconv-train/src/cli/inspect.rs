//! `cfconv inspect`.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::checkpoint::{Metadata, TensorFile, input_shape, load_model};
use crate::config::TrainConfig;
use crate::data::CHANNELS;
use crate::device::Cpu;
use crate::networks::{InputShape, LayerKernels, NetworkPlan, Shape};
use anyhow::{Context, bail};
use cfconv_fft::half_width;
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// A checkpoint.
    #[arg(long, value_name = "FILE", required_unless_present = "config", conflicts_with = "config")]
    checkpoint: Option<PathBuf>,
    /// A configuration file: shows its network without training it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of classes of the network, with --config.
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with = "checkpoint")]
    classes: usize,
    /// Override any key of the configuration, as for `cfconv train`; repeatable.
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "checkpoint")]
    set: Vec<String>,
    /// With --json: add this many kernels of each layer that convolves (CF-Conv layers, ordinary and depthwise
    /// convolutions), in space and over frequency.
    #[arg(long, value_name = "N", requires = "checkpoint", requires = "json")]
    kernels: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The network as JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    model: &'a str,
    source: String,
    input: [usize; 3],
    classes: usize,
    parameters: usize,
    state_bytes: usize,
    layers: Vec<LayerReport<'a>>,
    tensors: Vec<TensorReport<'a>>,
    checkpoint: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<Vec<LayerKernels>>,
}

#[derive(Debug, Serialize)]
struct LayerReport<'a> {
    name: &'a str,
    kind: &'a str,
    output: Vec<usize>,
    parameters: usize,
    state_bytes: usize,
}

#[derive(Debug, Serialize)]
struct TensorReport<'a> {
    name: &'a str,
    shape: &'a [usize],
    decays: bool,
}

impl InspectArguments {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match (&self.checkpoint, &self.config) {
            (Some(path), _) => {
                let file = TensorFile::read(path)?;
                let metadata = Metadata::read(&file)?;
                let classes = metadata.class_names.len();
                let plan = NetworkPlan::try_new(&metadata.config.network, input_shape(&metadata), classes)
                    .with_context(|| path.display().to_string())?;
                self.print(&path.display().to_string(), &metadata.config.name, &plan, Some(&metadata))
            }
            (None, Some(path)) => {
                let config = TrainConfig::load(path, &self.set)?;
                let size = config.data.size;
                let input = InputShape { channels: CHANNELS, height: size, width: size };
                let plan = NetworkPlan::try_new(&config.network, input, self.classes)
                    .with_context(|| path.display().to_string())?;
                self.print(&path.display().to_string(), &config.name, &plan, None)
            }
            (None, None) => bail!("give --checkpoint or --config"),
        }
    }

    fn read_kernels(&self) -> anyhow::Result<Option<Vec<LayerKernels>>> {
        let (Some(path), Some(count)) = (&self.checkpoint, self.kernels) else { return Ok(None) };
        let model = load_model(Cpu::default(), path, 1)?;
        Ok(Some(model.network.kernels(count).with_context(|| path.display().to_string())?))
    }

    fn print(
        &self,
        source: &str,
        model: &str,
        plan: &NetworkPlan,
        metadata: Option<&Metadata>,
    ) -> anyhow::Result<ExitCode> {
        let mut out = stdout().lock();
        if self.json {
            let InputShape { channels, height, width } = plan.input();
            let report = Report {
                model,
                source: source.to_owned(),
                input: [channels, height, width],
                classes: plan.classes(),
                parameters: plan.num_parameters(),
                state_bytes: plan.state_bytes(),
                layers: plan
                    .summaries()
                    .iter()
                    .map(|row| LayerReport {
                        name: &row.name,
                        kind: row.kind,
                        output: sizes(row.output),
                        parameters: row.parameters,
                        state_bytes: row.state_bytes,
                    })
                    .collect(),
                tensors: plan
                    .segments()
                    .iter()
                    .map(|segment| TensorReport {
                        name: &segment.name,
                        shape: &segment.shape,
                        decays: segment.decays,
                    })
                    .collect(),
                checkpoint: metadata,
                kernels: self.read_kernels()?,
            };
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(out, "{model} ({source})")?;
        if let Some(metadata) = metadata {
            let averaged = if metadata.averaged { ", averaged weights" } else { "" };
            writeln!(out, "step {}{averaged}, classes: {}", metadata.step, metadata.class_names.join(", "))?;
            if let Some(score) = metadata.validation {
                writeln!(out, "validation accuracy {:.2} %, loss {:.4}", 100.0 * score.accuracy, score.loss)?;
            }
        }
        writeln!(out, "{plan}")?;
        for segment in plan.segments() {
            writeln!(out, "  {:<40} {:?}", segment.name, segment.shape)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn sizes(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Image { channels, height, width } => vec![channels, height, width],
        Shape::Spectrum { channels, height, width } => vec![channels, height, half_width(width), 2],
        Shape::Features(features) => vec![features],
    }
}
