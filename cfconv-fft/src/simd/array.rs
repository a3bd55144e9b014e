//! Lanes in plain arrays: the reference of the other instruction sets, and what the compiler makes of loops.

use super::block::{Block, assert_rows_within};
use super::{LANES, Portable};
use crate::Real;

/// An array of lanes; `a·b + c` is rounded twice.
#[derive(Clone, Copy, Debug)]
pub struct Array<T>([T; LANES]);

impl<T: Real> Block<T, Portable> for Array<T> {
    #[inline(always)]
    fn splat(_: Portable, value: T) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn load(_: Portable, values: &[T; LANES]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    fn store(_: Portable, block: Self, values: &mut [T; LANES]) {
        *values = block.0;
    }
    #[inline(always)]
    fn add(_: Portable, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|l| a.0[l] + b.0[l]))
    }
    #[inline(always)]
    fn sub(_: Portable, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|l| a.0[l] - b.0[l]))
    }
    #[inline(always)]
    fn mul(_: Portable, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|l| a.0[l] * b.0[l]))
    }
    #[inline(always)]
    fn fma(_: Portable, a: Self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|l| a.0[l] * b.0[l] + c.0[l]))
    }
    #[inline(always)]
    fn negate_where_odd(_: Portable, x: Self, mantissa: Self) -> Self {
        Self(std::array::from_fn(|l| x.0[l].negate_if_odd(mantissa.0[l])))
    }
    #[inline(always)]
    fn sum(_: Portable, x: Self) -> T {
        let mut lanes = x.0;
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
    fn transpose(
        _: Portable,
        (source, source_step): (&[T], usize),
        (target, target_step): (&mut [T], usize),
    ) {
        assert_rows_within((source, source_step), (target, target_step));
        for c in 0..LANES {
            let row = &mut target[c * target_step..][..LANES];
            for (r, value) in row.iter_mut().enumerate() {
                *value = source[r * source_step + c];
            }
        }
    }
}
