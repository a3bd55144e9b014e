//! The channel mix of the spectral convolution: at each frequency a small complex matrix times vectors.

use cfconv_fft::lanes::ComplexLanes;
use cfconv_fft::simd::{Isa, Kernel};
use cfconv_fft::{Complex, Real};

use super::SpectralConvSizes;

/// Frequencies gathered at a time: channels lie `kernel_height` points apart, and runs of four points make
/// better use of what is read than single ones.
const TILE: usize = 4;

/// One column, all images of a group: mixes channels at each frequency.
///
/// With `ADJOINT = false`: `Y[o] = Σ_i K[i, o]·X[i]`; with `true`: `D[i] = Σ_o conj(K[i, o])·G[o]`.
pub(super) struct MixColumn<'a, T: Real, const ADJOINT: bool> {
    pub(super) sizes: SpectralConvSizes,
    pub(super) blocks: usize,
    pub(super) column: usize,
    /// `[blocks, channels mixed from, kernel_height]`; `None` if it is in `target`.
    pub(super) source: Option<&'a [ComplexLanes<T>]>,
    /// `[kernel_height, half_width, in_channels, out_channels]`
    pub(super) kernel: &'a [Complex<T>],
    /// `[blocks, channels mixed to, kernel_height]`, written as swapped points: an inverse transform is a
    /// forward one of swapped points. The blocks may be farther apart.
    pub(super) target: &'a mut [ComplexLanes<T>],
    pub(super) scratch: &'a mut [ComplexLanes<T>],
    /// Scratch of `in_channels·out_channels` values: the kernel at one frequency.
    pub(super) matrix: &'a mut [Complex<T>],
}

impl<T: Real, const ADJOINT: bool> MixColumn<'_, T, ADJOINT> {
    /// Points of scratch needed to mix from at most `channels` channels of at most `blocks` blocks.
    pub(super) fn scratch_len(channels: usize, blocks: usize) -> usize {
        TILE * channels * blocks
    }

    /// Mixes at all frequencies, with the sums of TARGETS channels in registers at a time.
    #[inline(always)]
    fn mix_all<I: Isa, const TARGETS: usize>(self, isa: I) {
        let Self { sizes, blocks, column, source, kernel, target, scratch, matrix } = self;
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
                // Copied at once: this is what waits for memory, and waits less in one long run.
                matrix.copy_from_slice(&kernel[(row * sizes.half_width() + column) * pairs..][..pairs]);
                for block in 0..blocks {
                    let x = &scratch[(block * TILE + row - first) * sources..][..sources];
                    let target = &mut target[block * target_stride..][..targets * kernel_height];
                    let mut outputs = target[row..].iter_mut().step_by(kernel_height);
                    let mut first = 0;
                    while targets - first >= TARGETS {
                        mix::<T, I, ADJOINT, TARGETS>(isa, x, matrix, targets, first, &mut outputs);
                        first += TARGETS;
                    }
                    if targets - first >= 2 {
                        mix::<T, I, ADJOINT, 2>(isa, x, matrix, targets, first, &mut outputs);
                        first += 2;
                    }
                    if first < targets {
                        mix::<T, I, ADJOINT, 1>(isa, x, matrix, targets, first, &mut outputs);
                    }
                }
            }
        }
    }
}

impl<T: Real, const ADJOINT: bool> Kernel for MixColumn<'_, T, ADJOINT> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // Two sums of each target, and enough of them to hide the latency of an addition; with 16 registers of half a
        // block each, eight hold sums and the others what is multiplied.
        if I::WIDE { self.mix_all::<I, 4>(isa) } else { self.mix_all::<I, 2>(isa) }
    }
}

/// `gathered[h, channel] = points[channel, first + h]`, channels `stride` points apart.
#[inline(always)]
pub(super) fn gather<T: Real>(
    points: &[ComplexLanes<T>],
    stride: usize,
    first: usize,
    tile: usize,
    gathered: &mut [ComplexLanes<T>],
) {
    let channels = gathered.len() / tile;
    for (channel, points) in points.chunks(stride).take(channels).enumerate() {
        for (h, point) in points[first..first + tile].iter().enumerate() {
            gathered[h * channels + channel] = *point;
        }
    }
}

/// Targets `first` to `first + N` of one frequency, into the next of `outputs`. `kernel` is `[sources, targets]`, of
/// the adjoint `[targets, sources]` and conjugated.
#[inline(always)]
fn mix<'a, T: Real, I: Isa, const ADJOINT: bool, const N: usize>(
    isa: I,
    x: &[ComplexLanes<T>],
    kernel: &[Complex<T>],
    targets: usize,
    first: usize,
    outputs: &mut impl Iterator<Item = &'a mut ComplexLanes<T>>,
) {
    let zero = isa.splat(T::ZERO);
    let (mut re, mut im) = ([zero; N], [zero; N]);
    if ADJOINT {
        let rows: [_; N] = std::array::from_fn(|n| &kernel[(first + n) * x.len()..][..x.len()]);
        for (source, x) in x.iter().enumerate() {
            add_products(isa, x, rows.map(|row| row[source].conj()), &mut re, &mut im);
        }
    } else {
        for (x, row) in x.iter().zip(kernel[first..].chunks(targets)) {
            add_products(isa, x, *row.first_chunk().expect("all targets are within a row"), &mut re, &mut im);
        }
    }
    for (n, point) in outputs.take(N).enumerate() {
        isa.store(re[n], &mut point.im);
        isa.store(im[n], &mut point.re);
    }
}

/// `re + i·im += k·x`, for each of N factors.
#[inline(always)]
fn add_products<T: Real, I: Isa, const N: usize>(
    isa: I,
    x: &ComplexLanes<T>,
    k: [Complex<T>; N],
    re: &mut [I::Lanes<T>; N],
    im: &mut [I::Lanes<T>; N],
) {
    let (x_re, x_im) = (isa.load(&x.re), isa.load(&x.im));
    for n in 0..N {
        let k_re = isa.splat(k[n].re);
        re[n] = isa.fma(k_re, x_re, re[n]);
        im[n] = isa.fma(k_re, x_im, im[n]);
        im[n] = isa.fma(isa.splat(k[n].im), x_re, im[n]);
        re[n] = isa.fma(isa.splat(-k[n].im), x_im, re[n]);
    }
}
