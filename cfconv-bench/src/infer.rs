//! Inference with cached kernels.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cfconv_core::StepSeed;
use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace};
use cfconv_train::nn::EvaluationWeights;
use serde::Serialize;

use crate::layer::KernelArgs;
use crate::memory::MemoryWatch;
use crate::net::Subject;
use crate::{RunArgs, ShapeArgs, Timing, operands};

/// Options of `cfconv-bench infer`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file of a network, as for `cfconv train`; without it one layer of the given sizes.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a key of the configuration; repeatable.
    #[arg(long, value_name = "KEY=VALUE", requires = "config")]
    set: Vec<String>,
    /// Sizes of the images; of a network, only batch counts.
    #[command(flatten)]
    shape: ShapeArgs,
    /// The kernel of the layer.
    #[command(flatten)]
    kernel: KernelArgs,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One forward pass.
    #[serde(flatten)]
    pub timing: Timing,
    /// Images of a pass.
    pub batch: usize,
    /// Time of making the kernels ready, which is not part of the pass.
    pub begin_evaluation_s: f64,
    /// Growth of the process in the passes, in MiB, where the system tells.
    pub peak_scratch_mib: Option<f64>,
    /// `layer` or `network`.
    pub subject: &'static str,
}

/// Times forward passes after the kernels were made ready once.
///
/// # Errors
/// What layer or network report; a configuration that cannot be read.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    match &args.config {
        Some(config) => infer_network(config, args, run),
        None => infer_layer(args, run),
    }
}

fn infer_layer(args: &Args, run: &RunArgs) -> Result<Report> {
    let batch = args.shape.batch;
    let mut layer = CfConv2dEngine::<f32>::try_new(&args.kernel.layer(args.shape))?;
    let mut params = vec![0.0_f32; layer.num_parameters()];
    layer.initialize(StepSeed { run_seed: 1, layer: 0, step: 0 }, &mut params)?;
    let input = operands::uniform(args.shape.input_len(), 1);
    let mut output = vec![1.0_f32; args.shape.output_len()];
    let mut workspace = CfConvWorkspace::default();
    let begin = run.time(|_| Ok(layer.begin_evaluation(&params)?))?;
    let memory = MemoryWatch::start();
    let timing = run.time(|_| Ok(layer.forward(&params, batch, &input, &mut output, &mut workspace)?))?;
    Ok(Report {
        timing,
        batch,
        begin_evaluation_s: begin.median_s,
        peak_scratch_mib: memory.growth_mib(),
        subject: "layer",
    })
}

fn infer_network(config: &Path, args: &Args, run: &RunArgs) -> Result<Report> {
    let batch = args.shape.batch;
    let Subject { mut network, images, .. } = Subject::load(config, &args.set, Some(batch), 2)?;
    let begin = run.time(|_| Ok(network.begin_evaluation(EvaluationWeights::Trained)?))?;
    let memory = MemoryWatch::start();
    let timing = run.time(|_| Ok(network.forward(batch, &images)?))?;
    Ok(Report {
        timing,
        batch,
        begin_evaluation_s: begin.median_s,
        peak_scratch_mib: memory.growth_mib(),
        subject: "network",
    })
}
