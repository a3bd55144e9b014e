//! What all subjects are told: where they work, and on images of which sizes.

use anyhow::{Result, ensure};
use serde::Serialize;

/// Where something is measured. Unlike `cfconv`, a measurement never chooses by itself what to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// The first graphics card.
    Cuda,
}

/// The options that choose the device.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct DeviceArgs {
    /// The device. `cuda` needs the feature `cuda`, and its report has other fields.
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
    /// Compute matrix products on the graphics card's tensor cores (TF32).
    #[arg(long)]
    pub tf32: bool,
}

impl DeviceArgs {
    /// Whether a graphics card is asked for.
    ///
    /// # Errors
    /// `--tf32` without one.
    pub fn is_on_card(&self) -> Result<bool> {
        let on_card = self.device == DeviceChoice::Cuda;
        ensure!(
            on_card || !self.tf32,
            "--tf32 needs the tensor cores of a graphics card: give --device cuda too"
        );
        Ok(on_card)
    }
}

/// Sizes of images `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug, clap::Args, Serialize)]
pub struct ShapeArgs {
    /// Images.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub batch: usize,
    /// Input channels.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub in_channels: usize,
    /// Output channels.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub out_channels: usize,
    /// Rows.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub height: usize,
    /// Columns.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub width: usize,
}

impl ShapeArgs {
    /// Number of input values.
    pub(crate) fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.height * self.width
    }

    /// Number of output values.
    pub(crate) fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.height * self.width
    }
}

/// Parses a size of at least 1.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(size) => Ok(size),
        Err(error) => Err(format!("{error}")),
    }
}
