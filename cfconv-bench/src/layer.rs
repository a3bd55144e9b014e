//! A training step of one CF-Conv layer.

use std::time::Instant;

use anyhow::{Result, ensure};
use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace, PaddingMode, PlannedAlgorithm};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, NumPositions, RefreshHistory, SamplerConfig, StepSeed};
use cfconv_mlp::{KernelMlp, KernelMlpConfig, Positions};
use num_complex::Complex;
use serde::Serialize;

use crate::memory::{MemoryWatch, mib};
use crate::shape::at_least_one;
use crate::{DeviceArgs, Dump, RunArgs, ShapeArgs, Timing, operands};

/// Options of `cfconv-bench layer`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Sizes of the images.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// The kernel network and its positions.
    #[command(flatten)]
    pub(crate) kernel: KernelArgs,
    /// Where the layer works.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Options that describe a CF-Conv kernel.
#[derive(Clone, Debug, clap::Args)]
pub struct KernelArgs {
    /// Positions of a step: a number, or `all`.
    #[arg(long, value_name = "N|all", default_value = "262144", value_parser = parse_positions)]
    pub positions: NumPositions,
    /// Evaluate the kernel on a K×K lattice in place of sampled positions.
    #[arg(long, value_name = "K", conflicts_with = "positions", value_parser = at_least_one)]
    pub lattice: Option<usize>,
    /// How a lattice is applied: `auto`, `direct` (in space) or `fft`.
    #[arg(long = "application", value_name = "HOW", default_value = "auto", requires = "lattice", value_parser = parse_algorithm)]
    pub algorithm: ConvAlgorithm,
    /// Features of the kernel network's hidden layers.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub hidden_width: usize,
    /// Hidden layers of the kernel network.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    pub hidden_layers: usize,
    /// Weight of a new value in the kernel state.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.5)]
    pub ema_alpha: f64,
    /// Pad with zeros: a linear in place of a circular convolution.
    #[arg(long)]
    pub zero_padding: bool,
}

fn parse_positions(text: &str) -> Result<NumPositions, String> {
    if text == "all" {
        return Ok(NumPositions::All);
    }
    at_least_one(text).map(NumPositions::Count).map_err(|error| format!("{error}; give a number or `all`"))
}

fn parse_algorithm(text: &str) -> Result<ConvAlgorithm, String> {
    match text {
        "auto" => Ok(ConvAlgorithm::Auto),
        "direct" => Ok(ConvAlgorithm::Direct),
        "fft" => Ok(ConvAlgorithm::Fft),
        _ => Err("give `auto`, `direct` or `fft`".to_owned()),
    }
}

impl KernelArgs {
    /// The default kernel network, at random positions.
    pub fn sampled(positions: usize) -> Self {
        Self {
            positions: NumPositions::Count(positions),
            lattice: None,
            algorithm: ConvAlgorithm::Auto,
            hidden_width: 64,
            hidden_layers: 2,
            ema_alpha: 0.5,
            zero_padding: false,
        }
    }

    /// The default kernel network, on a lattice.
    pub fn lattice(size: usize) -> Self {
        Self { lattice: Some(size), ema_alpha: 1.0, ..Self::sampled(1) }
    }

    /// The layer's configuration.
    pub(crate) fn layer(&self, shape: ShapeArgs) -> CfConv2dConfig {
        let mut config =
            CfConv2dConfig::new(shape.in_channels, shape.out_channels, shape.height, shape.width);
        config.mlp = KernelMlpConfig {
            hidden_width: self.hidden_width,
            hidden_layers: self.hidden_layers,
            ..KernelMlpConfig::default()
        };
        config.sampler = match (self.lattice, self.positions) {
            (Some(size), _) => SamplerConfig::Lattice { size },
            (None, NumPositions::All) => SamplerConfig::All {},
            (None, num_positions) => SamplerConfig::Uniform { num_positions, replacement: false },
        };
        config.algorithm = self.algorithm;
        config.ema_alpha = self.ema_alpha;
        config.padding = if self.zero_padding { PaddingMode::Zeros } else { PaddingMode::Circular };
        config
    }

    /// Floating-point operations of the kernel network's matrix products at one position, forward and
    /// backward; nothing that is computed twice counts twice.
    ///
    /// With one network of four inputs, m = 4h + (l − 1)h² + 2h multiplications and additions forward, as many
    /// for the gradients of the weights, and all but the first layer's 4h for the gradients of the features.
    pub(crate) fn flops(&self) -> f64 {
        let (width, layers) = (self.hidden_width as f64, self.hidden_layers as f64);
        let forward = 4.0 * width + (layers - 1.0) * width * width + 2.0 * width;
        2.0 * (3.0 * forward - 4.0 * width)
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// A whole step: sampling, kernel refresh, forward, backward for the input and all parameters.
    #[serde(flatten)]
    pub timing: Timing,
    /// Median of sampling and kernel refresh.
    pub begin_step_s: f64,
    /// Median of the forward pass.
    pub forward_s: f64,
    /// Median of the backward pass.
    pub backward_s: f64,
    /// Median of the kernel network alone, forward and backward at the same positions.
    pub mlp_s: f64,
    /// Rate of the kernel network's matrix products, in 10⁹ operations a second.
    pub gflops_mlp: f64,
    /// Positions of a step.
    pub positions: usize,
    /// All positions of the kernel.
    pub kernel_positions: usize,
    /// How the kernel is applied.
    pub form: &'static str,
    /// Largest memory of the steps beyond parameters, images, their gradients and the kernel state, in MiB:
    /// the larger of the growth of the process and of what the layer says it holds.
    pub peak_scratch_mib: f64,
    /// What the layer says it holds, in MiB: scratch, workspace, spectra saved for the backward pass.
    pub held_scratch_mib: f64,
    /// The kernel state, in MiB.
    pub state_mib: f64,
    /// Trained numbers of the layer.
    pub parameters: usize,
    /// Sizes of the images.
    pub shape: ShapeArgs,
}

/// Times training steps of one layer.
///
/// # Errors
/// What the layer reports.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    let mut step = LayerStep::new(args.shape, &args.kernel)?;
    let memory = MemoryWatch::start();
    let [timing, begin_step, forward, backward] = run.time_parts(|number| step.run(number))?;
    let growth_mib = memory.growth_mib();
    let LayerStep { layer, params, workspace, .. } = &step;
    let held_scratch_mib = mib(workspace.bytes() + layer.scratch_bytes() + layer.saved_bytes());

    let positions = layer.positions().len();
    let mut mlp = KernelNetworkStep::of(layer, params);
    let mlp = run.time(|_| mlp.run())?;
    Ok(Report {
        timing,
        begin_step_s: begin_step.median_s,
        forward_s: forward.median_s,
        backward_s: backward.median_s,
        mlp_s: mlp.median_s,
        gflops_mlp: args.kernel.flops() * positions as f64 / mlp.median_s / 1e9,
        positions,
        kernel_positions: layer.plan().grid.num_positions(),
        form: form_name(layer.plan().algorithm),
        peak_scratch_mib: growth_mib.unwrap_or(0.0).max(held_scratch_mib),
        held_scratch_mib,
        state_mib: mib(layer.state_bytes()),
        parameters: params.len(),
        shape: args.shape,
    })
}

/// Writes operands, parameters, positions, output and gradients of one step, and the kernel state before and
/// after it. State and bias are moved away from their initial values, so that each of them shows.
///
/// # Errors
/// As [`run`]; a padding with zeros, whose kernel lies on a larger grid than the image's.
pub fn dump(args: &Args) -> Result<Dump> {
    ensure!(!args.kernel.zero_padding, "--dump is of circular convolutions: leave out --zero-padding");
    let ShapeArgs { batch, in_channels, out_channels, height, width } = args.shape;
    let mut step = LayerStep::new(args.shape, &args.kernel)?;
    step.disturb()?;
    step.grad_params.fill(0.0);
    let mut dump = Dump::default();
    let grid = step.layer.plan().grid;
    let kernel = [grid.height, grid.half_width(), in_channels, out_channels];
    dump.complex("state_before", &kernel, step.layer.kernel_state());
    step.run(0)?;
    dump.complex("state_after", &kernel, step.layer.kernel_state());
    if let Some(list) = step.layer.positions().list() {
        dump.indices("positions", list.iter().map(|&position| u64::from(position)));
    }
    let (input, output) = ([in_channels, height, width, batch], [out_channels, height, width, batch]);
    dump.real("input", &input, &step.input);
    dump.real("grad_output", &output, &step.grad_output);
    dump.real("output", &output, &step.output);
    dump.real("grad.input", &input, &step.grad_input);
    step.dump_parameters("", &step.params, &mut dump);
    step.dump_parameters("grad.", &step.grad_params, &mut dump);
    dump.scalar("output_scale", step.layer.output_scale());
    Ok(dump)
}

/// A layer with its operands.
pub struct LayerStep {
    pub(crate) layer: CfConv2dEngine<f32>,
    pub(crate) params: Vec<f32>,
    pub(crate) batch: usize,
    pub(crate) input: Vec<f32>,
    pub(crate) output: Vec<f32>,
    pub(crate) workspace: CfConvWorkspace<f32>,
    grad_output: Vec<f32>,
    grad_input: Vec<f32>,
    grad_params: Vec<f32>,
}

impl LayerStep {
    /// Makes a layer with random operands.
    ///
    /// # Errors
    /// What the layer reports.
    pub fn new(shape: ShapeArgs, kernel: &KernelArgs) -> Result<Self> {
        let mut layer = CfConv2dEngine::<f32>::try_new(&kernel.layer(shape))?;
        let mut params = vec![0.0_f32; layer.num_parameters()];
        layer.initialize(StepSeed { run_seed: 1, layer: 0, step: 0 }, &mut params)?;
        Ok(Self {
            batch: shape.batch,
            input: operands::uniform(shape.input_len(), 1),
            grad_output: operands::uniform(shape.output_len(), 2),
            // Ones, not zeros: fresh zeros are not resident until they are written.
            output: vec![1.0; shape.output_len()],
            grad_input: vec![1.0; shape.input_len()],
            grad_params: vec![1.0; params.len()],
            workspace: CfConvWorkspace::default(),
            layer,
            params,
        })
    }

    /// Runs training step `number` and returns the seconds of the step, of sampling with kernel refresh, of the
    /// forward and of the backward pass.
    ///
    /// # Errors
    /// What the layer reports.
    pub fn run(&mut self, number: u64) -> Result<[f64; 4]> {
        let Self { layer, params, batch, input, output, workspace, grad_output, grad_input, grad_params } =
            self;
        let start = Instant::now();
        layer.begin_step(params, StepSeed { run_seed: 1, layer: 0, step: number }, workspace)?;
        let begun = start.elapsed().as_secs_f64();
        layer.forward(params, *batch, input, output, workspace)?;
        let forwarded = start.elapsed().as_secs_f64();
        layer.backward(params, *batch, grad_output, Some(grad_input), grad_params, workspace)?;
        let done = start.elapsed().as_secs_f64();
        Ok([done, begun, forwarded - begun, done - forwarded])
    }

    /// Moves the kernel state away from Φ and the bias away from zero.
    pub(crate) fn disturb(&mut self) -> Result<()> {
        let bias = self.params.len() - self.layer.mlp().num_parameters();
        let first = self.params.len() - bias;
        self.params[first..].copy_from_slice(&operands::uniform(bias, 4));
        let mut state = self.layer.kernel_state().to_vec();
        let size = state.iter().map(Complex::norm_sqr).sum::<f32>() / state.len() as f32;
        let noise = operands::uniform(2 * state.len(), 5);
        for (value, noise) in state.iter_mut().zip(noise.as_chunks::<2>().0) {
            *value = (*value + Complex::new(noise[0], noise[1]) * size.sqrt()) * 0.5;
        }
        Ok(self.layer.load_state(&state, RefreshHistory::default(), self.layer.output_scale())?)
    }

    /// Adds a buffer that has a value for each parameter.
    pub(crate) fn dump_parameters(&self, prefix: &str, values: &[f32], dump: &mut Dump) {
        for segment in self.layer.parameter_segments() {
            dump.real(&format!("{prefix}{}", segment.name), &segment.shape, &values[segment.range.clone()]);
        }
    }
}

/// The kernel network of a layer at the positions of its last step.
pub struct KernelNetworkStep<'a> {
    mlp: &'a KernelMlp<f32>,
    params: &'a [f32],
    positions: Positions<'a>,
    values: Vec<Complex<f32>>,
    grad_params: Vec<f32>,
}

impl<'a> KernelNetworkStep<'a> {
    /// Takes the network out of a step that was run.
    pub fn new(step: &'a LayerStep) -> Self {
        Self::of(&step.layer, &step.params)
    }

    fn of(layer: &'a CfConv2dEngine<f32>, params: &'a [f32]) -> Self {
        let params = &params[..layer.mlp().num_parameters()];
        Self {
            mlp: layer.mlp(),
            params,
            positions: layer.positions().as_positions(),
            values: vec![Complex::default(); layer.positions().len()],
            grad_params: vec![0.0; params.len()],
        }
    }

    /// Evaluates the network and takes its values back as though they were gradients.
    ///
    /// # Errors
    /// What the network reports.
    pub fn run(&mut self) -> Result<()> {
        self.mlp.evaluate(self.params, self.positions, &mut self.values)?;
        self.mlp.evaluate_vjp(self.params, self.positions, &self.values, &mut self.grad_params)?;
        Ok(())
    }
}

fn form_name(form: PlannedAlgorithm) -> &'static str {
    match form {
        PlannedAlgorithm::Spectral => "spectral",
        PlannedAlgorithm::LatticeFft => "lattice, by transforms",
        PlannedAlgorithm::LatticeDirect => "lattice, in space",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_of_shape_s_are_those_of_the_design() {
        let kernel = KernelArgs::sampled(1 << 18);
        // 2·(3·(256 + 4096 + 128) − 256) a position; 2^18 positions cost 7 billion.
        assert_eq!(kernel.flops(), 26_368.0);
        assert!((kernel.flops() * f64::from(1 << 18) / 1e9 - 6.9).abs() < 0.1);
    }

    #[test]
    fn positions_are_a_number_or_all() {
        assert_eq!(parse_positions("all"), Ok(NumPositions::All));
        assert_eq!(parse_positions("12"), Ok(NumPositions::Count(12)));
        assert!(parse_positions("0").is_err());
        assert!(parse_positions("some").unwrap_err().contains("`all`"));
    }
}
