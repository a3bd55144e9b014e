//! Real transforms along rows, two rows at a time.
//!
//! A pair of real rows a, b is one complex signal z = a + i·b, so a transform of real rows needs no
//! algorithm of its own and works for every width: with Z = DFT(z),
//! `A[k] = (Z[k] + conj Z[n−k])/2` and `B[k] = (Z[k] − conj Z[n−k])/(2i)`.

use super::ComplexLanes;
use super::butterfly::{Registers, load, store};
use crate::Real;
use crate::simd::Isa;

/// Separates the half spectra `a` and `b` of the two rows from the transform `z` of their complex sum, bin k
/// multiplied by `scale(k)`.
#[inline(always)]
pub(super) fn split<T: Real, I: Isa>(
    isa: I,
    z: &[ComplexLanes<T>],
    a: &mut [ComplexLanes<T>],
    mut b: Option<&mut [ComplexLanes<T>]>,
    scale: impl Fn(usize) -> T,
) {
    for (k, a) in a.iter_mut().enumerate() {
        let half = isa.splat(scale(k) * T::cast(0.5));
        let (forward, backward) = (load(isa, &z[k]), load(isa, &z[if k == 0 { 0 } else { z.len() - k }]));
        let re = isa.mul(half, isa.add(forward.re, backward.re));
        let im = isa.mul(half, isa.sub(forward.im, backward.im));
        store(isa, Registers { re, im }, a);
        if let Some(b) = &mut b {
            let re = isa.mul(half, isa.add(forward.im, backward.im));
            let im = isa.mul(half, isa.sub(backward.re, forward.re));
            store(isa, Registers { re, im }, &mut b[k]);
        }
    }
}

/// Joins two half spectra, given as [swapped](ComplexLanes::swapped) points: `Z[k] = A[k] + i·B[k]` and
/// `Z[n−k] = conj A[k] + i·conj B[k]`, **swapped** as an inverse transform needs them, so that a forward
/// transform of `z` gives the rows as `im` (row a) and `re` (row b). A missing row is zero.
///
/// In the self-conjugate bins k = 0 and, n even, k = n/2 only the real parts of A and B are used: the
/// imaginary part is what the inverse of a real transform discards.
#[inline(always)]
pub(super) fn join<T: Real, I: Isa>(
    isa: I,
    z: &mut [ComplexLanes<T>],
    a: &[ComplexLanes<T>],
    b: Option<&[ComplexLanes<T>]>,
) {
    join_mapped(isa, z, a, b, |_, point| point);
}

/// [`join`] of points that are not swapped, bin k multiplied by `scale(k)`.
#[inline(always)]
pub(super) fn join_scaled<T: Real, I: Isa>(
    isa: I,
    z: &mut [ComplexLanes<T>],
    a: &[ComplexLanes<T>],
    b: Option<&[ComplexLanes<T>]>,
    scale: impl Fn(usize) -> T,
) {
    join_mapped(isa, z, a, b, |k, point| {
        let scale = isa.splat(scale(k));
        Registers { re: isa.mul(scale, point.im), im: isa.mul(scale, point.re) }
    });
}

/// [`join`] of what `swapped` makes of a bin and its point.
#[inline(always)]
fn join_mapped<T: Real, I: Isa>(
    isa: I,
    z: &mut [ComplexLanes<T>],
    a: &[ComplexLanes<T>],
    b: Option<&[ComplexLanes<T>]>,
    swapped: impl Fn(usize, Registers<I, T>) -> Registers<I, T>,
) {
    let zero = isa.splat(T::ZERO);
    for (k, a) in a.iter().enumerate() {
        let mirror = if k == 0 { 0 } else { z.len() - k };
        let a = swapped(k, load(isa, a));
        let b = b.map_or(Registers { re: zero, im: zero }, |b| swapped(k, load(isa, &b[k])));
        // Real parts are in `im`, imaginary ones in `re`.
        if mirror == k {
            store(isa, Registers { re: b.im, im: a.im }, &mut z[k]);
        } else {
            let (re, im) = (isa.add(a.re, b.im), isa.sub(a.im, b.re));
            store(isa, Registers { re, im }, &mut z[k]);
            let (re, im) = (isa.sub(b.im, a.re), isa.add(a.im, b.re));
            store(isa, Registers { re, im }, &mut z[mirror]);
        }
    }
}
