//! One complex value in each of [`LANES`] independent transforms.

use crate::Real;
use crate::simd::{Isa, LANES};

/// One complex value in each of [`LANES`] lanes: all real parts, then all imaginary parts.
///
/// Lanes never mix: a butterfly on points is [`LANES`] butterflies, one in each lane, and compiles to vector
/// code without a single shuffle.
#[derive(Clone, Copy, Debug, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct ComplexLanes<T> {
    /// Real parts.
    pub re: [T; LANES],
    /// Imaginary parts.
    pub im: [T; LANES],
}

// SAFETY: two arrays of plain values, and no padding: 32 of them fill whole multiples of 64 bytes.
unsafe impl<T: Real> bytemuck::Pod for ComplexLanes<T> {}

impl<T: Real> ComplexLanes<T> {
    /// Zero in each lane.
    pub const fn zero() -> Self {
        Self { re: [T::ZERO; LANES], im: [T::ZERO; LANES] }
    }

    /// Reads up to [`LANES`] real parts from `re` and imaginary parts from `im`; missing lanes are zero.
    #[inline(always)]
    pub fn load(re: &[T], im: &[T]) -> Self {
        Self { re: load_lanes(re), im: load_lanes(im) }
    }

    /// Writes the lanes that fit into `re` and `im`.
    #[inline(always)]
    pub fn store(&self, re: &mut [T], im: &mut [T]) {
        store_lanes(&self.re, re);
        store_lanes(&self.im, im);
    }

    /// Exchanges real and imaginary parts: `i·conj(z)`, which turns a forward transform into an inverse one.
    #[inline(always)]
    pub fn swapped(&self) -> Self {
        Self { re: self.im, im: self.re }
    }
}

/// Reads up to [`LANES`] values; missing lanes are zero.
#[inline(always)]
pub fn load_lanes<T: Real>(values: &[T]) -> [T; LANES] {
    if let Some(full) = values.first_chunk::<LANES>() {
        *full
    } else {
        let mut lanes = [T::ZERO; LANES];
        lanes[..values.len()].copy_from_slice(values);
        lanes
    }
}

/// Writes the lanes that fit into `values`.
#[inline(always)]
pub fn store_lanes<T: Real>(lanes: &[T; LANES], values: &mut [T]) {
    if let Some(full) = values.first_chunk_mut::<LANES>() {
        *full = *lanes;
    } else {
        let count = values.len();
        values.copy_from_slice(&lanes[..count]);
    }
}

/// Writes the lanes of a register that fit into `values`; straight from it where all do.
#[inline(always)]
pub fn store_register<T: Real, I: Isa>(isa: I, lanes: I::Lanes<T>, values: &mut [T]) {
    if let Some(full) = values.first_chunk_mut() {
        isa.store(lanes, full);
    } else {
        let mut array = [T::ZERO; LANES];
        isa.store(lanes, &mut array);
        store_lanes(&array, values);
    }
}
