//! Real two-dimensional transforms of one block of lanes of a plane, on a torus that may be larger.

use std::ops::Range;

use super::{ComplexLanes, LanesFft, row_pair, store_register};
use crate::Real;
use crate::simd::{Isa, Kernel, LANES, dispatch};

/// A plan for the real transforms of up to [`LANES`] images side by side, extended by zeros to a torus.
///
/// The spectrum comes and goes as one line for each column k = 0 … torus_width/2, `torus_height` points long,
/// so that callers place columns where they need them. All other work stays within
/// [`scratch_len`](Self::scratch_len) points, which a level-2 cache holds for planes of 64×64.
#[derive(Clone, Debug)]
pub struct LanesPlane<T> {
    height: usize,
    width: usize,
    rows: LanesFft<T>,
    columns: LanesFft<T>,
}

impl<T: Real> LanesPlane<T> {
    /// Plans transforms of `height × width` planes on a torus at least as large; every size is at least 1.
    pub fn new((height, width): (usize, usize), (torus_height, torus_width): (usize, usize)) -> Self {
        debug_assert!(height <= torus_height && width <= torus_width);
        Self { height, width, rows: LanesFft::new(torus_width), columns: LanesFft::new(torus_height) }
    }

    /// Columns of the half spectrum.
    pub fn half_width(&self) -> usize {
        self.rows.length() / 2 + 1
    }

    /// Points of scratch, of any content, that a transform needs.
    pub fn scratch_len(&self) -> usize {
        self.middle_len() + self.line_scratch_len()
    }

    /// Transforms the images of some lanes.
    ///
    /// # Shapes
    /// `plane` `[H, W, batch]`, of which `lanes` are read, others are zero; `columns` half_width lines of
    /// torus_height points, overwritten.
    pub fn forward(
        &self,
        (plane, batch): (&[T], usize),
        lanes: Range<usize>,
        columns: &mut [&mut [ComplexLanes<T>]],
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert_eq!(plane.len(), self.height * self.width * batch);
        let (middle, scratch) = scratch.split_at_mut(self.middle_len());
        let half_width = self.half_width();
        dispatch(RowsForward { plan: self, plane, batch, lanes, middle, scratch });
        for (k, column) in columns.iter_mut().enumerate() {
            self.columns.process(&middle[k..], half_width, column, 1, scratch);
        }
    }

    /// Transforms back: `plane = scale·N·irfft2(columns) + bias` with `irfft2` carrying 1/N, N the points of
    /// the torus, cut to the image. Only the Hermitian part of the self-conjugate columns is used.
    ///
    /// # Shapes
    /// `columns` half_width lines of torus_height **[swapped](ComplexLanes::swapped)** points; `plane`
    /// `[H, W, batch]`, of which `lanes` are overwritten.
    pub fn inverse<'c>(
        &self,
        columns: impl Iterator<Item = &'c [ComplexLanes<T>]>,
        (plane, batch): (&mut [T], usize),
        lanes: Range<usize>,
        (scale, bias): (T, T),
        scratch: &mut [ComplexLanes<T>],
    ) where
        T: 'c,
    {
        debug_assert_eq!(plane.len(), self.height * self.width * batch);
        let (middle, scratch) = scratch.split_at_mut(self.middle_len());
        let half_width = self.half_width();
        for (k, column) in columns.enumerate() {
            self.columns.process(column, 1, &mut middle[k..], half_width, scratch);
        }
        dispatch(RowsInverse { plan: self, middle, plane, batch, lanes, scale, bias, scratch });
    }

    /// Points between row and column transforms, `[torus_height, half_width]`.
    pub(super) fn middle_len(&self) -> usize {
        self.columns.length() * self.half_width()
    }

    /// Scratch of a pair of rows or of a column: two lines, and that of the transforms.
    pub(super) fn line_scratch_len(&self) -> usize {
        2 * self.rows.length() + self.rows.scratch_len().max(self.columns.scratch_len())
    }

    /// Rows of the plane.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// Columns of the plane.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The transform along columns.
    pub(super) fn columns(&self) -> &LanesFft<T> {
        &self.columns
    }
}

/// All rows of some lanes, two at a time: real → half spectrum, and zeros below.
pub(super) struct RowsForward<'a, T> {
    pub(super) plan: &'a LanesPlane<T>,
    /// `[H, W, batch]`
    pub(super) plane: &'a [T],
    pub(super) batch: usize,
    pub(super) lanes: Range<usize>,
    /// `[torus_height, half_width]`
    pub(super) middle: &'a mut [ComplexLanes<T>],
    pub(super) scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for RowsForward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, plane, batch, lanes, middle, scratch } = self;
        let LanesPlane { height, width, rows, .. } = plan;
        let (line, scratch) = scratch.split_at_mut(rows.length());
        let (z, scratch) = scratch.split_at_mut(rows.length());
        line[*width..].fill(ComplexLanes::zero());
        let (images, below) = middle.split_at_mut(height * plan.half_width());
        for (pair, spectra) in plane.chunks(2 * width * batch).zip(images.chunks_mut(2 * plan.half_width())) {
            let (first, second) = pair.split_at(width * batch);
            for (w, point) in line[..*width].iter_mut().enumerate() {
                let second = if second.is_empty() { second } else { &second[w * batch..][lanes.clone()] };
                *point = ComplexLanes::load(&first[w * batch..][lanes.clone()], second);
            }
            rows.process(line, 1, z, 1, scratch);
            let (a, b) = spectra.split_at_mut(plan.half_width());
            row_pair::split(isa, z, a, if b.is_empty() { None } else { Some(b) }, |_| T::ONE);
        }
        below.fill(ComplexLanes::zero());
    }
}

/// All rows of some lanes, two at a time: half spectrum → real.
pub(super) struct RowsInverse<'a, T> {
    pub(super) plan: &'a LanesPlane<T>,
    /// Swapped points `[torus_height, half_width]`.
    pub(super) middle: &'a [ComplexLanes<T>],
    /// `[H, W, batch]`
    pub(super) plane: &'a mut [T],
    pub(super) batch: usize,
    pub(super) lanes: Range<usize>,
    pub(super) scale: T,
    pub(super) bias: T,
    pub(super) scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for RowsInverse<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, middle, plane, batch, lanes, scale, bias, scratch } = self;
        let LanesPlane { height, width, rows, .. } = plan;
        let (line, scratch) = scratch.split_at_mut(rows.length());
        let (z, scratch) = scratch.split_at_mut(rows.length());
        let images = &middle[..height * plan.half_width()];
        for (pair, spectra) in plane.chunks_mut(2 * width * batch).zip(images.chunks(2 * plan.half_width())) {
            let (a, b) = spectra.split_at(plan.half_width());
            row_pair::join(isa, line, a, if b.is_empty() { None } else { Some(b) });
            rows.process(line, 1, z, 1, scratch);
            let (first, second) = pair.split_at_mut(width * batch);
            for (w, point) in z[..*width].iter().enumerate() {
                store_scaled(isa, &point.im, (scale, bias), &mut first[w * batch..][lanes.clone()]);
                if !second.is_empty() {
                    store_scaled(isa, &point.re, (scale, bias), &mut second[w * batch..][lanes.clone()]);
                }
            }
        }
    }
}

/// Writes `scale·lanes + bias`.
#[inline(always)]
fn store_scaled<T: Real, I: Isa>(isa: I, lanes: &[T; LANES], (scale, bias): (T, T), target: &mut [T]) {
    store_register(isa, isa.fma(isa.splat(scale), isa.load(lanes), isa.splat(bias)), target);
}
