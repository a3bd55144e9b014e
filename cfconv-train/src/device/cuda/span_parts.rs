//! Parts of spans.

use std::ops::Range;

use crate::device::{Memory, Span, SpanMut};

/// The values `range` of a span.
pub(crate) fn part<D: Memory>(span: Span<'_, D>, range: Range<usize>) -> Span<'_, D> {
    debug_assert!(range.end <= span.len());
    let start = span.range().start;
    Span::new(span.buffer(), start + range.start..start + range.end)
}

/// The values `range` of a span that is written.
pub(crate) fn part_mut<'a, D: Memory>(span: &'a mut SpanMut<'_, D>, range: Range<usize>) -> SpanMut<'a, D> {
    debug_assert!(range.end <= span.len());
    let start = span.range().start;
    SpanMut::new(span.buffer_mut(), start + range.start..start + range.end)
}
