//! Real transforms along rows, two rows at a time.
//!
//! A pair of real rows a, b is one complex signal z = a + i·b, so a transform of real rows needs no
//! algorithm of its own and works for every width: with Z = DFT(z),
//! `A[k] = (Z[k] + conj Z[n−k])/2` and `B[k] = (Z[k] − conj Z[n−k])/(2i)`.

use super::{LANES, Point};
use crate::Real;

/// Separates bin `k` of the two rows' half spectra from the transform `z` of their complex sum.
#[inline(always)]
pub fn split<T: Real>(z: &[Point<T>], k: usize) -> (Point<T>, Point<T>) {
    let half = T::cast(0.5);
    let (forward, backward) = (&z[k], &z[(z.len() - k) % z.len()]);
    let (mut a, mut b) = (Point::zero(), Point::zero());
    for l in 0..LANES {
        a.re[l] = half * (forward.re[l] + backward.re[l]);
        a.im[l] = half * (forward.im[l] - backward.im[l]);
        b.re[l] = half * (forward.im[l] + backward.im[l]);
        b.im[l] = half * (backward.re[l] - forward.re[l]);
    }
    (a, b)
}

/// Places bin `k` of two half spectra, `Z[k] = A[k] + i·B[k]` and `Z[n−k] = conj A[k] + i·conj B[k]`, into
/// the **swapped** points of an inverse transform, so that a forward transform of `z` gives the rows as
/// `im` (row a) and `re` (row b).
///
/// In the self-conjugate bins k = 0 and, n even, k = n/2 only the real parts of A and B are used: the
/// imaginary part is what the inverse of a real transform discards.
#[inline(always)]
pub fn join<T: Real>(z: &mut [Point<T>], k: usize, a: &Point<T>, b: &Point<T>) {
    let n = z.len();
    let mirror = (n - k) % n;
    if mirror == k {
        z[k] = Point { re: b.re, im: a.re };
        return;
    }
    let (mut forward, mut backward) = (Point::zero(), Point::zero());
    for l in 0..LANES {
        forward.im[l] = a.re[l] - b.im[l];
        forward.re[l] = a.im[l] + b.re[l];
        backward.im[l] = a.re[l] + b.im[l];
        backward.re[l] = b.re[l] - a.im[l];
    }
    z[k] = forward;
    z[mirror] = backward;
}
