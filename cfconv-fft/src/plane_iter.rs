//! The planes of two NCHW arrays in the pieces that threads share out: groups of planes, and single ones.

use std::iter::Zip;
use std::slice::{ChunksExact, ChunksExactMut};

use ndarray::{ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, Axis};

use crate::lanes::LANES;

/// Fewer groups are transformed plane by plane: they would leave threads without work. A group takes about half as
/// long as its planes one by one, so that four of them still pay with eight threads. Results must not depend on
/// the number of threads, hence neither does this.
pub(crate) const MIN_GROUPS: usize = 4;

/// One piece.
pub(crate) enum PlaneItem<'a, A, B> {
    /// [`LANES`] planes of the input and of the output, each side one after the other.
    Group(&'a [A], &'a mut [B]),
    /// One plane.
    Plane(ArrayView2<'a, A>, ArrayViewMut2<'a, B>),
}

/// All planes of two arrays `[B, C, ..]`, without allocation: groups first, then single planes.
pub(crate) struct PlaneItems<'a, A, B> {
    groups: Zip<ChunksExact<'a, A>, ChunksExactMut<'a, B>>,
    planes: PlanePairs<'a, A, B>,
    len: usize,
}

impl<'a, A, B> PlaneItems<'a, A, B> {
    /// Every plane by itself.
    pub(crate) fn single(input: ArrayView4<'a, A>, output: ArrayViewMut4<'a, B>) -> Self {
        let len = input.len_of(Axis(0)) * input.len_of(Axis(1));
        let none: (&'a [A], &'a mut [B]) = (&[], &mut []);
        Self {
            groups: none.0.chunks_exact(1).zip(none.1.chunks_exact_mut(1)),
            planes: PlanePairs::new(input, output),
            len,
        }
    }

    /// As many groups as there are if both arrays are contiguous and have at least [`MIN_GROUPS`] of them; what
    /// is left by itself.
    pub(crate) fn grouped(input: ArrayView4<'a, A>, output: ArrayViewMut4<'a, B>) -> Self {
        let (batch, channels, height, width) = input.dim();
        let count = batch * channels;
        let grouped = count / LANES * LANES;
        let contiguous = input.is_standard_layout() && output.is_standard_layout();
        if grouped < MIN_GROUPS * LANES || !contiguous {
            return Self::single(input, output);
        }
        let (_, _, output_height, output_width) = output.dim();
        let flat = "a contiguous array may have its leading axes joined";
        let input = input.into_shape_with_order((count, 1, height, width)).expect(flat);
        let output = output.into_shape_with_order((count, 1, output_height, output_width)).expect(flat);
        let (grouped_input, input) = input.split_at(Axis(0), grouped);
        let (grouped_output, output) = output.split_at(Axis(0), grouped);
        let inputs = grouped_input.to_slice().expect(flat).chunks_exact(LANES * height * width);
        let outputs =
            grouped_output.into_slice().expect(flat).chunks_exact_mut(LANES * output_height * output_width);
        Self {
            groups: inputs.zip(outputs),
            planes: PlanePairs::new(input, output),
            len: grouped / LANES + count - grouped,
        }
    }

    /// Number of items of a new iterator.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<'a, A, B> Iterator for PlaneItems<'a, A, B> {
    type Item = PlaneItem<'a, A, B>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.groups.next() {
            Some((input, output)) => Some(PlaneItem::Group(input, output)),
            None => self.planes.next().map(|(input, output)| PlaneItem::Plane(input, output)),
        }
    }
}

/// The planes of two arrays `[B, C, ..]`, pair by pair, without allocation and for any strides (ndarray's
/// `exact_chunks` overflows on reversed axes).
struct PlanePairs<'a, A, B> {
    input: ArrayView4<'a, A>,
    /// Index of the image after the one in `output_image`.
    batch: usize,
    /// Channel of the first plane in `output_image`.
    channel: usize,
    /// What is left of the current image.
    output_image: Option<ArrayViewMut3<'a, B>>,
    /// The images after it.
    output_rest: Option<ArrayViewMut4<'a, B>>,
}

impl<'a, A, B> PlanePairs<'a, A, B> {
    fn new(input: ArrayView4<'a, A>, output: ArrayViewMut4<'a, B>) -> Self {
        Self { input, batch: 0, channel: 0, output_image: None, output_rest: Some(output) }
    }
}

impl<'a, A, B> Iterator for PlanePairs<'a, A, B> {
    type Item = (ArrayView2<'a, A>, ArrayViewMut2<'a, B>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.output_image.as_ref().is_none_or(|image| image.is_empty()) {
            let rest = self.output_rest.take().filter(|rest| !rest.is_empty())?;
            let (image, rest) = rest.split_at(Axis(0), 1);
            self.output_image = Some(image.index_axis_move(Axis(0), 0));
            self.output_rest = Some(rest);
            self.batch += 1;
            self.channel = 0;
        }
        let (plane, rest) = self.output_image.take()?.split_at(Axis(0), 1);
        self.output_image = Some(rest);
        let image = self.input.index_axis_move(Axis(0), self.batch - 1);
        let input = image.index_axis_move(Axis(0), self.channel);
        self.channel += 1;
        Some((input, plane.index_axis_move(Axis(0), 0)))
    }
}
