//! Buffers on a device and spans of them.

use std::ops::Range;

use dfdx::tensor::{HasErr, Storage};

use super::error::{DeviceError, Result, check_len};

/// A flat vector of `f32` in a device's memory.
pub type Buffer<D> = <D as Storage<f32>>::Vec;

/// A flat vector of `u32` in a device's memory: labels, indices.
pub type IndexBuffer<D> = <D as Storage<u32>>::Vec;

/// The memory of a device: flat buffers that only the device can look into.
///
/// The buffers are dfdx's storage vectors: `Vec<f32>` behind a pointer on
/// [`Cpu`](dfdx::tensor::Cpu), device memory on a graphics card.
pub trait Memory: Storage<f32> + Storage<u32> + Send + Sync {
    /// The device's name in messages.
    const NAME: &'static str;

    /// Training steps on their way before the host looks at their outcome: 1 where nothing runs while the host waits.
    const STEPS_IN_FLIGHT: usize;

    /// Whether the device has memory of its own, apart from the host's.
    const OWN_MEMORY: bool;

    /// Bytes that could be allocated at present; `None` where the system does not tell.
    fn available_bytes(&self) -> Option<usize>;

    /// Allocates `len` zeros.
    ///
    /// # Errors
    /// [`DeviceError::Allocation`] if the memory is exhausted.
    fn alloc(&self, len: usize) -> Result<Buffer<Self>> {
        Storage::<f32>::try_alloc_len(self, len).map_err(|error| allocation::<Self>(len, &error))
    }

    /// Allocates `len` zero indices.
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    fn alloc_indices(&self, len: usize) -> Result<IndexBuffer<Self>> {
        Storage::<u32>::try_alloc_len(self, len).map_err(|error| allocation::<Self>(len, &error))
    }

    /// Number of values in a buffer.
    fn buffer_len(&self, buffer: &Buffer<Self>) -> usize {
        Storage::<f32>::len(self, buffer)
    }

    /// Copies from the host.
    ///
    /// # Errors
    /// [`DeviceError::LengthMismatch`] if the lengths differ.
    fn upload(&self, host: &[f32], target: SpanMut<'_, Self>) -> Result<()>;

    /// Copies to the host.
    ///
    /// # Errors
    /// [`DeviceError::LengthMismatch`] if the lengths differ.
    fn download(&self, source: Span<'_, Self>, host: &mut [f32]) -> Result<()>;

    /// Copies indices from the host to the front of `target`.
    ///
    /// # Errors
    /// [`DeviceError::LengthMismatch`] if `target` is shorter than `host`.
    fn upload_indices(&self, host: &[u32], target: &mut IndexBuffer<Self>) -> Result<()>;

    /// Waits until everything that was started is done.
    ///
    /// # Errors
    /// What the device reports, of the operations before too.
    fn synchronize(&self) -> Result<()>;

    /// Copies between buffers of the device.
    ///
    /// # Errors
    /// [`DeviceError::LengthMismatch`] if the lengths differ.
    fn copy(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()>;

    /// Sets every value to `value`.
    ///
    /// # Errors
    /// What the device reports.
    fn fill(&self, target: SpanMut<'_, Self>, value: f32) -> Result<()>;

    /// Copies a whole span into a new vector on the host.
    ///
    /// # Errors
    /// What the device reports.
    fn to_host(&self, source: Span<'_, Self>) -> Result<Vec<f32>> {
        let mut host = vec![0.0; source.len()];
        self.download(source, &mut host)?;
        Ok(host)
    }

    /// Copies a vector of the host into a new buffer.
    ///
    /// # Errors
    /// [`DeviceError::Allocation`] if the memory is exhausted.
    fn to_device(&self, host: &[f32]) -> Result<Buffer<Self>> {
        let mut buffer = self.alloc(host.len())?;
        self.upload(host, SpanMut::new(&mut buffer, 0..host.len()))?;
        Ok(buffer)
    }
}

fn allocation<D: Memory>(len: usize, error: &<D as HasErr>::Err) -> DeviceError {
    DeviceError::Allocation { device: D::NAME, bytes: len * size_of::<f32>(), reason: error.to_string() }
}

/// Part of a buffer that an operation reads.
#[derive(Debug)]
pub struct Span<'a, D: Memory> {
    buffer: &'a Buffer<D>,
    start: usize,
    len: usize,
}

impl<D: Memory> Clone for Span<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Memory> Copy for Span<'_, D> {}

impl<'a, D: Memory> Span<'a, D> {
    /// The values `range` of `buffer`, which must lie within it.
    pub fn new(buffer: &'a Buffer<D>, range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end);
        Self { buffer, start: range.start, len: range.len() }
    }

    /// The buffer.
    pub fn buffer(&self) -> &'a Buffer<D> {
        self.buffer
    }

    /// The values' place in the buffer.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the span has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Checks the number of values.
    pub(crate) fn expect_len(&self, op: &'static str, operand: &'static str, expected: usize) -> Result<()> {
        check_len(op, operand, expected, self.len)
    }
}

/// Part of a buffer that an operation writes.
#[derive(Debug)]
pub struct SpanMut<'a, D: Memory> {
    buffer: &'a mut Buffer<D>,
    start: usize,
    len: usize,
}

impl<'a, D: Memory> SpanMut<'a, D> {
    /// The values `range` of `buffer`, which must lie within it.
    pub fn new(buffer: &'a mut Buffer<D>, range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end);
        Self { buffer, start: range.start, len: range.len() }
    }

    /// The buffer.
    pub fn buffer_mut(&mut self) -> &mut Buffer<D> {
        self.buffer
    }

    /// The values' place in the buffer.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the span has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same span, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> SpanMut<'_, D> {
        SpanMut { buffer: self.buffer, start: self.start, len: self.len }
    }

    /// The same values to read, for the length of the original borrow.
    pub fn into_span(self) -> Span<'a, D> {
        Span { buffer: self.buffer, start: self.start, len: self.len }
    }

    /// The buffer and the range, for the length of the original borrow.
    pub(crate) fn into_parts(self) -> (&'a mut Buffer<D>, Range<usize>) {
        let range = self.range();
        (self.buffer, range)
    }

    /// Checks the number of values.
    pub(crate) fn expect_len(&self, op: &'static str, operand: &'static str, expected: usize) -> Result<()> {
        check_len(op, operand, expected, self.len)
    }
}
