//! Devices: where buffers live and operations run.
//!
//! A [`Device`] is one of dfdx's devices, of which the storage is used and the automatic differentiation is not,
//! together with an implementation of every operation of [`nn`](crate::nn). The trainer names no other type: it
//! holds [`Buffer`]s that only the device can look into, and passes [`Span`]s of them to operations.

mod cpu;
pub mod cuda;
mod error;
mod memory;

pub use dfdx::tensor::Cpu;
pub(crate) use error::check_len;
pub use error::{DeviceError, Result};
pub use memory::{Buffer, IndexBuffer, Memory, Span, SpanMut};

use crate::nn::Operations;

/// A device that can train a network: memory and every operation, forward and backward.
///
/// # Examples
/// ```
/// use cfconv_train::device::{Cpu, Device, Memory, Span};
///
/// fn round_trip<D: Device>(device: &D) -> Vec<f32> {
///     let buffer = device.to_device(&[1.0, 2.0, 3.0]).unwrap();
///     device.to_host(Span::new(&buffer, 1..3)).unwrap()
/// }
/// assert_eq!(round_trip(&Cpu::default()), [2.0, 3.0]);
/// ```
pub trait Device: Operations {}

impl Device for Cpu {}
