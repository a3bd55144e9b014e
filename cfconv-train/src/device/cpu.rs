//! The processor as a device.

use dfdx::tensor::Cpu;

use super::error::{Result, check_len};
use super::memory::{IndexBuffer, Memory, Span, SpanMut};
use crate::process_memory;

impl Memory for Cpu {
    const NAME: &'static str = "the CPU";
    const STEPS_IN_FLIGHT: usize = 1;
    const OWN_MEMORY: bool = false;

    fn available_bytes(&self) -> Option<usize> {
        process_memory::available_bytes()
    }

    fn upload(&self, host: &[f32], target: SpanMut<'_, Self>) -> Result<()> {
        target.expect_len("upload", "target", host.len())?;
        target.into_slice().copy_from_slice(host);
        Ok(())
    }

    fn download(&self, source: Span<'_, Self>, host: &mut [f32]) -> Result<()> {
        source.expect_len("download", "source", host.len())?;
        host.copy_from_slice(source.as_slice());
        Ok(())
    }

    fn upload_indices(&self, host: &[u32], target: &mut IndexBuffer<Self>) -> Result<()> {
        if target.len() < host.len() {
            check_len("upload_indices", "target", host.len(), target.len())?;
        }
        target[..host.len()].copy_from_slice(host);
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn copy(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        target.expect_len("copy", "target", source.len())?;
        target.into_slice().copy_from_slice(source.as_slice());
        Ok(())
    }

    fn fill(&self, target: SpanMut<'_, Self>, value: f32) -> Result<()> {
        target.into_slice().fill(value);
        Ok(())
    }
}

impl<'a> Span<'a, Cpu> {
    /// The values.
    pub(crate) fn as_slice(&self) -> &'a [f32] {
        &self.buffer()[self.range()]
    }
}

impl<'a> SpanMut<'a, Cpu> {
    /// The values.
    pub(crate) fn into_slice(self) -> &'a mut [f32] {
        let (buffer, range) = self.into_parts();
        &mut buffer[range]
    }
}
