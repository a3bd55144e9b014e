//! Depthwise cross-correlation with small spatial kernels: forward, and backward to input and weights.
//!
//! A row of an image is `[W, B]`, contiguous; a tap reads the same row moved by some columns. So an output row is
//! a weighted sum of k² contiguous rows, cut where a tap leaves the image or wraps around.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, dispatch};
use rayon::prelude::*;

use super::PaddingMode;
use super::direct_conv::add_plane_sums;

/// Blocks of lanes whose sums are held in registers together.
const WIDE: usize = 4;

/// Sizes of a depthwise convolution; stride 1, output as large as the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConvSizes {
    /// Channels of input and output.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows and columns of the kernels; odd.
    pub kernel_size: usize,
    /// What lies beyond the edge.
    pub padding: PaddingMode,
}

impl DepthwiseConvSizes {
    /// Number of weights, `[channels, kernel_size, kernel_size]`.
    pub fn num_weights(&self) -> usize {
        self.channels * self.taps()
    }

    fn taps(&self) -> usize {
        self.kernel_size * self.kernel_size
    }
}

/// Columns along which every tap reads contiguous memory, or nothing.
#[derive(Clone, Debug)]
struct Run {
    start: usize,
    columns: usize,
    /// For each column of the kernel, the image's column that it reads for `start`.
    sources: Vec<Option<usize>>,
}

impl Run {
    /// Whether the next column reads what lies behind what this run reads.
    fn continues(&self, sources: &[Option<usize>]) -> bool {
        self.sources.iter().zip(sources).all(|(first, next)| first.map(|at| at + self.columns) == *next)
    }
}

/// A plan for `y[b, c, h, w] = bias[c] + Σ_{p,q} weight[c, p, q]·x[b, c, h + p − r, w + q − r]` with r = (k − 1)/2.
///
/// # Shapes
/// Images are `[C, H, W, B]`, weights `[C, k, k]`.
#[derive(Clone, Debug)]
pub struct DepthwiseConv {
    sizes: DepthwiseConvSizes,
    runs: Vec<Run>,
}

impl DepthwiseConv {
    /// Plans a convolution; every size is at least 1 and `kernel_size` odd.
    pub fn new(sizes: DepthwiseConvSizes) -> Self {
        debug_assert!(sizes.kernel_size % 2 == 1);
        let mut runs: Vec<Run> = Vec::new();
        for w in 0..sizes.width {
            let sources: Vec<_> = (0..sizes.kernel_size)
                .map(|q| sizes.padding.source(w, q, sizes.kernel_size, sizes.width))
                .collect();
            match runs.last_mut() {
                Some(run) if run.continues(&sources) => run.columns += 1,
                _ => runs.push(Run { start: w, columns: 1, sources }),
            }
        }
        Self { sizes, runs }
    }

    /// The sizes planned for.
    pub fn sizes(&self) -> DepthwiseConvSizes {
        self.sizes
    }

    /// Computes the output.
    pub fn forward<T: Real>(
        &self,
        batch: usize,
        input: &[T],
        weight: &[T],
        bias: Option<&[T]>,
        output: &mut [T],
    ) {
        self.correlate(batch, input, |c, tap| weight[c * self.sizes.taps() + tap], bias, output);
    }

    /// Computes the gradient of the input (overwritten): correlation of `grad_output` with the mirrored weights.
    pub fn backward_input<T: Real>(
        &self,
        batch: usize,
        grad_output: &[T],
        weight: &[T],
        grad_input: &mut [T],
    ) {
        let taps = self.sizes.taps();
        self.correlate(batch, grad_output, |c, tap| weight[(c + 1) * taps - 1 - tap], None, grad_input);
    }

    /// Adds the gradients of weights and bias.
    ///
    /// `grad_weight[c, p, q] += Σ_{b,h,w} grad_output[b, c, h, w]·x[b, c, h + p − r, w + q − r]`.
    pub fn backward_weight<T: Real>(
        &self,
        batch: usize,
        input: &[T],
        grad_output: &[T],
        grad_weight: &mut [T],
        grad_bias: Option<&mut [T]>,
    ) {
        debug_assert_eq!(grad_weight.len(), self.sizes.num_weights());
        let plane_len = self.sizes.height * self.sizes.width * batch;
        grad_weight
            .par_chunks_mut(self.sizes.taps())
            .zip(input.par_chunks(plane_len).zip(grad_output.par_chunks(plane_len)))
            .for_each(|(grad_weight, (input, grad_output))| {
                dispatch(AddWeightGradient { plan: self, batch, input, grad_output, grad_weight });
            });
        if let Some(grad_bias) = grad_bias {
            add_plane_sums(grad_output, plane_len, grad_bias);
        }
    }

    fn correlate<T: Real>(
        &self,
        batch: usize,
        input: &[T],
        weight: impl Fn(usize, usize) -> T + Sync,
        bias: Option<&[T]>,
        output: &mut [T],
    ) {
        let DepthwiseConvSizes { channels, height, width, kernel_size, .. } = self.sizes;
        let row_len = width * batch;
        debug_assert_eq!(input.len(), channels * height * row_len);
        debug_assert_eq!(output.len(), input.len());
        output.par_chunks_mut(row_len).enumerate().for_each_init(Vec::new, |taps, (index, output)| {
            let (c, h) = (index / height, index % height);
            let plane = &input[c * height * row_len..][..height * row_len];
            let start = bias.map_or(T::ZERO, |bias| bias[c]);
            for run in &self.runs {
                let len = run.columns * batch;
                taps.clear();
                for p in 0..kernel_size {
                    let Some(row) = self.source_row(h, p) else { continue };
                    for (q, source) in run.sources.iter().enumerate() {
                        let Some(column) = source else { continue };
                        let values = &plane[row * row_len + column * batch..][..len];
                        taps.push((weight(c, p * kernel_size + q), values));
                    }
                }
                dispatch(WeightedSum { start, taps, output: &mut output[run.start * batch..][..len] });
            }
        });
    }

    #[inline(always)]
    fn source_row(&self, h: usize, p: usize) -> Option<usize> {
        self.sizes.padding.source(h, p, self.sizes.kernel_size, self.sizes.height)
    }
}

/// `output[n] = start + Σ_t weight_t·values_t[n]`.
struct WeightedSum<'a, 'b, T> {
    start: T,
    taps: &'a [(T, &'b [T])],
    output: &'a mut [T],
}

impl<T: Real> Kernel for WeightedSum<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { start, taps, output } = self;
        let wide = output.len() / (WIDE * LANES) * WIDE * LANES;
        let full = output.len() / LANES * LANES;
        for at in (0..wide).step_by(WIDE * LANES) {
            weighted_sum::<T, I, WIDE>(isa, start, taps, at, output);
        }
        for at in (wide..full).step_by(LANES) {
            weighted_sum::<T, I, 1>(isa, start, taps, at, output);
        }
        for at in full..output.len() {
            output[at] =
                taps.iter().fold(start, |sum, (weight, values)| isa.mul_add(*weight, values[at], sum));
        }
    }
}

/// N blocks of lanes of the output from `at`.
#[inline(always)]
fn weighted_sum<T: Real, I: Isa, const N: usize>(
    isa: I,
    start: T,
    taps: &[(T, &[T])],
    at: usize,
    output: &mut [T],
) {
    let mut sums = [isa.splat(start); N];
    for (weight, values) in taps {
        let weight = isa.splat(*weight);
        let blocks = values[at..at + N * LANES].as_chunks::<LANES>().0;
        for (sum, block) in sums.iter_mut().zip(blocks) {
            *sum = isa.fma(weight, isa.load(block), *sum);
        }
    }
    let blocks = output[at..at + N * LANES].as_chunks_mut::<LANES>().0;
    for (sum, block) in sums.into_iter().zip(blocks) {
        isa.store(sum, block);
    }
}

/// The weights' gradient of one channel.
struct AddWeightGradient<'a, T> {
    plan: &'a DepthwiseConv,
    batch: usize,
    /// `[H, W, batch]`
    input: &'a [T],
    /// `[H, W, batch]`
    grad_output: &'a [T],
    /// `[k, k]`
    grad_weight: &'a mut [T],
}

impl<T: Real> Kernel for AddWeightGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, batch, input, grad_output, grad_weight } = self;
        let DepthwiseConvSizes { height, width, kernel_size, .. } = plan.sizes;
        let row_len = width * batch;
        for (tap, grad_weight) in grad_weight.iter_mut().enumerate() {
            let (p, q) = (tap / kernel_size, tap % kernel_size);
            for h in 0..height {
                let Some(row) = plan.source_row(h, p) else { continue };
                for run in &plan.runs {
                    let Some(column) = run.sources[q] else { continue };
                    let len = run.columns * batch;
                    let g = &grad_output[h * row_len + run.start * batch..][..len];
                    let x = &input[row * row_len + column * batch..][..len];
                    *grad_weight += product_sum(isa, g, x);
                }
            }
        }
    }
}

/// Σ a·b.
#[inline(always)]
fn product_sum<T: Real, I: Isa>(isa: I, a: &[T], b: &[T]) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [isa.splat(T::ZERO); WIDE];
    for (a, b) in a.chunks(WIDE).zip(b.chunks(WIDE)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = isa.fma(isa.load(a), isa.load(b), *sum);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(T::ZERO, |sum, (&a, &b)| isa.mul_add(a, b, sum));
    sums.into_iter().map(|sum| isa.sum(sum)).sum::<T>() + rest
}
