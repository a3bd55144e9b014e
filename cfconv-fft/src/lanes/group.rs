//! Real transforms of a group of [`LANES`] planes that lie one after the other, one plane in each lane.
//!
//! A half spectrum in lanes, `[2·H·Wr, LANES]` with the real and the imaginary part of a bin in turn, is the
//! transpose of the half spectra of the planes, `[LANES, 2·H·Wr]`: one transposition of [`LANES`] × [`LANES`]
//! values after the other leads from one to the other. Real rows are transposed as they enter the transform of a
//! pair of rows and as they leave it.

use super::row_pair::{join_scaled, split};
use super::{ComplexLanes, LanesFft};
use crate::plan::ColumnScale;
use crate::simd::{Isa, Kernel, LANES, dispatch};
use crate::{Complex, Real, half_width};

/// Bytes of half spectra, of all lanes, up to which groups are used: at twice as many the column transforms, which
/// then work outside any level-2 cache, have lost most of the advantage, and each thread needs that much scratch.
const MAX_SPECTRA_BYTES: usize = 8 << 20;

/// A plan for the transforms of [`LANES`] planes of at least [`LANES`] columns.
#[derive(Debug)]
pub(crate) struct PlaneGroup<T> {
    rows: LanesFft<T>,
    columns: LanesFft<T>,
}

impl<T: Real> PlaneGroup<T> {
    /// Plans the transforms of planes of `height` × `width` if a group of them is faster than plane by plane.
    ///
    /// That is so, measured on AVX2 from 1×64 to 320×320, for every size without a prime factor above 31: by a
    /// factor of 2 to 8 in `f32` (2.2 at 64×64, 7.7 at 31×31), of 1.2 to 4 in `f64`. With one, the transform
    /// across lanes pads to a power of two and may be slower (0.7 at 257×64). A row has to fill a block.
    pub(crate) fn where_faster(height: usize, width: usize) -> Option<Self> {
        let spectra_bytes = height * half_width(width) * size_of::<ComplexLanes<T>>();
        let direct = LanesFft::<T>::is_direct(height) && LanesFft::<T>::is_direct(width);
        let faster = direct && width >= LANES && spectra_bytes <= MAX_SPECTRA_BYTES;
        faster.then(|| Self { rows: LanesFft::new(width), columns: LanesFft::new(height) })
    }

    fn height(&self) -> usize {
        self.columns.length()
    }

    fn width(&self) -> usize {
        self.rows.length()
    }

    fn half_width(&self) -> usize {
        half_width(self.width())
    }

    /// Points of scratch, of any content, that a transform needs: the half spectra and a few lines.
    pub(crate) fn scratch_len(&self) -> usize {
        let line = self.rows.scratch_len().max(self.columns.scratch_len());
        self.height() * self.half_width() + 2 * self.width() + line
    }

    /// Real planes to half spectra whose columns are scaled by `scale`.
    ///
    /// # Shapes
    /// `input` `[LANES, H, W]`, `output` `[LANES, H, Wr]`.
    pub(crate) fn forward(
        &self,
        input: &[T],
        output: &mut [Complex<T>],
        scale: ColumnScale<T>,
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert_eq!(input.len(), LANES * self.height() * self.width());
        debug_assert_eq!(output.len(), LANES * self.height() * self.half_width());
        dispatch(Forward { plan: self, input, output: bytemuck::cast_slice_mut(output), scale, scratch });
    }

    /// Half spectra, columns scaled by `scale`, to real planes. Only the Hermitian part of the self-conjugate
    /// columns is used.
    ///
    /// # Shapes
    /// `input` `[LANES, H, Wr]`, `output` `[LANES, H, W]`.
    pub(crate) fn inverse(
        &self,
        input: &[Complex<T>],
        output: &mut [T],
        scale: ColumnScale<T>,
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert_eq!(input.len(), LANES * self.height() * self.half_width());
        debug_assert_eq!(output.len(), LANES * self.height() * self.width());
        dispatch(Inverse { plan: self, input: bytemuck::cast_slice(input), output, scale, scratch });
    }
}

/// The parts of the scratch.
struct Parts<'a, T> {
    /// The half spectra, `[H, Wr]`.
    middle: &'a mut [ComplexLanes<T>],
    /// A pair of rows before the transform, `[W]`.
    line: &'a mut [ComplexLanes<T>],
    /// A pair of rows after it, `[W]`.
    z: &'a mut [ComplexLanes<T>],
    /// Scratch of the one-dimensional plans.
    rest: &'a mut [ComplexLanes<T>],
}

impl<'a, T: Real> Parts<'a, T> {
    #[inline(always)]
    fn of(plan: &PlaneGroup<T>, scratch: &'a mut [ComplexLanes<T>]) -> Self {
        let (middle, scratch) = scratch.split_at_mut(plan.height() * plan.half_width());
        let (line, scratch) = scratch.split_at_mut(plan.width());
        let (z, rest) = scratch.split_at_mut(plan.width());
        Self { middle, line, z, rest }
    }
}

struct Forward<'a, T> {
    plan: &'a PlaneGroup<T>,
    /// `[LANES, H, W]`
    input: &'a [T],
    /// `[LANES, H, Wr, 2]`
    output: &'a mut [T],
    scale: ColumnScale<T>,
    scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, input, output, scale, scratch } = self;
        let Parts { middle, line, z, rest } = Parts::of(plan, scratch);
        let (height, width, half_width) = (plan.height(), plan.width(), plan.half_width());
        // Rows, two at a time: [LANES, 2, W] → line [W] → z [W] → middle [2, Wr].
        for (pair, spectra) in middle.chunks_mut(2 * half_width).enumerate() {
            let top = 2 * pair * width;
            let (a, b) = spectra.split_at_mut(half_width);
            for w in blocks(width) {
                let values: &mut [T] = bytemuck::cast_slice_mut(&mut line[w..w + LANES]);
                isa.transpose((&input[top + w..], height * width), (values, 2 * LANES));
                if !b.is_empty() {
                    isa.transpose(
                        (&input[top + width + w..], height * width),
                        (&mut values[LANES..], 2 * LANES),
                    );
                }
            }
            if b.is_empty() {
                line.iter_mut().for_each(|point| point.im = [T::ZERO; LANES]);
            }
            plan.rows.process(line, 1, z, 1, rest);
            split(isa, z, a, if b.is_empty() { None } else { Some(b) }, |k| scale.of(k, width));
        }
        for k in 0..half_width {
            plan.columns.process_in_place(&mut middle[k..], half_width, rest);
        }
        // [H·Wr·2, LANES] → [LANES, H·Wr·2].
        let (middle, length): (&[T], _) = (bytemuck::cast_slice(middle), 2 * height * half_width);
        for at in blocks(length) {
            isa.transpose((&middle[at * LANES..], LANES), (&mut output[at..], length));
        }
    }
}

struct Inverse<'a, T> {
    plan: &'a PlaneGroup<T>,
    /// `[LANES, H, Wr, 2]`
    input: &'a [T],
    /// `[LANES, H, W]`
    output: &'a mut [T],
    scale: ColumnScale<T>,
    scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for Inverse<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, input, output, scale, scratch } = self;
        let Parts { middle, line, z, rest } = Parts::of(plan, scratch);
        let (height, width, half_width) = (plan.height(), plan.width(), plan.half_width());
        // [LANES, H·Wr·2] → [H·Wr·2, LANES].
        let length = 2 * height * half_width;
        let values: &mut [T] = bytemuck::cast_slice_mut(middle);
        for at in blocks(length) {
            isa.transpose((&input[at..], length), (&mut values[at * LANES..], LANES));
        }
        for k in 0..half_width {
            plan.columns.process_in_place(&mut middle[k..], half_width, rest);
        }
        // Rows, two at a time: middle [2, Wr] → line [W] → z [W] → [LANES, 2, W]. The columns went through the
        // forward transform, so row h of the inverse one is row −h.
        let spectrum_of = |h: usize| &middle[(height - h) % height * half_width..][..half_width];
        for a in (0..height).step_by(2) {
            let b = Some(a + 1).filter(|&b| b < height);
            join_scaled(isa, line, spectrum_of(a), b.map(spectrum_of), |k| scale.of(k, width));
            plan.rows.process(line, 1, z, 1, rest);
            for w in blocks(width) {
                let values: &[T] = bytemuck::cast_slice(&z[w..w + LANES]);
                let plane_len = height * width;
                isa.transpose((&values[LANES..], 2 * LANES), (&mut output[a * width + w..], plane_len));
                if let Some(b) = b {
                    isa.transpose((values, 2 * LANES), (&mut output[b * width + w..], plane_len));
                }
            }
        }
    }
}

/// Starts of blocks of [`LANES`] values that cover `length` ≥ [`LANES`]; the last one may overlap its neighbour,
/// whose values it writes again.
#[inline(always)]
fn blocks(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(LANES).map(move |start| start.min(length - LANES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_used_for_sizes_without_large_prime_factors() {
        for (height, width, faster) in [
            (64, 64, true),
            (1, 16, true),
            (31, 62, true),
            (256, 256, true),
            (64, 15, false),
            (37, 64, false),
            (64, 74, false),
            (512, 512, false),
        ] {
            assert_eq!(PlaneGroup::<f32>::where_faster(height, width).is_some(), faster, "{height}×{width}");
        }
        assert!(PlaneGroup::<f64>::where_faster(128, 128).is_some());
        assert!(PlaneGroup::<f64>::where_faster(256, 256).is_none());
    }

    #[test]
    fn blocks_cover_every_value() {
        for length in [16, 17, 31, 32, 40] {
            let mut covered = vec![false; length];
            blocks(length).for_each(|start| covered[start..start + LANES].fill(true));
            assert!(covered.into_iter().all(|covered| covered), "{length}");
        }
    }
}
