//! Real two-dimensional transforms of planes `[H, W, B]`.

use super::plane::{RowsForward, RowsInverse};
use super::{ComplexLanes, LANES, LanesPlane};
use crate::simd::{Isa, Kernel, dispatch};
use crate::{FftError, Real, Result};

/// A plan for the real transforms of planes whose innermost axis is the batch.
///
/// # Shapes
/// A plane is `[H, W, B]`; its half spectrum is `[H, Wr, 2, B]`: for each bin B real parts, then B imaginary
/// parts. B may be any number and differ from call to call.
///
/// # Examples
/// ```
/// use cfconv_fft::lanes::LanesRfft2;
///
/// let plan = LanesRfft2::<f32>::try_new(2, 2)?;
/// let plane = [1.0, 2.0, 3.0, 4.0]; // a 2×2 image, batch of 1
/// let mut spectrum = [f32::NAN; 8];
/// let mut scratch = plan.scratch();
/// plan.forward(1, &plane, &mut spectrum, 1.0, &mut scratch);
/// assert_eq!(spectrum, [10.0, 0.0, -2.0, 0.0, -4.0, 0.0, 0.0, 0.0]);
/// let mut back = [f32::NAN; 4];
/// plan.inverse(1, &spectrum, &mut back, 0.25, &mut scratch);
/// assert_eq!(back, plane);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LanesRfft2<T> {
    plane: LanesPlane<T>,
}

impl<T: Real> LanesRfft2<T> {
    /// Plans transforms of `height × width` planes.
    ///
    /// # Errors
    /// [`FftError::ZeroSize`] if a size is zero.
    pub fn try_new(height: usize, width: usize) -> Result<Self> {
        for (name, size) in [("height", height), ("width", width)] {
            if size == 0 {
                return Err(FftError::ZeroSize { op: "LanesRfft2", name });
            }
        }
        Ok(Self { plane: LanesPlane::new((height, width), (height, width)) })
    }

    /// Rows of a plane.
    pub fn height(&self) -> usize {
        self.plane.height()
    }

    /// Columns of a plane.
    pub fn width(&self) -> usize {
        self.plane.width()
    }

    /// Columns of a half spectrum.
    pub fn half_width(&self) -> usize {
        self.plane.half_width()
    }

    /// Working memory for one call at a time: the half spectrum of one block of lanes and some lines.
    pub fn scratch(&self) -> Vec<ComplexLanes<T>> {
        vec![ComplexLanes::zero(); self.plane.scratch_len() + self.height()]
    }

    /// Transforms one plane: `spectrum = scale·rfft2(plane)`.
    ///
    /// # Shapes
    /// `plane` `[H, W, batch]`, `spectrum` `[H, Wr, 2, batch]`, `scratch` from [`scratch`](Self::scratch).
    pub fn forward(
        &self,
        batch: usize,
        plane: &[T],
        spectrum: &mut [T],
        scale: T,
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert_eq!(plane.len(), self.height() * self.width() * batch);
        debug_assert_eq!(spectrum.len(), self.height() * self.half_width() * 2 * batch);
        dispatch(Forward { plan: self, batch, plane, spectrum, scale, scratch });
    }

    /// Transforms one half spectrum back: `plane = scale·H·W·irfft2(spectrum)` with `irfft2` carrying
    /// 1/(H·W). Only the Hermitian part of the self-conjugate columns is used.
    ///
    /// # Shapes
    /// As for [`forward`](Self::forward).
    pub fn inverse(
        &self,
        batch: usize,
        spectrum: &[T],
        plane: &mut [T],
        scale: T,
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert_eq!(plane.len(), self.height() * self.width() * batch);
        debug_assert_eq!(spectrum.len(), self.height() * self.half_width() * 2 * batch);
        dispatch(Inverse { plan: self, batch, spectrum, plane, scale, scratch });
    }
}

struct Forward<'a, T> {
    plan: &'a LanesRfft2<T>,
    batch: usize,
    plane: &'a [T],
    spectrum: &'a mut [T],
    scale: T,
    scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan: LanesRfft2 { plane: plan }, batch, plane, spectrum, scale, scratch } = self;
        let half_width = plan.half_width();
        let (middle, scratch) = scratch.split_at_mut(plan.middle_len());
        let (line, scratch) = scratch.split_at_mut(plan.height());
        let scale = isa.splat(scale);
        for lane in (0..batch).step_by(LANES) {
            let lanes = lane..batch.min(lane + LANES);
            RowsForward { plan, plane, batch, lanes: lanes.clone(), middle, scratch }.run(isa);
            for k in 0..half_width {
                plan.columns().process(&middle[k..], half_width, line, 1, scratch);
                for (h, point) in line.iter_mut().enumerate() {
                    isa.store(isa.mul(scale, isa.load(&point.re)), &mut point.re);
                    isa.store(isa.mul(scale, isa.load(&point.im)), &mut point.im);
                    let bin = &mut spectrum[(h * half_width + k) * 2 * batch..][..2 * batch];
                    let (re, im) = bin.split_at_mut(batch);
                    point.store(&mut re[lanes.clone()], &mut im[lanes.clone()]);
                }
            }
        }
    }
}

struct Inverse<'a, T> {
    plan: &'a LanesRfft2<T>,
    batch: usize,
    spectrum: &'a [T],
    plane: &'a mut [T],
    scale: T,
    scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for Inverse<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan: LanesRfft2 { plane: plan }, batch, spectrum, plane, scale, scratch } = self;
        let half_width = plan.half_width();
        let (middle, scratch) = scratch.split_at_mut(plan.middle_len());
        let (line, scratch) = scratch.split_at_mut(plan.height());
        for lane in (0..batch).step_by(LANES) {
            let lanes = lane..batch.min(lane + LANES);
            for k in 0..half_width {
                // Inverse transforms are forward ones of swapped points.
                for (h, point) in line.iter_mut().enumerate() {
                    let bin = &spectrum[(h * half_width + k) * 2 * batch..][..2 * batch];
                    let (re, im) = bin.split_at(batch);
                    *point = ComplexLanes::load(&im[lanes.clone()], &re[lanes.clone()]);
                }
                plan.columns().process(line, 1, &mut middle[k..], half_width, scratch);
            }
            RowsInverse { plan, middle, plane, batch, lanes, scale, bias: T::ZERO, scratch }.run(isa);
        }
    }
}
