//! Memory for lanes that a wide register reads at once.

use std::ops::{Deref, DerefMut};

use super::LANES;
use crate::Real;

/// [`LANES`] values that begin with a line of the cache: a load or store of a whole 512-bit register touches one line,
/// where it would touch two, and take twice as long, at almost any other address.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct AlignedLanes<T>([T; LANES]);

// SAFETY: an array of plain values, and no padding: 16 of them fill whole multiples of 64 bytes.
unsafe impl<T: Real> bytemuck::Pod for AlignedLanes<T> {}

impl<T: Real> AlignedLanes<T> {
    /// Zero in each lane.
    pub const ZERO: Self = Self([T::ZERO; LANES]);

    /// The same memory as arrays.
    #[inline(always)]
    pub fn arrays_mut(lanes: &mut [Self]) -> &mut [[T; LANES]] {
        bytemuck::cast_slice_mut(lanes)
    }
}

/// A vector of lanes, each aligned as [`AlignedLanes`] are; a slice of arrays to those who use it.
///
/// # Examples
/// ```
/// use cfconv_fft::simd::{LANES, LaneVec};
///
/// let mut lanes = LaneVec::<f32>::zeros(3);
/// lanes[1][2] = 5.0;
/// assert_eq!(lanes.as_flattened()[LANES + 2], 5.0);
/// assert_eq!(lanes.as_ptr().addr() % 64, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneVec<T>(Vec<AlignedLanes<T>>);

impl<T: Real> LaneVec<T> {
    /// `len` times [`LANES`] zeros.
    pub fn zeros(len: usize) -> Self {
        Self(vec![AlignedLanes::ZERO; len])
    }

    /// Makes it `len` long and zero.
    pub fn reset(&mut self, len: usize) {
        self.0.clear();
        self.0.resize(len, AlignedLanes::ZERO);
    }
}

impl<T: Real> Deref for LaneVec<T> {
    type Target = [[T; LANES]];

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        bytemuck::cast_slice(&self.0)
    }
}

impl<T: Real> DerefMut for LaneVec<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        AlignedLanes::arrays_mut(&mut self.0)
    }
}
