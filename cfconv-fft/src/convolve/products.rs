//! The channel mixes of a convolution: sums of bin-wise products of spectra.
//!
//! All spectra are `[outer, inner, P, Wr]`, row-major; a plane of P·Wr bins is the unit of work. With `group`
//! the number of output channels in a group, output channel o belongs to group o / `group`.

use ndarray::Array4;
use rayon::prelude::*;

use crate::simd::{Isa, Kernel, dispatch};
use crate::{Complex, Real};

/// `Y[b, o] = Σ_i X[b, i]·K[o, i]` for the output channels from `first` on that `kernels` holds.
pub(super) fn mix_into_output<T: Real>(
    images: &Array4<Complex<T>>,
    kernels: &Array4<Complex<T>>,
    output: &mut Array4<Complex<T>>,
    first: usize,
    group: usize,
) {
    let group_inputs = kernels.dim().1;
    for_each_plane(output, |b, o, sum| {
        let first_input = (first + o) / group * group_inputs;
        for i in 0..group_inputs {
            dispatch(AccumulateProducts {
                sum,
                a: plane(images, b, first_input + i),
                b: plane(kernels, o, i),
            });
        }
    });
}

/// `dX[b, i] += Σ_o conj(K[o, i])·G[b, o]` over the output channels from `first` on that `kernels` holds.
pub(super) fn mix_into_grad_images<T: Real>(
    grad_output: &Array4<Complex<T>>,
    kernels: &Array4<Complex<T>>,
    grad_images: &mut Array4<Complex<T>>,
    first: usize,
    group: usize,
) {
    let (out_channels, group_inputs, _, _) = kernels.dim();
    for_each_plane(grad_images, |b, i, sum| {
        for o in (0..out_channels).filter(|o| (first + o) / group == i / group_inputs) {
            let (kernel, grad) = (plane(kernels, o, i % group_inputs), plane(grad_output, b, first + o));
            dispatch(AccumulateConjugateProducts { sum, a: kernel, b: grad });
        }
    });
}

/// `dK[o, i] = Σ_b conj(X[b, i])·G[b, o]` for the output channels from `first` on that `grad_kernels` holds.
pub(super) fn mix_into_grad_kernels<T: Real>(
    images: &Array4<Complex<T>>,
    grad_output: &Array4<Complex<T>>,
    grad_kernels: &mut Array4<Complex<T>>,
    first: usize,
    group: usize,
) {
    let group_inputs = grad_kernels.dim().1;
    for_each_plane(grad_kernels, |o, i, sum| {
        let input = (first + o) / group * group_inputs + i;
        for b in 0..images.dim().0 {
            let (image, grad) = (plane(images, b, input), plane(grad_output, b, first + o));
            dispatch(AccumulateConjugateProducts { sum, a: image, b: grad });
        }
    });
}

/// Calls `f` with both leading indices and the bins of each plane, in parallel.
fn for_each_plane<T: Real>(
    spectra: &mut Array4<Complex<T>>,
    f: impl Fn(usize, usize, &mut [Complex<T>]) + Sync + Send,
) {
    let (_, inner, rows, columns) = spectra.dim();
    let bins = spectra.as_slice_mut().expect("spectra are made here, in standard layout");
    bins.par_chunks_mut(rows * columns).enumerate().for_each(|(n, bins)| f(n / inner, n % inner, bins));
}

fn plane<T: Real>(spectra: &Array4<Complex<T>>, outer: usize, inner: usize) -> &[Complex<T>] {
    let (_, channels, rows, columns) = spectra.dim();
    let bins = spectra.as_slice().expect("spectra are made here, in standard layout");
    &bins[(outer * channels + inner) * rows * columns..][..rows * columns]
}

/// sum += a·b.
struct AccumulateProducts<'a, T> {
    sum: &'a mut [Complex<T>],
    a: &'a [Complex<T>],
    b: &'a [Complex<T>],
}

impl<T: Real> Kernel for AccumulateProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for ((sum, a), b) in self.sum.iter_mut().zip(self.a).zip(self.b) {
            sum.re = isa.mul_add(-a.im, b.im, isa.mul_add(a.re, b.re, sum.re));
            sum.im = isa.mul_add(a.im, b.re, isa.mul_add(a.re, b.im, sum.im));
        }
    }
}

/// sum += conj(a)·b.
struct AccumulateConjugateProducts<'a, T> {
    sum: &'a mut [Complex<T>],
    a: &'a [Complex<T>],
    b: &'a [Complex<T>],
}

impl<T: Real> Kernel for AccumulateConjugateProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for ((sum, a), b) in self.sum.iter_mut().zip(self.a).zip(self.b) {
            sum.re = isa.mul_add(a.im, b.im, isa.mul_add(a.re, b.re, sum.re));
            sum.im = isa.mul_add(-a.im, b.re, isa.mul_add(a.re, b.im, sum.im));
        }
    }
}
