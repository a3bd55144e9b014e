//! Cross-correlation with small spatial kernels: forward, and backward to input and weights.
//!
//! The forward pass keeps k packed input rows of 16 images in cache, padded at their ends, with the channels
//! of a pixel side by side. The inner loop then runs along contiguous memory and multiplies 16 images by the
//! weights of four output channels, at one pixel or, with the registers of AVX-512, at four. The backward pass
//! to the input is the forward pass with mirrored, transposed weights; the one to the weights is a matrix
//! product for each tap and row.

use cfconv_fft::Real;
use cfconv_fft::lanes::{LANES, load_lanes, store_register};
use cfconv_fft::simd::{AlignedLanes, Isa, Kernel, dispatch};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::scratch_pool::ScratchPool;

/// Output channels whose sums are held in registers together, of one pixel or of some adjacent ones.
const OUT_BLOCK: usize = 4;

/// Adjacent pixels whose sums are held in registers together, where there are 32 registers of a block.
const PIXELS: usize = 4;

/// Output rows of one parallel task. The backward pass to the weights adds one partial sum a task, so this
/// also fixes the order of its additions.
const ROWS_PER_TASK: usize = 4;

/// What lies beyond the edge of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingMode {
    /// The image again: it is a torus.
    #[default]
    Circular,
    /// Zeros.
    Zeros,
}

impl PaddingMode {
    /// Row or column that a tap reads, `at + tap − (k−1)/2`, or `None` beyond a zero-padded edge.
    #[inline(always)]
    pub(super) fn source(self, at: usize, tap: usize, kernel_size: usize, extent: usize) -> Option<usize> {
        let shifted = at as isize + tap as isize - (kernel_size / 2) as isize;
        match self {
            Self::Circular => Some(shifted.rem_euclid(extent as isize) as usize),
            Self::Zeros => (0..extent as isize).contains(&shifted).then_some(shifted as usize),
        }
    }
}

/// Sizes of a direct convolution; stride 1, output as large as the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectConvSizes {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows and columns of the kernel; odd.
    pub kernel_size: usize,
    /// What lies beyond the edge.
    pub padding: PaddingMode,
}

impl DirectConvSizes {
    /// Number of weights, `[out_channels, in_channels, kernel_size, kernel_size]`.
    pub fn num_weights(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel_size * self.kernel_size
    }

    /// Row or column that a tap reads, or `None` beyond a zero-padded edge.
    #[inline(always)]
    fn source(&self, at: usize, tap: usize, size: usize) -> Option<usize> {
        self.padding.source(at, tap, self.kernel_size, size)
    }
}

/// A plan for `y[b, o, h, w] = bias[o] + Σ_{i,p,q} weight[o, i, p, q]·x[b, i, h + p − r, w + q − r]` with
/// r = (k − 1)/2.
///
/// # Shapes
/// Images are `[C, H, W, B]`, weights `[out_channels, in_channels, k, k]`.
#[derive(Clone, Debug)]
pub struct DirectConv<T: Real> {
    sizes: DirectConvSizes,
    row_pool: ScratchPool<AlignedLanes<T>>,
    grad_row_pool: ScratchPool<AlignedLanes<T>>,
}

impl<T: Real> DirectConv<T> {
    /// Plans a convolution; every size is at least 1 and `kernel_size` odd.
    pub fn new(sizes: DirectConvSizes) -> Self {
        debug_assert!(sizes.kernel_size % 2 == 1);
        let packed = |channels: usize| {
            let row_len = (sizes.width + sizes.kernel_size - 1) * channels;
            ScratchPool::new(sizes.kernel_size * row_len, AlignedLanes::ZERO)
        };
        Self { sizes, row_pool: packed(sizes.in_channels), grad_row_pool: packed(sizes.out_channels) }
    }

    /// The sizes planned for.
    pub fn sizes(&self) -> DirectConvSizes {
        self.sizes
    }

    /// Bytes of working memory that the plan holds between calls.
    pub fn scratch_bytes(&self) -> usize {
        self.row_pool.bytes() + self.grad_row_pool.bytes()
    }

    /// Bytes of working memory that the plan holds after both passes on `threads` threads.
    pub fn planned_scratch_bytes(&self, threads: usize) -> usize {
        self.row_pool.planned_bytes(threads) + self.grad_row_pool.planned_bytes(threads)
    }

    /// Computes the output.
    pub fn forward(&self, batch: usize, input: &[T], weight: &[T], bias: Option<&[T]>, output: &mut [T]) {
        debug_assert_eq!(weight.len(), self.sizes.num_weights());
        let blocks = pack_weights(&self.sizes, |o, i, p, q| weight[self.weight_index(o, i, p, q)]);
        correlate(&self.sizes, &self.row_pool, batch, input, &blocks, bias, output);
    }

    /// Computes the gradient of the input (overwritten): correlation of `grad_output` with the mirrored
    /// weights, channels exchanged.
    pub fn backward_input(&self, batch: usize, grad_output: &[T], weight: &[T], grad_input: &mut [T]) {
        debug_assert_eq!(weight.len(), self.sizes.num_weights());
        let exchanged = DirectConvSizes {
            in_channels: self.sizes.out_channels,
            out_channels: self.sizes.in_channels,
            ..self.sizes
        };
        let last = self.sizes.kernel_size - 1;
        let blocks =
            pack_weights(&exchanged, |i, o, p, q| weight[self.weight_index(o, i, last - p, last - q)]);
        correlate(&exchanged, &self.grad_row_pool, batch, grad_output, &blocks, None, grad_input);
    }

    /// Adds the gradients of weights and bias.
    ///
    /// `grad_weight[o, i, p, q] += Σ_{b,h,w} grad_output[b, o, h, w]·x[b, i, h + p − r, w + q − r]`.
    pub fn backward_weight(
        &self,
        batch: usize,
        input: &[T],
        grad_output: &[T],
        grad_weight: &mut [T],
        grad_bias: Option<&mut [T]>,
    ) {
        let DirectConvSizes { in_channels, out_channels, height, width, kernel_size, .. } = self.sizes;
        debug_assert_eq!(grad_weight.len(), self.sizes.num_weights());
        let tasks = height.div_ceil(ROWS_PER_TASK);
        let partials: Vec<Vec<T>> = (0..tasks)
            .into_par_iter()
            .map(|task| {
                let rows = task * ROWS_PER_TASK..height.min((task + 1) * ROWS_PER_TASK);
                self.weight_gradient_of_rows(rows, batch, input, grad_output)
            })
            .collect();
        // Partial sums are [p, q, o, i]; they are added in the order of the rows.
        for partial in &partials {
            for (index, &value) in partial.iter().enumerate() {
                let (tap, pair) =
                    (index / (out_channels * in_channels), index % (out_channels * in_channels));
                let (o, i) = (pair / in_channels, pair % in_channels);
                grad_weight[self.weight_index(o, i, tap / kernel_size, tap % kernel_size)] += value;
            }
        }
        if let Some(grad_bias) = grad_bias {
            add_plane_sums(grad_output, height * width * batch, grad_bias);
        }
    }

    /// `[p, q, o, i]`: the part of the weights' gradient that comes from some output rows.
    fn weight_gradient_of_rows(
        &self,
        rows: std::ops::Range<usize>,
        batch: usize,
        input: &[T],
        grad_output: &[T],
    ) -> Vec<T> {
        let DirectConvSizes { in_channels, out_channels, height, width, kernel_size, .. } = self.sizes;
        let mut partial = vec![T::ZERO; self.sizes.num_weights()];
        let plane = height * width * batch;
        for h in rows {
            for p in 0..kernel_size {
                let Some(source_row) = self.sizes.source(h, p, height) else { continue };
                for q in 0..kernel_size {
                    let target = &mut partial[(p * kernel_size + q) * out_channels * in_channels..]
                        [..out_channels * in_channels];
                    // Runs of columns along which the source columns are contiguous too: one, or two where
                    // a circular image wraps around (more if the kernel is wider than the image).
                    let mut w = 0;
                    while w < width {
                        let Some(source) = self.sizes.source(w, q, width) else {
                            w += 1;
                            continue;
                        };
                        let run = (width - w).min(width - source);
                        add_outer_product(
                            (out_channels, in_channels, run * batch),
                            &grad_output[(h * width + w) * batch..],
                            &input[(source_row * width + source) * batch..],
                            plane,
                            target,
                        );
                        w += run;
                    }
                }
            }
        }
        partial
    }

    fn weight_index(&self, o: usize, i: usize, p: usize, q: usize) -> usize {
        ((o * self.sizes.in_channels + i) * self.sizes.kernel_size + p) * self.sizes.kernel_size + q
    }
}

/// `target[o, i] += Σ_n a[o·stride + n]·b[i·stride + n]`, n < length.
fn add_outer_product<T: Real>(
    (out_channels, in_channels, length): (usize, usize, usize),
    a: &[T],
    b: &[T],
    stride: usize,
    target: &mut [T],
) {
    assert!(a.len() >= (out_channels - 1) * stride + length);
    assert!(b.len() >= (in_channels - 1) * stride + length);
    assert_eq!(target.len(), out_channels * in_channels);
    // SAFETY: the assertions above keep every index below within its slice: target is a dense
    // out_channels × in_channels matrix, a and b have `length` contiguous columns in rows `stride` apart.
    unsafe {
        gemm::gemm(
            out_channels,
            in_channels,
            length,
            target.as_mut_ptr(),
            1,
            in_channels as isize,
            true,
            a.as_ptr(),
            1,
            stride as isize,
            b.as_ptr(),
            stride as isize,
            1,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `sums[c] += Σ plane c`, each plane in a fixed order.
pub(super) fn add_plane_sums<T: Real>(planes: &[T], plane_len: usize, sums: &mut [T]) {
    sums.par_iter_mut().zip(planes.par_chunks(plane_len)).for_each(|(sum, plane)| {
        *sum += dispatch(PlaneSum { plane });
    });
}

/// Lanes, then rows of lanes: short chains of additions keep the rounding error small.
struct PlaneSum<'a, T> {
    plane: &'a [T],
}

impl<T: Real> Kernel for PlaneSum<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) -> T {
        let mut total = T::ZERO;
        for chunk in self.plane.chunks(64 * LANES) {
            let mut lanes = [T::ZERO; LANES];
            for part in chunk.chunks(LANES) {
                for (lane, &value) in lanes.iter_mut().zip(part) {
                    *lane += value;
                }
            }
            total += lanes.iter().copied().sum::<T>();
        }
        total
    }
}

/// Weights as the inner loop reads them: `[⌈Cout/4⌉, p, q, Cin]` groups of four output channels, the last
/// group filled up with zeros.
fn pack_weights<T: Real>(
    sizes: &DirectConvSizes,
    weight: impl Fn(usize, usize, usize, usize) -> T,
) -> Vec<[T; OUT_BLOCK]> {
    let DirectConvSizes { in_channels, out_channels, kernel_size, .. } = *sizes;
    let mut packed = Vec::with_capacity(sizes.num_weights().div_ceil(OUT_BLOCK));
    for first in (0..out_channels).step_by(OUT_BLOCK) {
        for p in 0..kernel_size {
            for q in 0..kernel_size {
                for i in 0..in_channels {
                    packed.push(std::array::from_fn(|j| {
                        if first + j < out_channels { weight(first + j, i, p, q) } else { T::ZERO }
                    }));
                }
            }
        }
    }
    packed
}

fn correlate<T: Real>(
    sizes: &DirectConvSizes,
    row_pool: &ScratchPool<AlignedLanes<T>>,
    batch: usize,
    input: &[T],
    weights: &[[T; OUT_BLOCK]],
    bias: Option<&[T]>,
    output: &mut [T],
) {
    let DirectConvSizes { in_channels, out_channels, height, width, .. } = *sizes;
    debug_assert_eq!(input.len(), in_channels * height * width * batch);
    debug_assert_eq!(output.len(), out_channels * height * width * batch);
    // rows[h][o] is output row h of channel o, so that a task owns its rows of all channels.
    let mut rows: Vec<Vec<&mut [T]>> = (0..height).map(|_| Vec::with_capacity(out_channels)).collect();
    for (index, row) in output.chunks_mut(width * batch).enumerate() {
        rows[index % height].push(row);
    }
    rows.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(|(task, rows)| {
        row_pool.with(|packed| {
            dispatch(CorrelateRows {
                sizes,
                batch,
                first_row: task * ROWS_PER_TASK,
                input,
                weights,
                bias,
                rows,
                packed: AlignedLanes::arrays_mut(packed),
            });
        });
    });
}

/// Some adjacent output rows of all channels.
struct CorrelateRows<'a, 'b, T> {
    sizes: &'a DirectConvSizes,
    batch: usize,
    first_row: usize,
    input: &'a [T],
    weights: &'a [[T; OUT_BLOCK]],
    bias: Option<&'a [T]>,
    /// `[row][out_channel]`, each `[W, batch]`
    rows: &'a mut [Vec<&'b mut [T]>],
    /// k rows `[W + k − 1, Cin]`; source row r lives in slot r mod k.
    packed: &'a mut [[T; LANES]],
}

impl<T: Real> Kernel for CorrelateRows<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, batch, first_row, input, weights, bias, rows, packed } = self;
        let DirectConvSizes { in_channels, out_channels, width, kernel_size, .. } = *sizes;
        let slot_len = packed.len() / kernel_size;
        let taps = kernel_size * in_channels;
        for lane in (0..batch).step_by(LANES) {
            let lanes = lane..batch.min(lane + LANES);
            for (offset, row) in rows.iter_mut().enumerate() {
                let h = first_row + offset;
                // Row h reads sources h … h + k − 1 (counted from the top of the padding); all but the last
                // are in their slots already, unless this is the first row.
                for p in if offset == 0 { 0 } else { kernel_size - 1 }..kernel_size {
                    let slot = &mut packed[(h + p) % kernel_size * slot_len..][..slot_len];
                    pack_row(sizes, batch, input, h, p, lanes.clone(), slot);
                }
                for (block, weights) in weights.chunks(kernel_size * taps).enumerate() {
                    let first = block * OUT_BLOCK;
                    let count = OUT_BLOCK.min(out_channels - first);
                    let start: [T; OUT_BLOCK] = std::array::from_fn(|j| match bias {
                        Some(bias) if j < count => bias[first + j],
                        _ => T::ZERO,
                    });
                    let sources = |w: usize, pixels: usize| {
                        let packed = &*packed;
                        (0..kernel_size).map(move |p| {
                            let slot = (h + p) % kernel_size * slot_len;
                            let pixels =
                                &packed[slot + w * in_channels..][..(pixels - 1) * in_channels + taps];
                            (pixels, &weights[p * taps..][..taps])
                        })
                    };
                    let targets = &mut row[first..first + count];
                    let mut w = 0;
                    while I::WIDE && width - w >= PIXELS {
                        let sums =
                            correlate_pixels::<T, I, PIXELS>(isa, in_channels, sources(w, PIXELS), start);
                        store_pixels(isa, &sums, targets, w * batch + lane, batch);
                        w += PIXELS;
                    }
                    for w in w..width {
                        let sums = correlate_pixels::<T, I, 1>(isa, in_channels, sources(w, 1), start);
                        store_pixels(isa, &sums, targets, w * batch + lane, batch);
                    }
                }
            }
        }
    }
}

/// Writes outputs of adjacent pixels, `[W, batch]` in each of the targets, from index `first` on: as many lanes as the
/// batch has images there.
#[inline(always)]
fn store_pixels<T: Real, I: Isa>(
    isa: I,
    sums: &[[I::Lanes<T>; OUT_BLOCK]],
    targets: &mut [&mut [T]],
    first: usize,
    batch: usize,
) {
    let count = LANES.min(batch - first % batch);
    for (n, sums) in sums.iter().enumerate() {
        for (target, &sum) in targets.iter_mut().zip(sums) {
            store_register(isa, sum, &mut target[first + n * batch..][..count]);
        }
    }
}

/// The output at N adjacent pixels in [`OUT_BLOCK`] channels; `sources` has the packed pixels that a row of taps reads,
/// and its weights.
#[inline(always)]
fn correlate_pixels<'a, T: Real, I: Isa, const N: usize>(
    isa: I,
    in_channels: usize,
    sources: impl Iterator<Item = (&'a [[T; LANES]], &'a [[T; OUT_BLOCK]])>,
    start: [T; OUT_BLOCK],
) -> [[I::Lanes<T>; OUT_BLOCK]; N] {
    let mut sums = [[isa.splat(T::ZERO); OUT_BLOCK]; N];
    for n in 0..N {
        for j in 0..OUT_BLOCK {
            sums[n][j] = isa.splat(start[j]);
        }
    }
    for (pixels, weights) in sources {
        let pixels: [&[[T; LANES]]; N] = std::array::from_fn(|n| &pixels[n * in_channels..][..weights.len()]);
        let mut x = [isa.splat(T::ZERO); N];
        for (k, group) in weights.iter().enumerate() {
            for n in 0..N {
                x[n] = isa.load(&pixels[n][k]);
            }
            for j in 0..OUT_BLOCK {
                let weight = isa.splat(group[j]);
                for n in 0..N {
                    sums[n][j] = isa.fma(weight, x[n], sums[n][j]);
                }
            }
        }
    }
    sums
}

/// Copies the source row of tap p, padded at both ends, as `[W + k − 1, Cin]`.
#[inline(always)]
fn pack_row<T: Real>(
    sizes: &DirectConvSizes,
    batch: usize,
    input: &[T],
    h: usize,
    p: usize,
    lanes: std::ops::Range<usize>,
    slot: &mut [[T; LANES]],
) {
    let DirectConvSizes { in_channels, height, width, .. } = *sizes;
    let source_row = sizes.source(h, p, height);
    for (column, pixel) in slot.chunks_mut(in_channels).enumerate() {
        // Column c of the padded row is what tap 0 reads for output column c.
        match (source_row, sizes.source(column, 0, width)) {
            (Some(row), Some(source)) => {
                for (i, value) in pixel.iter_mut().enumerate() {
                    *value =
                        load_lanes(&input[((i * height + row) * width + source) * batch..][lanes.clone()]);
                }
            }
            _ => pixel.fill([T::ZERO; LANES]),
        }
    }
}
