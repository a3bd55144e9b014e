//! An ordinary convolution.

use anyhow::{Result, ensure};
use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use serde::Serialize;

use crate::{RunArgs, ShapeArgs, Timing, operands};

/// Options of `cfconv-bench conv3x3`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Sizes of the images.
    #[command(flatten)]
    shape: ShapeArgs,
    /// Rows and columns of the kernel; odd.
    #[arg(long, value_name = "K", default_value_t = 3)]
    kernel_size: usize,
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

/// Times forward and backward passes of a zero-padded convolution of stride 1.
///
/// # Errors
/// A kernel size that is even or zero.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    let ShapeArgs { batch, in_channels, out_channels, height, width } = args.shape;
    ensure!(args.kernel_size % 2 == 1, "--kernel-size must be odd, got {}", args.kernel_size);
    let sizes = DirectConvSizes {
        in_channels,
        out_channels,
        height,
        width,
        kernel_size: args.kernel_size,
        padding: PaddingMode::Zeros,
    };
    let conv = DirectConv::<f32>::new(sizes);
    let input = operands::uniform(args.shape.input_len(), 1);
    let grad_output = operands::uniform(args.shape.output_len(), 2);
    let weight = operands::uniform(sizes.num_weights(), 3);
    let mut output = vec![1.0_f32; args.shape.output_len()];
    let mut grad_input = vec![1.0_f32; args.shape.input_len()];
    let mut grad_weight = vec![1.0_f32; weight.len()];
    let timing = run.time(|_| {
        conv.forward(batch, &input, &weight, None, &mut output);
        conv.backward_input(batch, &grad_output, &weight, &mut grad_input);
        conv.backward_weight(batch, &input, &grad_output, &mut grad_weight, None);
        Ok(())
    })?;
    let multiplications = 3.0 * weight.len() as f64 * (batch * height * width) as f64;
    let gflops = 2.0 * multiplications / timing.median_s / 1e9;
    Ok(Report { timing, gflops, kernel_size: args.kernel_size, shape: args.shape })
}
