//! An ordinary convolution.

use anyhow::{Result, ensure};
use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use serde::Serialize;

use crate::{Dump, RunArgs, ShapeArgs, Timing, operands};

/// Options of `cfconv-bench conv3x3`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Sizes of the images.
    #[command(flatten)]
    shape: ShapeArgs,
    /// Rows and columns of the kernel; odd.
    #[arg(long, value_name = "K", default_value_t = 3)]
    kernel_size: usize,
    /// Pad with the opposite border instead of zeros.
    #[arg(long)]
    circular: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Forward pass, gradients of input and weights.
    #[serde(flatten)]
    pub timing: Timing,
    /// Rate, in 10⁹ operations a second: two for each multiplication and addition, three passes.
    pub gflops: f64,
    /// Rows and columns of the kernel.
    pub kernel_size: usize,
    /// Sizes of the images.
    pub shape: ShapeArgs,
}

/// Times forward and backward passes of a padded convolution of stride 1.
///
/// # Errors
/// A kernel size that is even or zero.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    let mut step = ConvStep::new(args.shape, args.kernel_size, args.circular)?;
    let timing = run.time(|_| {
        step.run();
        Ok(())
    })?;
    let ShapeArgs { batch, height, width, .. } = args.shape;
    let multiplications = 3.0 * step.weight.len() as f64 * (batch * height * width) as f64;
    let gflops = 2.0 * multiplications / timing.median_s / 1e9;
    Ok(Report { timing, gflops, kernel_size: args.kernel_size, shape: args.shape })
}

/// Writes operands, output and gradients of one step.
///
/// # Errors
/// As [`run`].
pub fn dump(args: &Args) -> Result<Dump> {
    let ShapeArgs { batch, in_channels, out_channels, height, width } = args.shape;
    let mut step = ConvStep::new(args.shape, args.kernel_size, args.circular)?;
    step.run();
    let (input, output) = ([in_channels, height, width, batch], [out_channels, height, width, batch]);
    let weight = [out_channels, in_channels, args.kernel_size, args.kernel_size];
    let mut dump = Dump::default();
    dump.real("input", &input, &step.input);
    dump.real("weight", &weight, &step.weight);
    dump.real("grad_output", &output, &step.grad_output);
    dump.real("output", &output, &step.output);
    dump.real("grad.input", &input, &step.grad_input);
    dump.real("grad.weight", &weight, &step.grad_weight);
    Ok(dump)
}

/// A convolution with its operands.
pub struct ConvStep {
    conv: DirectConv<f32>,
    batch: usize,
    input: Vec<f32>,
    weight: Vec<f32>,
    grad_output: Vec<f32>,
    output: Vec<f32>,
    grad_input: Vec<f32>,
    grad_weight: Vec<f32>,
}

impl ConvStep {
    /// Makes a convolution with random operands.
    ///
    /// # Errors
    /// A kernel size that is even or zero.
    pub fn new(shape: ShapeArgs, kernel_size: usize, circular: bool) -> Result<Self> {
        let ShapeArgs { batch, in_channels, out_channels, height, width } = shape;
        ensure!(kernel_size % 2 == 1, "--kernel-size must be odd, got {kernel_size}");
        let padding = if circular { PaddingMode::Circular } else { PaddingMode::Zeros };
        let sizes = DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding };
        Ok(Self {
            conv: DirectConv::new(sizes),
            batch,
            input: operands::uniform(shape.input_len(), 1),
            weight: operands::uniform(sizes.num_weights(), 3),
            grad_output: operands::uniform(shape.output_len(), 2),
            output: vec![1.0; shape.output_len()],
            grad_input: vec![1.0; shape.input_len()],
            grad_weight: vec![0.0; sizes.num_weights()],
        })
    }

    /// Forward pass, gradient of the input, gradient of the weights; the last is added to what was there.
    pub fn run(&mut self) {
        self.conv.forward(self.batch, &self.input, &self.weight, None, &mut self.output);
        self.conv.backward_input(self.batch, &self.grad_output, &self.weight, &mut self.grad_input);
        self.conv.backward_weight(self.batch, &self.input, &self.grad_output, &mut self.grad_weight, None);
    }
}
