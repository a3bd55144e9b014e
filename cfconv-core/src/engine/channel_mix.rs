//! The channel mix of the spectral convolution: at each frequency a small complex matrix times vectors.

use cfconv_fft::lanes::Point;
use cfconv_fft::simd::{Isa, Kernel};
use cfconv_fft::{Complex, Real};

use super::SpectralConvSizes;

/// Frequencies gathered at a time: channels lie `kernel_height` points apart, and runs of four points make
/// better use of what is read than single ones.
const TILE: usize = 4;

/// Target channels whose sums are held in registers together: with 16 registers of half a block each, 12
/// hold sums and the other four what is multiplied.
const TARGETS: usize = 3;

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
}

impl<T: Real, const ADJOINT: bool> MixColumn<'_, T, ADJOINT> {
    /// Points of scratch needed to mix from at most `channels` channels.
    pub(super) fn scratch_len(channels: usize) -> usize {
        TILE * channels
    }
}

impl<T: Real, const ADJOINT: bool> Kernel for MixColumn<'_, T, ADJOINT> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, blocks, column, source, kernel, target, scratch } = self;
        let SpectralConvSizes { in_channels, out_channels, kernel_height, .. } = sizes;
        let (sources, targets) =
            if ADJOINT { (out_channels, in_channels) } else { (in_channels, out_channels) };
        let pairs = in_channels * out_channels;
        let target_stride = target.len() / blocks;
        for first in (0..kernel_height).step_by(TILE) {
            let tile = TILE.min(kernel_height - first);
            for block in 0..blocks {
                let gathered = &mut scratch[..tile * sources];
                let from = match source {
                    Some(source) => &source[block * (source.len() / blocks)..],
                    None => &target[block * target_stride..],
                };
                gather(from, kernel_height, first, tile, gathered);
                let target = &mut target[block * target_stride..][..targets * kernel_height];
                for (h, x) in gathered.chunks_exact(sources).enumerate() {
                    let row = first + h;
                    let kernel = &kernel[(row * sizes.half_width() + column) * pairs..][..pairs];
                    let target = &mut target[row..];
                    let mut t = 0;
                    while t + TARGETS <= targets {
                        mix::<T, I, ADJOINT, TARGETS>(isa, x, kernel, (t, targets), kernel_height, target);
                        t += TARGETS;
                    }
                    match targets - t {
                        1 => mix::<T, I, ADJOINT, 1>(isa, x, kernel, (t, targets), kernel_height, target),
                        2 => mix::<T, I, ADJOINT, 2>(isa, x, kernel, (t, targets), kernel_height, target),
                        _ => {}
                    }
                }
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

/// Targets t … t + N − 1 of one frequency, `stride` points apart.
#[inline(always)]
fn mix<T: Real, I: Isa, const ADJOINT: bool, const N: usize>(
    isa: I,
    x: &[Point<T>],
    kernel: &[Complex<T>],
    (t, targets): (usize, usize),
    stride: usize,
    target: &mut [Point<T>],
) {
    let zero = isa.splat(T::ZERO);
    let (mut re, mut im) = ([zero; N], [zero; N]);
    // With ADJOINT the kernel is [target, source], else [source, target].
    let rows: [&[Complex<T>]; N] =
        std::array::from_fn(|n| if ADJOINT { &kernel[(t + n) * x.len()..][..x.len()] } else { &[] });
    for (s, x) in x.iter().enumerate() {
        let k: [Complex<T>; N] = if ADJOINT {
            std::array::from_fn(|n| rows[n][s].conj())
        } else {
            let row = &kernel[s * targets + t..][..N];
            std::array::from_fn(|n| row[n])
        };
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
    for n in 0..N {
        let point = &mut target[(t + n) * stride];
        isa.store(re[n], &mut point.im);
        isa.store(im[n], &mut point.re);
    }
}
