//! The sampled product of two spectra: the kernel's gradient at the positions that are wanted.

use cfconv_fft::lanes::{ComplexLanes, LANES};
use cfconv_fft::simd::{Isa, Kernel};
use cfconv_fft::{Complex, Real};

use super::SpectralConvSizes;
use super::channel_mix::gather;

/// Where at least one of this many channel pairs is wanted, all pairs of the frequency are computed together:
/// that costs about six times less for each than one at a time.
const DENSE_FROM: usize = 6;

/// Rows of the dense product whose sums are held in registers together, twice as many with 32 registers of a block.
const ROWS: usize = 3;

/// The sampled positions of one column: for each row h, what is wanted of dK[h, column].
pub(super) type ColumnSamples<'a, T> = Vec<FrequencySamples<'a, T>>;

/// The sampled positions of one frequency.
pub(super) struct FrequencySamples<'a, T> {
    row: usize,
    /// Positions of this frequency, or `None` for all channel pairs.
    positions: Option<&'a [u32]>,
    grad_kernel: &'a mut [Complex<T>],
}

/// Cuts the gradient list, sorted by frequency row first, into the parts of each column.
pub(super) fn split_by_column<'a, T: Real>(
    sizes: &SpectralConvSizes,
    positions: Option<&'a [u32]>,
    grad_kernel: &'a mut [Complex<T>],
) -> Vec<ColumnSamples<'a, T>> {
    let half_width = sizes.half_width();
    let pairs = sizes.in_channels * sizes.out_channels;
    let mut columns: Vec<ColumnSamples<'a, T>> = (0..half_width).map(|_| Vec::new()).collect();
    let mut rest_positions = positions;
    let mut rest = grad_kernel;
    for frequency in 0..sizes.kernel_height * half_width {
        let count = match rest_positions {
            None => pairs,
            Some(list) => list.partition_point(|&u| (u as usize) < (frequency + 1) * pairs),
        };
        if count == 0 {
            continue;
        }
        let (grad_kernel, tail) = std::mem::take(&mut rest).split_at_mut(count);
        rest = tail;
        let positions = rest_positions.map(|list| &list[..count]);
        rest_positions = rest_positions.map(|list| &list[count..]);
        let row = frequency / half_width;
        columns[frequency % half_width].push(FrequencySamples { row, positions, grad_kernel });
    }
    columns
}

/// One column, all images of a group: `scale·Σ_b conj(X[b, i])·G[b, o]`.
pub(super) struct SampleColumn<'a, 's, T: Real> {
    pub(super) sizes: SpectralConvSizes,
    pub(super) blocks: usize,
    pub(super) column: usize,
    /// X: `[blocks, in_channels, kernel_height]`
    pub(super) input: &'a [ComplexLanes<T>],
    /// G: `[blocks, out_channels, kernel_height]`; the blocks may be farther apart.
    pub(super) grad_output: &'a [ComplexLanes<T>],
    pub(super) scale: T,
    pub(super) samples: &'a mut ColumnSamples<'s, T>,
    /// Whether to add to what earlier groups gave.
    pub(super) accumulate: bool,
    pub(super) scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> SampleColumn<'_, '_, T> {
    /// Points of scratch needed for groups of at most `blocks` blocks.
    pub(super) fn scratch_len(sizes: &SpectralConvSizes, blocks: usize) -> usize {
        let images = blocks * LANES;
        let parts = sizes.out_channels.div_ceil(LANES);
        blocks * sizes.in_channels + sizes.out_channels + images * parts + sizes.in_channels * parts
    }
}

impl<T: Real> Kernel for SampleColumn<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, blocks, column, input, grad_output, scale, samples, accumulate, scratch } = self;
        let SpectralConvSizes { in_channels, out_channels, kernel_height, .. } = sizes;
        let pairs = in_channels * out_channels;
        let write = |target: &mut Complex<T>, re: T, im: T| {
            let value = Complex::new(scale * re, scale * im);
            *target = if accumulate { *target + value } else { value };
        };
        for FrequencySamples { row, positions, grad_kernel } in samples.iter_mut() {
            let base = (*row * sizes.half_width() + column) * pairs;
            if DENSE_FROM * grad_kernel.len() >= pairs {
                let product = dense(isa, &sizes, blocks, *row, input, grad_output, scratch);
                // product: [parts of out_channels, in_channels]
                match positions {
                    None => {
                        for (i, gradients) in grad_kernel.chunks_exact_mut(out_channels).enumerate() {
                            for (part, gradients) in gradients.chunks_mut(LANES).enumerate() {
                                let sums = &product[part * in_channels + i];
                                for (l, gradient) in gradients.iter_mut().enumerate() {
                                    write(gradient, sums.re[l], sums.im[l]);
                                }
                            }
                        }
                    }
                    Some(list) => {
                        for (gradient, &position) in grad_kernel.iter_mut().zip(*list) {
                            let pair = position as usize - base;
                            let (i, o) = (pair / out_channels, pair % out_channels);
                            let sums = &product[o / LANES * in_channels + i];
                            write(gradient, sums.re[o % LANES], sums.im[o % LANES]);
                        }
                    }
                }
                continue;
            }
            // Fewer positions than pairs, so there is a list.
            for (gradient, &position) in grad_kernel.iter_mut().zip(positions.iter().copied().flatten()) {
                let pair = position as usize - base;
                let (i, o) = (pair / out_channels, pair % out_channels);
                let zero = isa.splat(T::ZERO);
                let (mut re, mut im, mut minus_im) = (zero, zero, zero);
                for block in 0..blocks {
                    let x = &input[(block * in_channels + i) * kernel_height + *row];
                    let g = &grad_output[block * (grad_output.len() / blocks) + o * kernel_height + *row];
                    let (xr, xi) = (isa.load(&x.re), isa.load(&x.im));
                    let (gr, gi) = (isa.load(&g.re), isa.load(&g.im));
                    re = isa.fma(xi, gi, isa.fma(xr, gr, re));
                    im = isa.fma(xr, gi, im);
                    minus_im = isa.fma(xi, gr, minus_im);
                }
                write(gradient, isa.sum(re), isa.sum(isa.sub(im, minus_im)));
            }
        }
    }
}

/// `Σ_b conj(X[b, i])·G[b, o]` of one frequency for all pairs: `[⌈out_channels/LANES⌉, in_channels]`, lanes
/// are output channels. Sums over images then run along registers, not across lanes.
#[inline(always)]
fn dense<'a, T: Real, I: Isa>(
    isa: I,
    sizes: &SpectralConvSizes,
    blocks: usize,
    row: usize,
    input: &[ComplexLanes<T>],
    grad_output: &[ComplexLanes<T>],
    scratch: &'a mut [ComplexLanes<T>],
) -> &'a [ComplexLanes<T>] {
    let SpectralConvSizes { in_channels, out_channels, kernel_height, .. } = *sizes;
    let (parts, images) = (out_channels.div_ceil(LANES), blocks * LANES);
    let (x, scratch) = scratch.split_at_mut(blocks * in_channels);
    let (gathered, scratch) = scratch.split_at_mut(out_channels);
    let (g, product) = scratch.split_at_mut(parts * images);
    for block in 0..blocks {
        let x = &mut x[block * in_channels..][..in_channels];
        gather(&input[block * in_channels * kernel_height..], kernel_height, row, 1, x);
        gather(&grad_output[block * (grad_output.len() / blocks)..], kernel_height, row, 1, gathered);
        // g: [parts, images], lanes are output channels.
        for (part, channels) in gathered.chunks(LANES).enumerate() {
            let g = &mut g[part * images + block * LANES..][..LANES];
            if channels.len() == LANES {
                let (source, target) = (bytemuck::cast_slice(channels), bytemuck::cast_slice_mut(g));
                for part in [0, LANES] {
                    isa.transpose::<T>((&source[part..], 2 * LANES), (&mut target[part..], 2 * LANES));
                }
                continue;
            }
            for b in 0..LANES {
                for (o, channel) in channels.iter().enumerate() {
                    g[b].re[o] = channel.re[b];
                    g[b].im[o] = channel.im[b];
                }
            }
        }
    }
    for part in 0..parts {
        let g = &g[part * images..][..images];
        let product = &mut product[part * in_channels..][..in_channels];
        let mut i = 0;
        if I::WIDE {
            while i + 2 * ROWS <= in_channels {
                dense_rows::<T, I, { 2 * ROWS }>(isa, (x, in_channels), i, g, product);
                i += 2 * ROWS;
            }
        }
        while i + ROWS <= in_channels {
            dense_rows::<T, I, ROWS>(isa, (x, in_channels), i, g, product);
            i += ROWS;
        }
        match in_channels - i {
            1 => dense_rows::<T, I, 1>(isa, (x, in_channels), i, g, product),
            2 => dense_rows::<T, I, 2>(isa, (x, in_channels), i, g, product),
            _ => {}
        }
    }
    product
}

/// Input channels i … i + N − 1 of the dense product, one part of the output channels.
#[inline(always)]
fn dense_rows<T: Real, I: Isa, const N: usize>(
    isa: I,
    (x, in_channels): (&[ComplexLanes<T>], usize),
    i: usize,
    g: &[ComplexLanes<T>],
    product: &mut [ComplexLanes<T>],
) {
    let zero = isa.splat(T::ZERO);
    let (mut re, mut im) = ([zero; N], [zero; N]);
    for (x, g) in x.chunks_exact(in_channels).zip(g.as_chunks::<LANES>().0) {
        let x = &x[i..][..N];
        for (b, g) in g.iter().enumerate() {
            let (g_re, g_im) = (isa.load(&g.re), isa.load(&g.im));
            for n in 0..N {
                let (x_re, x_im) = (isa.splat(x[n].re[b]), isa.splat(x[n].im[b]));
                re[n] = isa.fma(x_re, g_re, re[n]);
                im[n] = isa.fma(x_re, g_im, im[n]);
                re[n] = isa.fma(x_im, g_im, re[n]);
                im[n] = isa.fma(isa.splat(-x[n].im[b]), g_re, im[n]);
            }
        }
    }
    for n in 0..N {
        isa.store(re[n], &mut product[i + n].re);
        isa.store(im[n], &mut product[i + n].im);
    }
}
