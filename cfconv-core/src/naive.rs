//! The layer by its definition: explicit sums in `f64`, slow, without any code of the fast path. Transforms
//! are those of `cfconv_fft::naive`, kernel values those of `cfconv_mlp::naive`.
//!
//! Every fast path must equal these functions. They are public so that other implementations (devices, other
//! languages' bindings) can be proved against the same truth.

use cfconv_fft::{Complex, FftNorm, naive};
use ndarray::{Array2, Array4, ArrayView1, ArrayView4, s};

use crate::engine::PaddingMode;

/// Convolves images with a kernel given by its half spectrum.
///
/// ```text
/// X[b, i, p, q] = Σ_{h,w} x[b, i, h, w]·exp(−2πi(ph/P + qw/Q))            images extended by zeros to P×Q
/// y[b, o, h, w] = bias[o] + 1/(P·Q)·Σ_{p,q} m(q)·Re(Σ_i X·K[p, q, i, o]·exp(2πi(ph/P + qw/Q)))
/// ```
///
/// The real part is the inverse transform of the Hermitian extension, and drops the anti-Hermitian part of
/// the self-conjugate columns, as `irfft2` is defined to do.
///
/// # Shapes
/// `input` `[B, Cin, H, W]`, `kernel` `[P, Q/2 + 1, Cin, Cout]`, `bias` `[Cout]`, `torus_width` Q. Returns
/// `[B, Cout, H, W]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn spectral_convolution(
    input: ArrayView4<f64>,
    kernel: ArrayView4<Complex<f64>>,
    torus_width: usize,
    bias: Option<ArrayView1<f64>>,
) -> Array4<f64> {
    let (batch, in_channels, height, width) = input.dim();
    let (torus_height, half_width, kernel_in, out_channels) = kernel.dim();
    assert_eq!((kernel_in, half_width), (in_channels, torus_width / 2 + 1));
    assert!(torus_height >= height && torus_width >= width);
    let mut output = Array4::zeros((batch, out_channels, height, width));
    for (images, mut results) in input.outer_iter().zip(output.outer_iter_mut()) {
        let spectra: Vec<_> = images
            .outer_iter()
            .map(|image| {
                let mut plane = Array2::zeros((torus_height, torus_width));
                plane.slice_mut(s![..height, ..width]).assign(&image);
                naive::rfft2(plane.view(), FftNorm::Backward)
            })
            .collect();
        for (o, mut result) in results.outer_iter_mut().enumerate() {
            let mixed = Array2::from_shape_fn((torus_height, half_width), |(p, q)| {
                (0..in_channels).map(|i| spectra[i][[p, q]] * kernel[[p, q, i, o]]).sum::<Complex<f64>>()
            });
            let plane = naive::irfft2(mixed.view(), torus_width, FftNorm::Backward);
            result.assign(&plane.slice(s![..height, ..width]));
        }
    }
    add_bias(&mut output, bias);
    output
}

/// Convolves images with spatial taps: `y[b, o, h, w] = bias[o] + Σ_{i,r,s} t[i, o, r, s]·x[b, i, h − r, w − s]`.
///
/// # Shapes
/// `input` `[B, Cin, H, W]`, `taps` `[k, k, Cin, Cout]` for the offsets −(k − 1)/2 … (k − 1)/2 in that order,
/// k odd, `bias` `[Cout]`. Returns `[B, Cout, H, W]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn spatial_convolution(
    input: ArrayView4<f64>,
    taps: ArrayView4<f64>,
    padding: PaddingMode,
    bias: Option<ArrayView1<f64>>,
) -> Array4<f64> {
    let (batch, in_channels, height, width) = input.dim();
    let (rows, columns, kernel_in, out_channels) = taps.dim();
    assert!(rows % 2 == 1 && columns % 2 == 1 && kernel_in == in_channels);
    let source = |at: usize, tap: usize, taps: usize, extent: usize| {
        let from = at as isize - (tap as isize - (taps / 2) as isize);
        match padding {
            PaddingMode::Circular => Some(from.rem_euclid(extent as isize) as usize),
            PaddingMode::Zeros => (0..extent as isize).contains(&from).then_some(from as usize),
        }
    };
    let mut output = Array4::zeros((batch, out_channels, height, width));
    for ((b, o, h, w), value) in output.indexed_iter_mut() {
        for r in 0..rows {
            for s in 0..columns {
                if let (Some(y), Some(x)) = (source(h, r, rows, height), source(w, s, columns, width)) {
                    for i in 0..in_channels {
                        *value += taps[[r, s, i, o]] * input[[b, i, y, x]];
                    }
                }
            }
        }
    }
    add_bias(&mut output, bias);
    output
}

/// The spatial taps of a half spectrum, offsets −(H − 1)/2 … in order, by the inverse transform's sum.
///
/// # Shapes
/// `kernel` `[H, W/2 + 1, Cin, Cout]`, H and `width` W odd. Returns `[H, W, Cin, Cout]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn centred_taps(kernel: ArrayView4<Complex<f64>>, width: usize) -> Array4<f64> {
    let (height, half_width, in_channels, out_channels) = kernel.dim();
    assert!(height % 2 == 1 && width % 2 == 1 && half_width == width / 2 + 1);
    let mut taps = Array4::zeros((height, width, in_channels, out_channels));
    for i in 0..in_channels {
        for o in 0..out_channels {
            let plane = naive::irfft2(kernel.slice(s![.., .., i, o]), width, FftNorm::Backward);
            for ((h, w), &tap) in plane.indexed_iter() {
                taps[[(h + height / 2) % height, (w + width / 2) % width, i, o]] = tap;
            }
        }
    }
    taps
}

/// The kernel, or the taps, of a depthwise convolution as those of one that mixes channels: `[…, c, c]` is the
/// depthwise value of channel c, everything else is zero.
///
/// # Shapes
/// `depthwise` `[P, Q, C, 1]`. Returns `[P, Q, C, C]`.
///
/// # Panics
/// If the last axis is not 1.
pub fn without_mixing<V: Copy + Default>(depthwise: ArrayView4<V>) -> Array4<V> {
    let (rows, columns, channels, one) = depthwise.dim();
    assert_eq!(one, 1);
    Array4::from_shape_fn((rows, columns, channels, channels), |(p, q, i, o)| {
        if i == o { depthwise[[p, q, i, 0]] } else { V::default() }
    })
}

fn add_bias(output: &mut Array4<f64>, bias: Option<ArrayView1<f64>>) {
    if let Some(bias) = bias {
        for ((_, o, _, _), value) in output.indexed_iter_mut() {
            *value += bias[o];
        }
    }
}
