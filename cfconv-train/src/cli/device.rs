//! Which device a command runs on, and how a program reaches the graphics card.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::DeviceCommand;
use crate::device::Cpu;
#[cfg(feature = "cuda")]
use crate::device::cuda::CudaDevice;

/// The device to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceChoice {
    /// The graphics card if one works, otherwise the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The first graphics card.
    Cuda,
}

/// The options that choose the device.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct DeviceArguments {
    /// The device to run on.
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Compute matrix products on the graphics card's tensor cores (TF32). Factors have ten bits after the point;
    /// errors are about two thousandths of the largest result.
    #[arg(long)]
    tf32: bool,
}

/// A graphics card as a program reaches it, for commands of type `C`: with [`CudaProgram`](super::CudaProgram) another
/// program has the card, with `CudaCard` (feature `cuda`) this one.
pub trait GraphicsCard<C> {
    /// Opens the card, with matrix products on tensor cores if `tf32`. What it returns runs one command there.
    ///
    /// # Errors
    /// Why there is no card to run on.
    fn open(&self, tf32: bool) -> Result<RunOnCard<C>, NoCard>;
}

/// Runs one command on a graphics card that is open.
pub type RunOnCard<C> = Box<dyn FnOnce(C) -> anyhow::Result<ExitCode>>;

/// Why a program reaches no graphics card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCard {
    /// What is missing, in one line.
    pub reason: String,
    /// Whether the programs were built for a graphics card. Otherwise only someone who asks for a card wants to hear
    /// that there is none.
    pub expected: bool,
}

/// Runs `command` on the device that its options choose.
///
/// # Errors
/// What the command reports; with `--device cuda`, why there is no card.
pub(super) fn run_on_choice(
    command: DeviceCommand,
    card: &dyn GraphicsCard<DeviceCommand>,
) -> anyhow::Result<ExitCode> {
    let DeviceArguments { device, tf32 } = command.device();
    if device == DeviceChoice::Cpu {
        if tf32 {
            bail!(
                "--tf32 needs the tensor cores of a graphics card: leave it out, or use --device cuda or auto"
            );
        }
        return command.run_on(Cpu::default());
    }
    match card.open(tf32) {
        Ok(run) => run(command),
        Err(NoCard { reason, .. }) if device == DeviceChoice::Cuda => bail!("--device cuda: {reason}"),
        Err(NoCard { reason, expected }) => {
            if expected || tf32 {
                let precision = if tf32 { ", where --tf32 changes nothing" } else { "" };
                eprintln!("running on the CPU{precision}: {reason}");
            }
            command.run_on(Cpu::default())
        }
    }
}

/// The first graphics card, opened by this program.
#[cfg(feature = "cuda")]
#[derive(Clone, Copy, Debug)]
pub struct CudaCard;

#[cfg(feature = "cuda")]
impl CudaCard {
    /// Opens the card as a device.
    ///
    /// # Errors
    /// What is missing.
    pub fn device(self, tf32: bool) -> Result<CudaDevice, NoCard> {
        let device = CudaDevice::try_new();
        let device = if tf32 { device.and_then(CudaDevice::with_tf32) } else { device };
        device.map_err(|error| NoCard { reason: error.to_string(), expected: true })
    }
}

#[cfg(feature = "cuda")]
impl GraphicsCard<DeviceCommand> for CudaCard {
    fn open(&self, tf32: bool) -> Result<RunOnCard<DeviceCommand>, NoCard> {
        let device = self.device(tf32)?;
        Ok(Box::new(move |command| command.run_on(device)))
    }
}
