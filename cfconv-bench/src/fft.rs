//! Real transforms of many planes.

use anyhow::{Result, ensure};
use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, FftNorm, Rfft2Plan, Rfft2Scratch};
use ndarray::Array4;
use rayon::prelude::*;
use serde::Serialize;

use crate::{Dump, RunArgs, ShapeArgs, Timing, operands};

/// Options of `cfconv-bench fft`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Sizes; out-channels has no effect.
    #[command(flatten)]
    shape: ShapeArgs,
    /// Layout of the planes.
    #[arg(long, value_enum, default_value = "nchw")]
    layout: Layout,
}

/// Where the batch lies in memory.
#[derive(Clone, Copy, Debug, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Outermost, as in the public interface.
    Nchw,
    /// Innermost, as in the engine.
    Lanes,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One rfft2 and one irfft2 of all planes.
    #[serde(flatten)]
    pub timing: Timing,
    /// Number of planes.
    pub planes: usize,
    /// Rows of a plane.
    pub height: usize,
    /// Columns of a plane.
    pub width: usize,
    /// Layout of the planes.
    pub layout: Layout,
}

/// Times one forward and one inverse transform of batch × in-channels planes.
///
/// # Errors
/// What the transforms report.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    let ShapeArgs { batch, in_channels, height, width, .. } = args.shape;
    let timing = match args.layout {
        Layout::Nchw => {
            let mut step = FftStep::new(args.shape)?;
            run.time(|_| step.run())?
        }
        Layout::Lanes => time_lanes(args.shape, run)?,
    };
    Ok(Report { timing, planes: batch * in_channels, height, width, layout: args.layout })
}

/// Writes images, their spectrum and the images transformed back.
///
/// # Errors
/// Another layout than [`Layout::Nchw`]; what the transforms report.
pub fn dump(args: &Args) -> Result<Dump> {
    let ShapeArgs { batch, in_channels, height, width, .. } = args.shape;
    ensure!(matches!(args.layout, Layout::Nchw), "--dump needs --layout nchw");
    let mut step = FftStep::new(args.shape)?;
    let mut dump = Dump::default();
    let planes = [batch, in_channels, height, width];
    let values = |images: &Array4<f32>| images.iter().copied().collect::<Vec<_>>();
    dump.real("input", &planes, &values(&step.images));
    step.run()?;
    let spectrum: Vec<_> = step.spectrum.iter().copied().collect();
    dump.complex("spectrum", &[batch, in_channels, height, step.plan.half_width()], &spectrum);
    dump.real("output", &planes, &values(&step.images));
    Ok(dump)
}

/// Planes and their plan.
pub struct FftStep {
    plan: Rfft2Plan<f32>,
    scratch: Rfft2Scratch<f32>,
    images: Array4<f32>,
    spectrum: Array4<Complex<f32>>,
}

impl FftStep {
    /// Plans the transforms of batch × in-channels planes of random numbers.
    ///
    /// # Errors
    /// What the plan reports.
    pub fn new(shape: ShapeArgs) -> Result<Self> {
        let ShapeArgs { batch, in_channels, height, width, .. } = shape;
        let plan = Rfft2Plan::<f32>::try_new(height, width)?;
        let images = operands::uniform(shape.input_len(), 1);
        Ok(Self {
            scratch: plan.scratch(),
            images: Array4::from_shape_vec((batch, in_channels, height, width), images)?,
            spectrum: Array4::default((batch, in_channels, height, plan.half_width())),
            plan,
        })
    }

    /// Transforms all planes, then transforms them back.
    ///
    /// # Errors
    /// What the transforms report.
    pub fn run(&mut self) -> Result<()> {
        let Self { plan, scratch, images, spectrum } = self;
        plan.rfft2_into(images.view(), spectrum.view_mut(), FftNorm::Backward, scratch)?;
        plan.irfft2_into(spectrum.view(), images.view_mut(), FftNorm::Backward, scratch)?;
        Ok(())
    }
}

fn time_lanes(shape: ShapeArgs, run: &RunArgs) -> Result<Timing> {
    let ShapeArgs { batch, in_channels, height, width, .. } = shape;
    let plan = LanesRfft2::<f32>::try_new(height, width)?;
    let plane_len = height * width * batch;
    let spectrum_len = height * plan.half_width() * 2 * batch;
    let mut images = operands::uniform(shape.input_len(), 1);
    let mut spectra = vec![0.0_f32; in_channels * spectrum_len];
    let scale = 1.0 / (height * width) as f32;
    run.time(|_| {
        images.par_chunks_exact(plane_len).zip(spectra.par_chunks_exact_mut(spectrum_len)).for_each_init(
            || plan.scratch(),
            |scratch, (plane, spectrum)| plan.forward(batch, plane, spectrum, 1.0, scratch),
        );
        spectra.par_chunks_exact(spectrum_len).zip(images.par_chunks_exact_mut(plane_len)).for_each_init(
            || plan.scratch(),
            |scratch, (spectrum, plane)| plan.inverse(batch, spectrum, plane, scale, scratch),
        );
        Ok(())
    })
}
