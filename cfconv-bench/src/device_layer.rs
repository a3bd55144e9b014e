//! A training step of one CF-Conv layer on any device of the trainer, such as a graphics card.

use std::time::Instant;

use anyhow::Result;
use cfconv_core::StepSeed;
use cfconv_core::engine::{EnginePlan, PlannedAlgorithm};
use cfconv_train::device::{Buffer, Device, Span, SpanMut};
use cfconv_train::nn::{Backward, CfConv2d, CfConv2dWorkspace, Forward};
use serde::Serialize;

use crate::layer::Args;
use crate::memory::mib;
use crate::{RunArgs, ShapeArgs, Timing, operands};

/// What a device could do at most in a second, where that is known.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The device's name.
    pub device: String,
    /// Operations of single precision.
    pub flops: Option<f64>,
    /// Bytes to and from its memory.
    pub bytes_per_second: Option<f64>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// A whole step: sampling, kernel refresh, forward, backward for the input and all parameters. The clock is read when
    /// the device has done everything.
    #[serde(flatten)]
    pub timing: Timing,
    /// Median of sampling and kernel refresh; the three parts are measured in steps of their own, with a wait after each.
    pub begin_step_s: f64,
    /// Median of the forward pass.
    pub forward_s: f64,
    /// Median of the backward pass.
    pub backward_s: f64,
    /// The device.
    pub device: String,
    /// Positions of a step.
    pub positions: usize,
    /// All positions of the kernel.
    pub kernel_positions: usize,
    /// Rate of the products in the kernel network and between channels, in 10⁹ operations a second: transforms and what
    /// is computed twice do not count.
    pub gflops: f64,
    /// Its share of what the device could do in single precision, outside tensor cores.
    pub flops_share: Option<f64>,
    /// What a step must move at least, over its time, in 10⁹ bytes a second: images, gradients and outputs once, the
    /// kernel state once in each pass and at the visited positions.
    pub gbytes_per_s: f64,
    /// Its share of what the device's memory could do.
    pub bandwidth_share: Option<f64>,
    /// What the layer says it holds, in MiB.
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
/// What device and layer report.
pub fn run<D: Device>(device: &D, limits: &Limits, args: &Args, run: &RunArgs) -> Result<Report> {
    let mut step = LayerStep::new(device, args)?;
    let timing = run.time(|number| {
        step.begin(number)?;
        step.forward()?;
        step.backward()?;
        Ok(device.synchronize()?)
    })?;
    let [begin_step, forward, backward] = run.time_parts(|number| {
        let part = |run: &mut dyn FnMut() -> Result<()>| {
            let start = Instant::now();
            run()?;
            device.synchronize()?;
            Ok::<_, anyhow::Error>(start.elapsed().as_secs_f64())
        };
        Ok([part(&mut || step.begin(number))?, part(&mut || step.forward())?, part(&mut || step.backward())?])
    })?;
    let work = Work::of(args, step.layer.plan());
    let (flops, bytes) = (work.flops / timing.median_s, work.bytes / timing.median_s);
    Ok(Report {
        begin_step_s: begin_step.median_s,
        forward_s: forward.median_s,
        backward_s: backward.median_s,
        device: limits.device.clone(),
        positions: step.layer.positions_per_step(),
        kernel_positions: step.layer.num_positions(),
        gflops: flops / 1e9,
        flops_share: limits.flops.map(|most| flops / most),
        gbytes_per_s: bytes / 1e9,
        bandwidth_share: limits.bytes_per_second.map(|most| bytes / most),
        held_scratch_mib: mib(step.layer.working_bytes()),
        state_mib: mib(step.layer.state_bytes()),
        parameters: step.layer.num_parameters(),
        shape: args.shape,
        timing,
    })
}

/// The least that a step takes.
struct Work {
    flops: f64,
    bytes: f64,
}

impl Work {
    fn of(args: &Args, plan: &EnginePlan) -> Self {
        let shape = args.shape;
        let pairs = (shape.in_channels * shape.out_channels) as f64;
        let (batch, positions) = (shape.batch as f64, plan.sampler().max_positions() as f64);
        let bins = (plan.torus.0 * (plan.torus.1 / 2 + 1)) as f64;
        // A complex product with its sum takes eight operations, a real one two.
        let products = match (plan.algorithm, args.kernel.lattice) {
            (PlannedAlgorithm::LatticeDirect, Some(size)) => {
                let pixels = (shape.height * shape.width) as f64;
                3.0 * 2.0 * batch * pairs * pixels * (size * size) as f64
            }
            // The gradient of the kernel is needed at every bin.
            (PlannedAlgorithm::LatticeFft, _) => 3.0 * 8.0 * batch * pairs * bins,
            _ => 8.0 * batch * (2.0 * pairs * bins + positions),
        };
        let images = (2 * (shape.input_len() + shape.output_len()) * size_of::<f32>()) as f64;
        let state = plan.grid.num_positions() as f64;
        Self {
            flops: args.kernel.flops() * positions + products,
            bytes: images + 8.0 * (2.0 * state + 2.0 * positions),
        }
    }
}

/// A layer with its operands on a device.
struct LayerStep<D: Device> {
    layer: CfConv2d<D>,
    workspace: CfConv2dWorkspace<D>,
    shape: ShapeArgs,
    params: Buffer<D>,
    grad_params: Buffer<D>,
    input: Buffer<D>,
    grad_input: Buffer<D>,
    output: Buffer<D>,
    grad_output: Buffer<D>,
}

impl<D: Device> LayerStep<D> {
    fn new(device: &D, args: &Args) -> Result<Self> {
        let shape = args.shape;
        let plan = EnginePlan::try_new(&args.kernel.layer(shape))?;
        let mut layer = CfConv2d::try_new(device, &plan)?;
        let parameters = layer.num_parameters();
        let mut params = device.alloc(parameters)?;
        layer.initialize(seed(0), SpanMut::new(&mut params, 0..parameters))?;
        Ok(Self {
            layer,
            workspace: Default::default(),
            shape,
            params,
            grad_params: device.alloc(parameters)?,
            input: device.to_device(&operands::uniform(shape.input_len(), 1))?,
            grad_input: device.alloc(shape.input_len())?,
            output: device.alloc(shape.output_len())?,
            grad_output: device.to_device(&operands::uniform(shape.output_len(), 2))?,
        })
    }

    fn begin(&mut self, number: u64) -> Result<()> {
        let params = Span::new(&self.params, 0..self.layer.num_parameters());
        Ok(self.layer.begin_step(seed(number), params, &mut self.workspace)?)
    }

    fn forward(&mut self) -> Result<()> {
        let params = Span::new(&self.params, 0..self.layer.num_parameters());
        let input = Span::new(&self.input, 0..self.shape.input_len());
        let output = SpanMut::new(&mut self.output, 0..self.shape.output_len());
        let io = Forward { batch: self.shape.batch, input, params, output };
        Ok(self.layer.forward(io, &mut self.workspace)?)
    }

    fn backward(&mut self) -> Result<()> {
        let parameters = self.layer.num_parameters();
        let io = Backward {
            batch: self.shape.batch,
            input: None,
            params: Span::new(&self.params, 0..parameters),
            grad_output: Span::new(&self.grad_output, 0..self.shape.output_len()),
            grad_input: Some(SpanMut::new(&mut self.grad_input, 0..self.shape.input_len())),
            grad_params: SpanMut::new(&mut self.grad_params, 0..parameters),
        };
        Ok(self.layer.backward(io, &mut self.workspace)?)
    }
}

fn seed(step: u64) -> StepSeed {
    StepSeed { run_seed: 1, layer: 0, step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cfconv_train::device::Cpu;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        args: Args,
    }

    const SHAPE: &str =
        "layer --batch 3 --in-channels 2 --out-channels 5 --height 6 --width 4 --hidden-width 8";

    fn parse(options: &str) -> Line {
        Line::parse_from(format!("{SHAPE} {options}").split_whitespace())
    }

    fn least_work(args: &Args) -> Work {
        Work::of(args, &EnginePlan::try_new(&args.kernel.layer(args.shape)).unwrap())
    }

    #[test]
    fn least_work_is_what_a_hand_counts() {
        // 10 channel pairs, 6 × 3 bins: 180 positions. A position costs 2·(3·(4·8 + 64 + 16) − 32) = 608.
        let line = parse("--positions 40");
        let work = least_work(&line.args);
        assert_eq!(work.flops, 608.0 * 40.0 + 8.0 * 3.0 * (2.0 * 180.0 + 40.0));
        let images = 2.0 * 4.0 * (3.0 * 24.0) * (2.0 + 5.0);
        assert_eq!(work.bytes, images + 8.0 * (2.0 * 180.0 + 80.0));
        // 3 × 3 taps on 24 pixels in three passes, Φ at 3 × 2 frequencies of 10 pairs.
        let line = parse("--lattice 3 --application direct");
        let work = least_work(&line.args);
        assert_eq!(work.flops, 608.0 * 60.0 + 3.0 * 2.0 * 3.0 * 10.0 * 24.0 * 9.0);
    }

    #[test]
    fn shares_are_those_of_the_limits() {
        let line = parse("--positions 40 --steps 2 --warmup 0");
        let limits = Limits { device: "this".into(), flops: Some(1e9), bytes_per_second: None };
        let report = run(&Cpu::default(), &limits, &line.args, &line.run).unwrap();
        assert_eq!((report.positions, report.kernel_positions), (40, 180));
        assert_eq!(report.flops_share, Some(report.gflops));
        assert_eq!(report.bandwidth_share, None);
        assert!(report.begin_step_s > 0.0 && report.forward_s > 0.0 && report.backward_s > 0.0);
        assert!(report.gbytes_per_s > 0.0);
    }
}
