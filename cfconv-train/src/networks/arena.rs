//! The buffers of a network's values and gradients.

use super::error::Result;
use super::memory_plan::BufferId;
use crate::device::{Buffer, Memory, Span, SpanMut};

/// Buffers that layers read and write in turn.
#[derive(Debug)]
pub(super) struct Arena<D: Memory> {
    /// `None` only while the buffer is being written.
    buffers: Vec<Option<Buffer<D>>>,
}

impl<D: Memory> Arena<D> {
    /// Allocates buffers of these lengths.
    pub(super) fn try_new(device: &D, lens: impl Iterator<Item = usize>) -> Result<Self> {
        let buffers = lens.map(|len| Ok(Some(device.alloc(len)?))).collect::<Result<_>>()?;
        Ok(Self { buffers })
    }

    /// The first `len` values of a buffer that is not being written.
    pub(super) fn span(&self, id: BufferId, len: usize) -> Span<'_, D> {
        let buffer = self.buffers[id].as_ref().expect("the memory plan separates operands and results");
        Span::new(buffer, 0..len)
    }

    /// Lets `write` fill the first `len` values of a buffer while it reads others.
    pub(super) fn write<R>(
        &mut self,
        id: BufferId,
        len: usize,
        write: impl FnOnce(&Self, SpanMut<'_, D>) -> R,
    ) -> R {
        let mut buffer = self.buffers[id].take().expect("the memory plan separates operands and results");
        let outcome = write(self, SpanMut::new(&mut buffer, 0..len));
        self.buffers[id] = Some(buffer);
        outcome
    }
}
