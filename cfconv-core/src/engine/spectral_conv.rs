//! Convolution with a kernel given by its spectrum: forward, and backward to input and kernel.
//!
//! Three phases, each parallel over tasks that write disjoint memory:
//!
//! 1. **rows**: real transforms along the rows of each input channel;
//! 2. **columns**: for each column of the half spectrum, transforms along it, the channel mix at each of its
//!    frequencies, and the inverse transforms, all while the column is in cache;
//! 3. **rows back**: inverse transforms along the rows of each output channel.
//!
//! The backward pass runs the same phases on the output gradient with the conjugate kernel. It has both
//! spectra of a column at hand in phase 2, where it takes the sampled dense-dense product dK at the wanted
//! positions only, so the spectrum of the output gradient is never stored.

use cfconv_fft::lanes::{LANES, LanesFft, Point, row_pair};
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use cfconv_fft::{Complex, Real};
use rayon::prelude::*;

use super::scratch_pool::ScratchPool;

/// Sizes of a spectral convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpectralConvSizes {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows of the kernel grid: `height` for circular convolution, more for zero padding.
    pub kernel_height: usize,
    /// Columns of the kernel grid before halving: `width` for circular convolution, more for zero padding.
    pub kernel_width: usize,
}

impl SpectralConvSizes {
    /// Columns of the half spectrum.
    pub fn half_width(&self) -> usize {
        self.kernel_width / 2 + 1
    }

    /// Complex values of the kernel, `[kernel_height, half_width, in_channels, out_channels]`.
    pub fn num_positions(&self) -> usize {
        self.kernel_height * self.half_width() * self.in_channels * self.out_channels
    }
}

/// A plan for convolving images with a kernel spectrum.
///
/// `y[b, o] = crop(irfft2(Σ_i rfft2(pad(x[b, i]))·K[·, ·, i, o])) + bias[o]`. With a kernel grid of the
/// image's size this is circular convolution; with a larger one the image is extended by zeros.
///
/// # Source
/// Layer: arXiv 2409.09875; gradients: docs/derivations/cf-conv.md.
#[derive(Clone, Debug)]
pub struct SpectralConv<T: Real> {
    sizes: SpectralConvSizes,
    rows: LanesFft<T>,
    columns: LanesFft<T>,
    line_pool: ScratchPool<Point<T>>,
}

/// The input's spectrum, kept by the forward pass for the backward pass:
/// points `[half_width, lane blocks, kernel_height, in_channels]`.
#[derive(Clone, Debug, Default)]
pub struct SavedSpectrum<T> {
    points: Vec<Point<T>>,
}

/// Intermediate spectra between the phases. One workspace serves any number of layers in turn; it grows to
/// the largest.
#[derive(Clone, Debug, Default)]
pub struct SpectralWorkspace<T> {
    /// After phase 1: points `[in_channels, height, half_width, lane blocks]`.
    rows: Vec<Point<T>>,
    /// After phase 2: points `[half_width, lane blocks, out_channels, height]`.
    columns: Vec<Point<T>>,
}

impl<T: Real> SpectralWorkspace<T> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.rows.capacity() + self.columns.capacity()) * size_of::<Point<T>>()
    }
}

impl<T: Real> SavedSpectrum<T> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<Point<T>>()
    }
}

impl<T: Real> SpectralConv<T> {
    /// Plans a convolution; every size is at least 1 and the kernel grid at least as large as the image.
    pub fn new(sizes: SpectralConvSizes) -> Self {
        debug_assert!(sizes.kernel_height >= sizes.height && sizes.kernel_width >= sizes.width);
        let rows = LanesFft::new(sizes.kernel_width);
        let columns = LanesFft::new(sizes.kernel_height);
        let line = sizes.kernel_height.max(sizes.kernel_width);
        let line_len = line + rows.scratch_len().max(columns.scratch_len());
        Self { sizes, rows, columns, line_pool: ScratchPool::new(line_len, Point::zero()) }
    }

    /// The sizes planned for.
    pub fn sizes(&self) -> SpectralConvSizes {
        self.sizes
    }

    /// Bytes of working memory that the plan holds between calls, besides workspace and saved spectra.
    pub fn scratch_bytes(&self) -> usize {
        self.line_pool.bytes()
    }

    /// Computes the layer's output and keeps the input's spectrum in `saved`.
    ///
    /// # Shapes
    /// `input` `[in_channels, H, W, batch]`, `kernel` `[kernel_height, half_width, in_channels,
    /// out_channels]`, `bias` `[out_channels]` if any, `output` `[out_channels, H, W, batch]`.
    pub fn forward(
        &self,
        batch: usize,
        input: &[T],
        kernel: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        saved: &mut SavedSpectrum<T>,
        workspace: &mut SpectralWorkspace<T>,
    ) {
        let sizes = self.sizes;
        let blocks = batch.div_ceil(LANES);
        debug_assert_eq!(input.len(), sizes.in_channels * sizes.height * sizes.width * batch);
        debug_assert_eq!(output.len(), sizes.out_channels * sizes.height * sizes.width * batch);
        debug_assert_eq!(kernel.len(), sizes.num_positions());
        self.transform_rows(sizes.in_channels, batch, input, &mut workspace.rows);

        let column_len = blocks * sizes.kernel_height * sizes.in_channels;
        let spectra = first_points(&mut saved.points, sizes.half_width() * column_len);
        let output_column_len = blocks * sizes.out_channels * sizes.height;
        let columns = first_points(&mut workspace.columns, sizes.half_width() * output_column_len);
        let rows = &workspace.rows;
        spectra
            .par_chunks_mut(column_len)
            .zip(columns.par_chunks_mut(output_column_len))
            .enumerate()
            .for_each(|(column, (spectrum, output))| {
                self.line_pool.with(|line| {
                    dispatch(TransformColumn {
                        plan: self,
                        channels: sizes.in_channels,
                        blocks,
                        column,
                        rows,
                        spectrum: &mut *spectrum,
                        line: &mut *line,
                    });
                    dispatch(MixColumn::<T, false> {
                        plan: self,
                        blocks,
                        column,
                        spectrum,
                        kernel,
                        output,
                        line,
                    });
                });
            });
        self.transform_rows_back(sizes.out_channels, batch, &workspace.columns, bias, output);
    }

    /// Computes the gradients of input and kernel from the gradient of the output.
    ///
    /// `grad_input = irfft2(Σ_o conj(K[·, ·, i, o])·G[o])` with `G = rfft2(grad_output)`, overwritten if
    /// wanted. `grad_kernel[u] = scale·m/(H·W)·Σ_b conj(X[b, i])·G[b, o]` at each position u (overwritten;
    /// m = multiplicity of the column, H·W the kernel grid's size).
    ///
    /// # Shapes
    /// As for [`forward`](Self::forward); `positions` sorted indices into the kernel, or `None` for every
    /// position; `grad_kernel` one value for each position. `grad_input` is skipped where `None`.
    pub fn backward(
        &self,
        batch: usize,
        grad_output: &[T],
        kernel: &[Complex<T>],
        saved: &SavedSpectrum<T>,
        positions: Option<&[u32]>,
        scale: T,
        grad_kernel: &mut [Complex<T>],
        grad_input: Option<&mut [T]>,
        workspace: &mut SpectralWorkspace<T>,
    ) {
        let sizes = self.sizes;
        let blocks = batch.div_ceil(LANES);
        debug_assert_eq!(grad_output.len(), sizes.out_channels * sizes.height * sizes.width * batch);
        debug_assert_eq!(grad_kernel.len(), positions.map_or(sizes.num_positions(), <[u32]>::len));
        self.transform_rows(sizes.out_channels, batch, grad_output, &mut workspace.rows);

        let wants_input = grad_input.is_some();
        let input_column_len = blocks * sizes.in_channels * sizes.height;
        let columns = first_points(&mut workspace.columns, sizes.half_width() * input_column_len);
        let column_len = blocks * sizes.kernel_height * sizes.out_channels;
        let saved_len = blocks * sizes.kernel_height * sizes.in_channels;
        let rows = &workspace.rows;
        let spectrum_pool = ScratchPool::new(column_len, Point::zero());
        let samples = split_by_column(&sizes, positions, grad_kernel);
        columns.par_chunks_mut(input_column_len).zip(samples).enumerate().for_each(
            |(column, (output, samples))| {
                self.line_pool.with(|line| {
                    spectrum_pool.with(|spectrum| {
                        dispatch(TransformColumn {
                            plan: self,
                            channels: sizes.out_channels,
                            blocks,
                            column,
                            rows,
                            spectrum: &mut *spectrum,
                            line: &mut *line,
                        });
                        dispatch(SampleColumn {
                            sizes,
                            blocks,
                            column,
                            input: &saved.points[column * saved_len..][..saved_len],
                            grad_output: spectrum,
                            scale,
                            samples,
                        });
                        if wants_input {
                            dispatch(MixColumn::<T, true> {
                                plan: self,
                                blocks,
                                column,
                                spectrum,
                                kernel,
                                output,
                                line,
                            });
                        }
                    });
                });
            },
        );
        if let Some(grad_input) = grad_input {
            self.transform_rows_back(sizes.in_channels, batch, &workspace.columns, None, grad_input);
        }
    }

    /// Phase 1: `rows[c, h, k, block]` from `images[c, h, ·, ·]`.
    fn transform_rows(&self, channels: usize, batch: usize, images: &[T], rows: &mut Vec<Point<T>>) {
        let SpectralConvSizes { height, width, .. } = self.sizes;
        let row_len = self.sizes.half_width() * batch.div_ceil(LANES);
        let rows = first_points(rows, channels * height * row_len);
        rows.par_chunks_mut(height * row_len).zip(images.par_chunks(height * width * batch)).for_each(
            |(rows, plane)| {
                rows.par_chunks_mut(2 * row_len).zip(plane.par_chunks(2 * width * batch)).for_each(
                    |(rows, pair)| {
                        self.line_pool.with(|line| {
                            dispatch(TransformRowPair { plan: self, batch, pair, rows, line });
                        });
                    },
                );
            },
        );
    }

    /// Phase 3: `images[c, h, ·, ·]` from `columns[k, block, c, h]`.
    fn transform_rows_back(
        &self,
        channels: usize,
        batch: usize,
        columns: &[Point<T>],
        bias: Option<&[T]>,
        images: &mut [T],
    ) {
        let SpectralConvSizes { height, width, .. } = self.sizes;
        images.par_chunks_mut(height * width * batch).enumerate().for_each(|(channel, plane)| {
            let bias = bias.map_or(T::ZERO, |bias| bias[channel]);
            plane.par_chunks_mut(2 * width * batch).enumerate().for_each(|(index, pair)| {
                self.line_pool.with(|line| {
                    dispatch(TransformRowPairBack {
                        plan: self,
                        batch,
                        channels,
                        channel,
                        row: 2 * index,
                        columns,
                        bias,
                        pair,
                        line,
                    });
                });
            });
        });
    }
}

/// The first `length` points, of any content. The vector never shrinks: layers of different sizes that take
/// turns would otherwise fill it with zeros again and again.
fn first_points<T: Real>(points: &mut Vec<Point<T>>, length: usize) -> &mut [Point<T>] {
    if points.len() < length {
        points.resize(length, Point::zero());
    }
    &mut points[..length]
}

/// Two rows (or a last single one) of one channel: real → half spectrum.
struct TransformRowPair<'a, T: Real> {
    plan: &'a SpectralConv<T>,
    batch: usize,
    /// `[1 or 2, W, batch]`
    pair: &'a [T],
    /// `[1 or 2, half_width, blocks]`
    rows: &'a mut [Point<T>],
    line: &'a mut [Point<T>],
}

impl<T: Real> Kernel for TransformRowPair<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Self { plan, batch, pair, rows, line } = self;
        let (width, kernel_width) = (plan.sizes.width, plan.sizes.kernel_width);
        let (half_width, blocks) = (plan.sizes.half_width(), batch.div_ceil(LANES));
        let (first, second) = pair.split_at(width * batch);
        let (line, scratch) = line.split_at_mut(kernel_width);
        for block in 0..blocks {
            let lanes = block * LANES..batch.min((block + 1) * LANES);
            for w in 0..width {
                let first = &first[w * batch..][lanes.clone()];
                let second = if second.is_empty() { second } else { &second[w * batch..][lanes.clone()] };
                line[w] = Point::load(first, second);
            }
            line[width..].fill(Point::zero());
            let z = plan.rows.process(line, scratch);
            let (row_a, row_b) = rows.split_at_mut(half_width * blocks);
            for k in 0..half_width {
                let (a, b) = row_pair::split(z, k);
                row_a[k * blocks + block] = a;
                if !row_b.is_empty() {
                    row_b[k * blocks + block] = b;
                }
            }
        }
    }
}

/// One column of the half spectrum, all channels and images: transforms along it.
struct TransformColumn<'a, T: Real> {
    plan: &'a SpectralConv<T>,
    channels: usize,
    blocks: usize,
    column: usize,
    /// `[channels, H, half_width, blocks]`
    rows: &'a [Point<T>],
    /// `[blocks, kernel_height, channels]`
    spectrum: &'a mut [Point<T>],
    line: &'a mut [Point<T>],
}

impl<T: Real> Kernel for TransformColumn<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Self { plan, channels, blocks, column, rows, spectrum, line } = self;
        let SpectralConvSizes { height, kernel_height, .. } = plan.sizes;
        let half_width = plan.sizes.half_width();
        let (line, scratch) = line.split_at_mut(kernel_height);
        for block in 0..blocks {
            let spectrum = &mut spectrum[block * kernel_height * channels..][..kernel_height * channels];
            for channel in 0..channels {
                for h in 0..height {
                    line[h] = rows[((channel * height + h) * half_width + column) * blocks + block];
                }
                line[height..].fill(Point::zero());
                let transformed = plan.columns.process(line, scratch);
                for (h, point) in transformed.iter().enumerate() {
                    spectrum[h * channels + channel] = *point;
                }
            }
        }
    }
}

/// One column: mixes channels at each frequency, then transforms back along the column.
///
/// With `ADJOINT = false`: `Y[o] = Σ_i K[i, o]·X[i]`; with `true`: `D[i] = Σ_o conj(K[i, o])·G[o]`.
struct MixColumn<'a, T: Real, const ADJOINT: bool> {
    plan: &'a SpectralConv<T>,
    blocks: usize,
    column: usize,
    /// `[blocks, kernel_height, channels mixed from]`
    spectrum: &'a [Point<T>],
    kernel: &'a [Complex<T>],
    /// `[blocks, channels mixed to, H]`
    output: &'a mut [Point<T>],
    line: &'a mut [Point<T>],
}

impl<T: Real, const ADJOINT: bool> Kernel for MixColumn<'_, T, ADJOINT> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, blocks, column, spectrum, kernel, output, line } = self;
        let SpectralConvSizes { in_channels, out_channels, height, kernel_height, .. } = plan.sizes;
        let half_width = plan.sizes.half_width();
        // Strides of the kernel along the index that is summed and the one that stays.
        let (sources, targets, source_stride, target_stride) = if ADJOINT {
            (out_channels, in_channels, 1, out_channels)
        } else {
            (in_channels, out_channels, out_channels, 1)
        };
        let pairs = in_channels * out_channels;
        let (line, scratch) = line.split_at_mut(kernel_height);
        for block in 0..blocks {
            let spectrum = &spectrum[block * kernel_height * sources..][..kernel_height * sources];
            for target in 0..targets {
                let target_kernel = &kernel[target * target_stride..];
                for h in 0..kernel_height {
                    let kernel = &target_kernel[(h * half_width + column) * pairs..];
                    let sources = &spectrum[h * sources..][..sources];
                    // Four independent chains of additions: two would wait for each other's latency.
                    let zero = isa.splat(T::ZERO);
                    let (mut direct_re, mut direct_im) = (zero, zero);
                    let (mut crossed_re, mut crossed_im) = (zero, zero);
                    for (s, x) in sources.iter().enumerate() {
                        let k = kernel[s * source_stride];
                        let kr = isa.splat(k.re);
                        let ki = isa.splat(if ADJOINT { -k.im } else { k.im });
                        let (re, im) = (isa.load(&x.re), isa.load(&x.im));
                        direct_re = isa.fma(kr, re, direct_re);
                        direct_im = isa.fma(kr, im, direct_im);
                        crossed_re = isa.fma(ki, im, crossed_re);
                        crossed_im = isa.fma(ki, re, crossed_im);
                    }
                    // Written swapped: an inverse transform is a forward one of swapped points.
                    isa.store(isa.sub(direct_re, crossed_re), &mut line[h].im);
                    isa.store(isa.add(direct_im, crossed_im), &mut line[h].re);
                }
                let transformed = plan.columns.process(line, scratch);
                let output = &mut output[(block * targets + target) * height..][..height];
                for (point, back) in output.iter_mut().zip(transformed.iter()) {
                    *point = back.swapped();
                }
            }
        }
    }
}

/// The sampled positions of one column: for each row h, what is wanted of dK[h, column].
type ColumnSamples<'a, T> = Vec<FrequencySamples<'a, T>>;

/// The sampled positions of one frequency.
struct FrequencySamples<'a, T> {
    row: usize,
    /// Positions of this frequency, or `None` for all channel pairs.
    positions: Option<&'a [u32]>,
    grad_kernel: &'a mut [Complex<T>],
}

/// Cuts the gradient list, sorted by frequency row first, into the parts of each column.
fn split_by_column<'a, T: Real>(
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

/// One column: the sampled product `scale·m/(H·W)·Σ_b conj(X[b, i])·G[b, o]`.
struct SampleColumn<'a, T: Real> {
    sizes: SpectralConvSizes,
    blocks: usize,
    column: usize,
    /// X: `[blocks, kernel_height, in_channels]`
    input: &'a [Point<T>],
    /// G: `[blocks, kernel_height, out_channels]`
    grad_output: &'a [Point<T>],
    scale: T,
    samples: ColumnSamples<'a, T>,
}

impl<T: Real> Kernel for SampleColumn<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, blocks, column, input, grad_output, scale, samples } = self;
        let SpectralConvSizes { in_channels, out_channels, kernel_height, kernel_width, .. } = sizes;
        let pairs = in_channels * out_channels;
        let self_conjugate = column == 0 || 2 * column == kernel_width;
        let multiplicity = if self_conjugate { T::ONE } else { T::ONE + T::ONE };
        let factor = scale * multiplicity / T::cast((kernel_height * kernel_width) as f64);
        for FrequencySamples { row, positions, grad_kernel } in samples {
            let base = (row * sizes.half_width() + column) * pairs;
            for (index, gradient) in grad_kernel.iter_mut().enumerate() {
                let pair = positions.map_or(index, |list| list[index] as usize - base);
                let (i, o) = (pair / out_channels, pair % out_channels);
                let zero = isa.splat(T::ZERO);
                let (mut re, mut im, mut minus_im) = (zero, zero, zero);
                for block in 0..blocks {
                    let x = &input[(block * kernel_height + row) * in_channels + i];
                    let g = &grad_output[(block * kernel_height + row) * out_channels + o];
                    let (xr, xi) = (isa.load(&x.re), isa.load(&x.im));
                    let (gr, gi) = (isa.load(&g.re), isa.load(&g.im));
                    re = isa.fma(xi, gi, isa.fma(xr, gr, re));
                    im = isa.fma(xr, gi, im);
                    minus_im = isa.fma(xi, gr, minus_im);
                }
                let mut lanes = Point::zero();
                isa.store(re, &mut lanes.re);
                isa.store(isa.sub(im, minus_im), &mut lanes.im);
                *gradient = Complex::new(factor * sum_lanes(&lanes.re), factor * sum_lanes(&lanes.im));
            }
        }
    }
}

/// Sums lanes pairwise, in a fixed order.
#[inline(always)]
fn sum_lanes<T: Real>(lanes: &[T; LANES]) -> T {
    let mut sums = *lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            sums[l] += sums[l + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Two rows (or a last single one) of one channel: half spectrum → real.
struct TransformRowPairBack<'a, T: Real> {
    plan: &'a SpectralConv<T>,
    batch: usize,
    channels: usize,
    channel: usize,
    row: usize,
    /// `[half_width, blocks, channels, H]`
    columns: &'a [Point<T>],
    bias: T,
    /// `[1 or 2, W, batch]`
    pair: &'a mut [T],
    line: &'a mut [Point<T>],
}

impl<T: Real> Kernel for TransformRowPairBack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, batch, channels, channel, row, columns, bias, pair, line } = self;
        let SpectralConvSizes { height, width, kernel_height, kernel_width, .. } = plan.sizes;
        let blocks = batch.div_ceil(LANES);
        let scale = T::ONE / T::cast((kernel_height * kernel_width) as f64);
        let (first, second) = pair.split_at_mut(width * batch);
        let (line, scratch) = line.split_at_mut(kernel_width);
        for block in 0..blocks {
            let lanes = block * LANES..batch.min((block + 1) * LANES);
            for k in 0..plan.sizes.half_width() {
                let column = &columns[((k * blocks + block) * channels + channel) * height..][..height];
                let b = if row + 1 < height { column[row + 1] } else { Point::zero() };
                row_pair::join(line, k, &column[row], &b);
            }
            let z = plan.rows.process(line, scratch);
            for w in 0..width {
                let mut point = z[w];
                for l in 0..LANES {
                    point.re[l] = isa.mul_add(scale, point.re[l], bias);
                    point.im[l] = isa.mul_add(scale, point.im[l], bias);
                }
                let first = &mut first[w * batch..][lanes.clone()];
                cfconv_fft::lanes::store_lanes(&point.im, first);
                if !second.is_empty() {
                    cfconv_fft::lanes::store_lanes(&point.re, &mut second[w * batch..][lanes.clone()]);
                }
            }
        }
    }
}
