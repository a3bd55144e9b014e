//! Addition on the CUDA device.

use super::AddOp;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> AddOp for L {
    fn add_kernel(&self, a: Span<'_, Self>, b: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()> {
        let len = count(a.len());
        launch!(self, "add", Grid::over(len, L::THREADS), a, b, output, len)
    }

    fn add_assign_kernel(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        let len = count(source.len());
        launch!(self, "add_assign", Grid::over(len, L::THREADS), source, target, len)
    }
}
