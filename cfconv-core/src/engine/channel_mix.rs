//! The channel mix of the spectral convolution: at each frequency a small complex matrix times vectors.

use cfconv_fft::lanes::Point;
use cfconv_fft::simd::{Isa, Kernel};
use cfconv_fft::{Complex, Real};

use super::SpectralConvSizes;

/// Frequencies gathered at a time: channels lie `kernel_height` points apart, and runs of four points make
/// better use of what is read than single ones.
const TILE: usize = 4;

/// Target channels whose sums are held in registers together: with 16 registers of half a block each, eight
/// hold sums and the others what is multiplied.
const TARGETS: usize = 2;

/// One column, all images of a group: mixes channels at each frequency.
///
/// With `ADJOINT = false`: `Y[o] = Σ_i K[i, o]·X[i]`; with `true`: `D[i] = Σ_o conj(K[i, o])·G[o]`.
pub(super) struct MixColumn<'a, T: Real, const ADJOINT: bool> {
    pub(super) sizes: SpectralConvSizes,
    pub(super) blocks: usize,
    pub(super) column: usize,
    /// `[blocks, channels mixed from, kernel_height]`; `None` if it is in `target`.
    pub(super) source: Option<&'a [Point<T>]>,
    /// `[kernel_height, half_width, in_channels, out_channels]`
    pub(super) kernel: &'a [Complex<T>],
    /// `[blocks, channels mixed to, kernel_height]`, written as swapped points: an inverse transform is a
    /// forward one of swapped points. The blocks may be farther apart.
    pub(super) target: &'a mut [Point<T>],
    pub(super) scratch: &'a mut [Point<T>],
    /// `in_channels·out_channels` values of scratch.
    pub(super) packed: &'a mut [Complex<T>],
}

impl<T: Real, const ADJOINT: bool> MixColumn<'_, T, ADJOINT> {
    /// Points of scratch needed to mix from at most `channels` channels of at most `blocks` blocks.
    pub(super) fn scratch_len(channels: usize, blocks: usize) -> usize {
        TILE * channels * blocks
    }
}

impl<T: Real, const ADJOINT: bool> Kernel for MixColumn<'_, T, ADJOINT> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, blocks, column, source, kernel, target, scratch, packed } = self;
        let SpectralConvSizes { in_channels, out_channels, kernel_height, .. } = sizes;
        let (sources, targets) =
            if ADJOINT { (out_channels, in_channels) } else { (in_channels, out_channels) };
        let pairs = in_channels * out_channels;
        let target_stride = target.len() / blocks;
        for first in (0..kernel_height).step_by(TILE) {
            let tile = TILE.min(kernel_height - first);
            for block in 0..blocks {
                let gathered = &mut scratch[block * TILE * sources..][..tile * sources];
                let from = match source {
                    Some(source) => &source[block * (source.len() / blocks)..],
                    None => &target[block * target_stride..],
                };
                gather(from, kernel_height, first, tile, gathered);
            }
            for row in first..first + tile {
                let kernel = &kernel[(row * sizes.half_width() + column) * pairs..][..pairs];
                pack::<T, ADJOINT>(kernel, (sources, targets), packed);
                for block in 0..blocks {
                    let x = &scratch[(block * TILE + row - first) * sources..][..sources];
                    let target = &mut target[block * target_stride..][..targets * kernel_height];
                    let mut targets = target[row..].iter_mut().step_by(kernel_height);
                    let (pairs, single) = packed.split_at(targets.len() / TARGETS * TARGETS * sources);
                    for kernel in pairs.chunks_exact(TARGETS * sources) {
                        mix::<T, I, TARGETS>(isa, x, kernel, &mut targets);
                    }
                    if !single.is_empty() {
                        mix::<T, I, 1>(isa, x, single, &mut targets);
                    }
                }
            }
        }
    }
}

/// The matrix of one frequency as the inner loop reads it: `[⌈targets/TARGETS⌉, sources, TARGETS]`, the last
/// group perhaps narrower. Reads memory in order, which the inner loop would not.
#[inline(always)]
fn pack<T: Real, const ADJOINT: bool>(
    kernel: &[Complex<T>],
    (sources, targets): (usize, usize),
    packed: &mut [Complex<T>],
) {
    if ADJOINT {
        // kernel: [targets, sources]
        for (group, rows) in kernel.chunks(TARGETS * sources).enumerate() {
            let width = rows.len() / sources;
            let packed = &mut packed[group * TARGETS * sources..][..rows.len()];
            for (n, row) in rows.chunks_exact(sources).enumerate() {
                for (value, k) in packed[n..].iter_mut().step_by(width).zip(row) {
                    *value = k.conj();
                }
            }
        }
    } else {
        // kernel: [sources, targets]
        for (s, row) in kernel.chunks_exact(targets).enumerate() {
            for (group, values) in row.chunks(TARGETS).enumerate() {
                packed[group * TARGETS * sources + s * values.len()..][..values.len()]
                    .copy_from_slice(values);
            }
        }
    }
}

/// `gathered[h, channel] = points[channel, first + h]`, channels `stride` points apart.
#[inline(always)]
pub(super) fn gather<T: Real>(
    points: &[Point<T>],
    stride: usize,
    first: usize,
    tile: usize,
    gathered: &mut [Point<T>],
) {
    let channels = gathered.len() / tile;
    for (channel, points) in points.chunks(stride).take(channels).enumerate() {
        for (h, point) in points[first..first + tile].iter().enumerate() {
            gathered[h * channels + channel] = *point;
        }
    }
}

/// The next N targets of one frequency; `kernel` is `[sources, N]`.
#[inline(always)]
fn mix<'a, T: Real, I: Isa, const N: usize>(
    isa: I,
    x: &[Point<T>],
    kernel: &[Complex<T>],
    targets: &mut impl Iterator<Item = &'a mut Point<T>>,
) {
    let zero = isa.splat(T::ZERO);
    let (mut re, mut im) = ([zero; N], [zero; N]);
    for (x, k) in x.iter().zip(kernel.as_chunks::<N>().0) {
        let (x_re, x_im) = (isa.load(&x.re), isa.load(&x.im));
        for n in 0..N {
            let k_re = isa.splat(k[n].re);
            let k_im = isa.splat(k[n].im);
            re[n] = isa.fma(k_re, x_re, re[n]);
            im[n] = isa.fma(k_re, x_im, im[n]);
            im[n] = isa.fma(k_im, x_re, im[n]);
            re[n] = isa.fma(isa.splat(-k[n].im), x_im, re[n]);
        }
    }
    for (n, point) in targets.take(N).enumerate() {
        isa.store(re[n], &mut point.im);
        isa.store(im[n], &mut point.re);
    }
}
