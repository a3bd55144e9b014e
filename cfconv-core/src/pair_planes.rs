//! Transforms of arrays whose innermost axis is the channel pair: pairs are the lanes.

use std::ops::Range;

use cfconv_fft::lanes::{LANES, LanesRfft2};
use cfconv_fft::{Complex, Real};
use rayon::prelude::*;

/// Blocks of channel pairs transformed together: bounds the planes in memory, and feeds as many threads.
const GROUP: usize = 16;

/// Transforms `[H, Wr, pairs]` half spectra, column q times `factor(q)`, to planes, and gives each block of
/// channel pairs with its plane `[H, W, block]` to `write`, in order.
pub(crate) fn inverse_planes<T: Real>(
    plan: &LanesRfft2<T>,
    pairs: usize,
    spectra: &[Complex<T>],
    scale: T,
    factor: impl Fn(usize) -> T + Sync,
    mut write: impl FnMut(Range<usize>, &[T]),
) {
    let half_width = plan.half_width();
    let bins = plan.height() * half_width;
    let pixels = plan.height() * plan.width();
    for_each_group(pairs, |group| {
        let planes: Vec<_> = group
            .into_par_iter()
            .map_init(
                || (plan.scratch(), vec![T::zero(); bins * 2 * LANES]),
                |(scratch, spectrum), block| {
                    let range = block_range(block, pairs);
                    let lanes = range.len();
                    // [bins, pairs] complex → [bins, 2, lanes].
                    for bin in 0..bins {
                        let factor = factor(bin % half_width);
                        let (re, im) = spectrum[bin * 2 * lanes..][..2 * lanes].split_at_mut(lanes);
                        for (lane, value) in spectra[bin * pairs..][range.clone()].iter().enumerate() {
                            re[lane] = value.re * factor;
                            im[lane] = value.im * factor;
                        }
                    }
                    let mut plane = vec![T::zero(); pixels * lanes];
                    plan.inverse(lanes, &spectrum[..bins * 2 * lanes], &mut plane, scale, scratch);
                    (range, plane)
                },
            )
            .collect();
        for (range, plane) in planes {
            write(range, &plane);
        }
    });
}

/// Transforms planes, given pixel by pixel by `read(pixel, block of channel pairs, values)`, to half spectra
/// `[H, Wr, pairs]`, column q times `factor(q)`.
pub(crate) fn forward_planes<T: Real>(
    plan: &LanesRfft2<T>,
    pairs: usize,
    read: impl Fn(usize, Range<usize>, &mut [T]) + Sync,
    scale: T,
    factor: impl Fn(usize) -> T + Sync,
    spectra: &mut [Complex<T>],
) {
    let half_width = plan.half_width();
    let bins = plan.height() * half_width;
    let pixels = plan.height() * plan.width();
    for_each_group(pairs, |group| {
        let blocks: Vec<_> = group
            .into_par_iter()
            .map_init(
                || (plan.scratch(), vec![T::zero(); pixels * LANES]),
                |(scratch, plane), block| {
                    let range = block_range(block, pairs);
                    let lanes = range.len();
                    for pixel in 0..pixels {
                        read(pixel, range.clone(), &mut plane[pixel * lanes..][..lanes]);
                    }
                    let mut spectrum = vec![T::zero(); bins * 2 * lanes];
                    plan.forward(lanes, &plane[..pixels * lanes], &mut spectrum, scale, scratch);
                    (range, spectrum)
                },
            )
            .collect();
        spectra.par_chunks_exact_mut(pairs).enumerate().for_each(|(bin, values)| {
            let factor = factor(bin % half_width);
            for (range, spectrum) in &blocks {
                let lanes = range.len();
                let (re, im) = spectrum[bin * 2 * lanes..][..2 * lanes].split_at(lanes);
                for (lane, value) in values[range.clone()].iter_mut().enumerate() {
                    *value = Complex::new(re[lane] * factor, im[lane] * factor);
                }
            }
        });
    });
}

/// Calls `work` with the numbers of [`GROUP`] blocks of channel pairs at a time.
fn for_each_group(pairs: usize, mut work: impl FnMut(Range<usize>)) {
    let blocks = pairs.div_ceil(LANES);
    for start in (0..blocks).step_by(GROUP) {
        work(start..blocks.min(start + GROUP));
    }
}

/// The channel pairs of a block.
fn block_range(block: usize, pairs: usize) -> Range<usize> {
    block * LANES..pairs.min((block + 1) * LANES)
}
