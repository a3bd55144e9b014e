//! Lanes in plain arrays: the reference of the other instruction sets, and what the compiler makes of loops.

use super::LANES;
use super::block::Block;
use crate::Real;

/// An array of lanes; `a·b + c` is rounded twice.
#[derive(Clone, Copy, Debug)]
pub struct Array<T>([T; LANES]);

impl<T: Real> Block<T> for Array<T> {
    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(values: &[T; LANES]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    unsafe fn store(self, values: &mut [T; LANES]) {
        *values = self.0;
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l] + other.0[l]))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l] - other.0[l]))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l] * other.0[l]))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l] * b.0[l] + c.0[l]))
    }
    #[inline(always)]
    unsafe fn negate_where_odd(self, mantissa: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l].negate_if_odd(mantissa.0[l])))
    }
    #[inline(always)]
    unsafe fn sum(self) -> T {
        let mut lanes = self.0;
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        lanes[0]
    }
    #[inline(always)]
    unsafe fn transpose((source, source_step): (*const T, usize), (target, target_step): (*mut T, usize)) {
        for c in 0..LANES {
            for r in 0..LANES {
                // SAFETY: the caller vouches for rows r and c.
                unsafe { *target.add(c * target_step + r) = *source.add(r * source_step + c) };
            }
        }
    }
}
