//! The CUDA device: kernels of our own, and the host side of every operation.
//!
//! The host side is generic over a [`Launcher`], which starts kernels by name. There are two: `CudaDevice` (feature
//! `cuda`) compiles the kernels with NVRTC and runs them on a graphics card, on storage of dfdx's `Cuda`;
//! `EmulatedCuda` (feature `cuda-emulation`) has the same text compiled for the host, where tests run the whole device,
//! host side and kernels, beside [`Cpu`](super::Cpu). Layouts are those of the CPU, so networks and checkpoints are
//! the same.
//!
//! Kernels of an operation lie in `kernels/`, its host side in `cuda_kernel.rs` of its folder in [`nn`](crate::nn).

#[cfg(any(feature = "cuda", all(feature = "cuda-emulation", cuda_emulator)))]
mod argument_value;
mod channel_sums;
mod convolution;
mod depthwise;
#[cfg(feature = "cuda")]
mod driver;
#[cfg(all(feature = "cuda-emulation", cuda_emulator))]
mod emulated;
mod fourier;
mod grid;
mod kernel_conv;
mod launcher;
#[cfg(feature = "cuda")]
mod page_locked;
mod phi;
mod phi_schedule;
mod span_parts;
mod spatial_convolution;
#[cfg(any(feature = "cuda", test))]
mod staging;

pub(crate) use channel_sums::{ChannelSums, add_channel_sums};
pub(crate) use convolution::Convolution;
pub(crate) use depthwise::DepthwiseConvolution;
#[cfg(feature = "cuda")]
pub use driver::{CardLimits, CudaDevice};
#[cfg(all(feature = "cuda-emulation", cuda_emulator))]
pub use emulated::{EmulatedBuffer, EmulatedCuda};
pub(crate) use fourier::{RealTransform, Roots, SpectrumCrop};
pub use grid::Grid;
pub(crate) use kernel_conv::KernelConv;
pub use launcher::{Argument, Launcher};
pub(crate) use launcher::{Scratch, count, launch};
pub(crate) use phi::Phi;
pub(crate) use phi_schedule::{PhiSchedule, run_gradient_bytes};
pub(crate) use span_parts::{part, part_mut};
pub(crate) use spatial_convolution::{ConvolutionOperands, SpatialConvolution};

use super::Device;
#[cfg(any(feature = "cuda", all(feature = "cuda-emulation", cuda_emulator)))]
use super::{Result, Span, SpanMut};

/// The text of all kernels, CUDA C++.
pub const KERNEL_SOURCE: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.cu"));

/// The names of all kernels.
pub const KERNEL_NAMES: &[&str] = include!(concat!(env!("OUT_DIR"), "/kernel_names.rs"));

/// Enough that the wait for the last step of a group is short beside the group, few enough that their batches, which
/// are kept until then, take little memory.
#[cfg(any(feature = "cuda", all(feature = "cuda-emulation", cuda_emulator)))]
const STEPS_IN_FLIGHT: usize = 8;

impl<L: Launcher> Device for L {}

/// Copies by a kernel: in its place among the others, without the host.
#[cfg(any(feature = "cuda", all(feature = "cuda-emulation", cuda_emulator)))]
fn copy<L: Launcher>(device: &L, source: Span<'_, L>, target: SpanMut<'_, L>) -> Result<()> {
    target.expect_len("copy", "target", source.len())?;
    let len = count(source.len());
    launch!(device, "copy", Grid::over(len, L::THREADS), source, target, len)
}

/// Sets every value by a kernel.
#[cfg(any(feature = "cuda", all(feature = "cuda-emulation", cuda_emulator)))]
fn fill<L: Launcher>(device: &L, target: SpanMut<'_, L>, value: f32) -> Result<()> {
    let len = count(target.len());
    launch!(device, "fill", Grid::over(len, L::THREADS), target, value, len)
}
