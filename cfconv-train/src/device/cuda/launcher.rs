//! What the host side of operations asks of a device: to start a kernel by name.

use super::Grid;
use crate::device::{Buffer, IndexBuffer, Memory, Result, Span, SpanMut};

/// A device that runs the kernels of [`KERNEL_SOURCE`](super::KERNEL_SOURCE).
///
/// Kernels run one after another, in the order in which they are launched, and copies keep their place among them.
pub trait Launcher: Memory {
    /// Threads of a block where the kernel leaves the number open: a power of two, at least 32.
    const THREADS: u32;

    /// Whether matrix products take their factors rounded to TF32 (ten bits behind the point), on tensor cores.
    fn tf32(&self) -> bool;

    /// Starts the kernel `name`.
    ///
    /// # Errors
    /// What the device reports.
    fn launch(&self, name: &'static str, grid: Grid, arguments: Vec<Argument<'_, Self>>) -> Result<()>;
}

/// An argument of a kernel.
#[derive(Debug)]
pub enum Argument<'a, D: Memory> {
    /// Values that the kernel reads.
    Read(Span<'a, D>),
    /// Values that it writes.
    Write(SpanMut<'a, D>),
    /// Indices that it reads.
    ReadIndices(&'a IndexBuffer<D>),
    /// Indices that it writes.
    WriteIndices(&'a mut IndexBuffer<D>),
    /// Nothing, in the place of values or indices.
    Absent,
    /// A size.
    U32(u32),
    /// A size that may be large.
    U64(u64),
    /// A number.
    F32(f32),
}

impl<'a, D: Memory> From<Span<'a, D>> for Argument<'a, D> {
    fn from(span: Span<'a, D>) -> Self {
        Self::Read(span)
    }
}

impl<'a, D: Memory> From<SpanMut<'a, D>> for Argument<'a, D> {
    fn from(span: SpanMut<'a, D>) -> Self {
        Self::Write(span)
    }
}

impl<'a, D: Memory> From<Option<Span<'a, D>>> for Argument<'a, D> {
    fn from(span: Option<Span<'a, D>>) -> Self {
        span.map_or(Self::Absent, Self::Read)
    }
}

impl<'a, D: Memory> From<Option<SpanMut<'a, D>>> for Argument<'a, D> {
    fn from(span: Option<SpanMut<'a, D>>) -> Self {
        span.map_or(Self::Absent, Self::Write)
    }
}

impl<'a, D: Memory> Argument<'a, D> {
    /// Indices to read, if there are any.
    pub fn indices(buffer: Option<&'a IndexBuffer<D>>) -> Self {
        buffer.map_or(Self::Absent, Self::ReadIndices)
    }
}

impl<D: Memory> From<u32> for Argument<'_, D> {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl<D: Memory> From<bool> for Argument<'_, D> {
    fn from(value: bool) -> Self {
        Self::U32(value.into())
    }
}

/// A single size of an operation, which is below 2³².
impl<D: Memory> From<usize> for Argument<'_, D> {
    fn from(value: usize) -> Self {
        Self::U32(u32::try_from(value).expect("a size of an operation is below 2^32"))
    }
}

impl<D: Memory> From<u64> for Argument<'_, D> {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl<D: Memory> From<f32> for Argument<'_, D> {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

/// A number of values.
pub(crate) fn count(len: usize) -> u64 {
    len as u64
}

/// Values that live as long as an operation.
pub(crate) struct Scratch<D: Memory> {
    buffer: Buffer<D>,
    len: usize,
}

impl<D: Memory> Scratch<D> {
    pub(crate) fn new(device: &D, len: usize) -> Result<Self> {
        Ok(Self { buffer: device.alloc(len.max(1))?, len })
    }

    /// Room for `len` doubles.
    pub(crate) fn of_doubles(device: &D, len: usize) -> Result<Self> {
        Self::new(device, 2 * len)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn into_buffer(self) -> Buffer<D> {
        self.buffer
    }

    pub(crate) fn all(&self) -> Span<'_, D> {
        Span::new(&self.buffer, 0..self.len)
    }

    pub(crate) fn all_mut(&mut self) -> SpanMut<'_, D> {
        SpanMut::new(&mut self.buffer, 0..self.len)
    }
}

/// `launch!(device, "name", grid, argument, …)`: each argument is converted.
macro_rules! launch {
    ($device:expr, $name:literal, $grid:expr, $($argument:expr),+ $(,)?) => {
        $crate::device::cuda::Launcher::launch(
            $device,
            $name,
            $grid,
            vec![$($crate::device::cuda::Argument::from($argument)),+],
        )
    };
}
pub(crate) use launch;
