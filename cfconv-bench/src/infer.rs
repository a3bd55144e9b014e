//! Inference with cached kernels.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cfconv_train::device::Cpu;
use cfconv_train::nn::KernelSource;
use serde::Serialize;

use crate::layer::{KernelArgs, LayerStep};
use crate::memory::MemoryWatch;
use crate::net::Subject;
use crate::{Dump, RunArgs, ShapeArgs, Timing};

/// Classes of a network.
const CLASSES: usize = 2;

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
    let LayerStep { mut layer, params, batch, input, mut output, mut workspace, .. } =
        LayerStep::new(args.shape, &args.kernel)?;
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
    let Subject { mut network, images, .. } =
        Subject::load(Cpu::default(), config, &args.set, Some(batch), CLASSES)?;
    let begin = run.time(|_| Ok(network.begin_evaluation(KernelSource::Configured)?))?;
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

/// Writes parameters, kernel state, input and output of a pass.
///
/// # Errors
/// As [`run`].
pub fn dump(args: &Args) -> Result<Dump> {
    match &args.config {
        Some(config) => dump_network(config, args),
        None => dump_layer(args),
    }
}

fn dump_layer(args: &Args) -> Result<Dump> {
    let ShapeArgs { batch, in_channels, out_channels, height, width } = args.shape;
    let mut step = LayerStep::new(args.shape, &args.kernel)?;
    step.disturb()?;
    step.layer.begin_evaluation(&step.params)?;
    step.layer.forward(&step.params, batch, &step.input, &mut step.output, &mut step.workspace)?;
    let grid = step.layer.plan().grid;
    let kernel = [grid.height, grid.half_width(), in_channels, out_channels];
    let mut dump = Dump::default();
    step.dump_parameters("", &step.params, &mut dump);
    dump.scalar("output_scale", step.layer.output_scale());
    dump.complex("state_before", &kernel, step.layer.kernel_state());
    dump.real("input", &[in_channels, height, width, batch], &step.input);
    dump.real("output", &[out_channels, height, width, batch], &step.output);
    Ok(dump)
}

fn dump_network(config: &Path, args: &Args) -> Result<Dump> {
    let batch = args.shape.batch;
    let mut subject = Subject::load(Cpu::default(), config, &args.set, Some(batch), CLASSES)?;
    let states = subject.disturb()?;
    let mut dump = Dump::default();
    dump.extend("", &subject.network.export_parameters()?);
    dump.extend("before.", &states);
    subject.dump_images(&mut dump);
    subject.network.begin_evaluation(KernelSource::Configured)?;
    subject.network.forward(batch, &subject.images)?;
    dump.real("logits", &[CLASSES, batch], &subject.network.logits()?);
    Ok(dump)
}
