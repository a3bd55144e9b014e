//! Addition on the CUDA device.

use super::AddOp;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> AddOp for L {
    fn add(&self, a: Span<'_, Self>, b: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()> {
        b.expect_len("add", "b", a.len())?;
        output.expect_len("add", "output", a.len())?;
        let len = count(a.len());
        launch!(self, "add", Grid::over(len, L::THREADS), a, b, output, len)
    }

    fn add_assign(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        target.expect_len("add_assign", "target", source.len())?;
        let len = count(source.len());
        launch!(self, "add_assign", Grid::over(len, L::THREADS), source, target, len)
    }
}
