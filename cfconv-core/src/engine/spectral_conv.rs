//! Convolution with a kernel given by its spectrum: forward, and backward to input and kernel.
//!
//! Images go through in groups of blocks of lanes, few enough that a group's spectrum fits a cache. Each group
//! takes three phases, each parallel over tasks that write disjoint memory:
//!
//! 1. **transform**: each input plane to its half spectrum, within a level-2 cache;
//! 2. **mix**: the channels of each frequency, column after column, in place where nobody needs the input's
//!    spectrum any more;
//! 3. **transform back**: each output plane.
//!
//! The backward pass runs the same phases on the output gradient with the conjugate kernel. It has both
//! spectra of a column at hand in phase 2, where it takes the sampled dense-dense product dK at the wanted
//! positions only, so the spectrum of the output gradient is never kept longer than for its group.
//!
//! A network that stays in the frequency domain needs phase 2 alone. There half spectra take the place of images,
//! and phases 1 and 3 only move values to where the mix wants them and back.

use cfconv_fft::lanes::{ComplexLanes, LANES, LanesPlane};
use cfconv_fft::simd::dispatch;
use cfconv_fft::{Complex, Real, multiplicity};
use rayon::prelude::*;

use super::buffers::resize_exact;
use super::channel_mix::MixColumn;
use super::kernel_samples::{SampleColumn, split_by_column};
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
    /// Points of one column of one block of lanes.
    fn column_len(&self, channels: usize) -> usize {
        channels * self.kernel_height
    }

    /// Columns of the half spectrum.
    pub fn half_width(&self) -> usize {
        self.kernel_width / 2 + 1
    }

    /// Complex values of the kernel, `[kernel_height, half_width, in_channels, out_channels]`.
    pub fn num_positions(&self) -> usize {
        self.kernel_height * self.half_width() * self.in_channels * self.out_channels
    }
}

/// What lies before and behind the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Images `[C, H, W, B]`, which are transformed.
    Images,
    /// Half spectra `[C, H, Wr, 2, B]`, for each bin B real parts, then B imaginary parts, orthonormal
    /// ([`FftNorm::Ortho`](cfconv_fft::FftNorm::Ortho)).
    Spectra,
}

/// Bytes of a group's spectrum: half of a small level-3 cache. A group is at least one block of lanes.
const GROUP_BYTES: usize = 8 << 20;

/// A plan for convolving images with a kernel spectrum.
///
/// `y[b, o] = crop(irfft2(Σ_i rfft2(pad(x[b, i]))·K[·, ·, i, o])) + bias[o]`. With a kernel grid of the
/// image's size this is circular convolution; with a larger one the image is extended by zeros.
///
/// Between half spectra ([`between_spectra`](Self::between_spectra)) it is the product alone,
/// `Y[b, o] = Σ_i X[b, i]·K[·, ·, i, o]`, and a bias is added where a constant image has its only value: √(H·W)
/// times, to the real part of the zero frequency.
///
/// # Source
/// Layer: arXiv 2409.09875; gradients: docs/derivations/cf-conv.md.
#[derive(Clone, Debug)]
pub struct SpectralConv<T: Real> {
    sizes: SpectralConvSizes,
    domain: Domain,
    pub(super) plane: LanesPlane<T>,
    /// Scratch of transforms; longer where a group's columns have needed more.
    pub(super) scratch_pool: ScratchPool<ComplexLanes<T>>,
    /// One block of channels of one image.
    pub(super) image_pool: ScratchPool<T>,
    /// The kernel of one frequency.
    kernel_pool: ScratchPool<Complex<T>>,
    /// Blocks of lanes that go through the phases together.
    group: usize,
}

/// The input's spectrum, kept by the forward pass for the backward pass: for each group of blocks of lanes
/// points `[half_width, blocks, in_channels, kernel_height]`; of a depthwise convolution `[channels, blocks,
/// half_width, kernel_height]`.
#[derive(Clone, Debug, Default)]
pub struct SavedSpectrum<T> {
    pub(super) points: Vec<ComplexLanes<T>>,
}

/// The spectrum of one group between the phases. One workspace serves any number of layers in turn; it grows
/// to the largest.
#[derive(Clone, Debug, Default)]
pub struct SpectralWorkspace<T> {
    /// `[half_width, blocks, channels, kernel_height]`; where a mix is in place, with room for the larger of
    /// both numbers of channels.
    pub(super) points: Vec<ComplexLanes<T>>,
    /// The kernel's gradient of a depthwise convolution, `[channels, kernel_height, half_width]`.
    pub(super) by_channel: Vec<Complex<T>>,
}

impl<T: Real> SpectralWorkspace<T> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<ComplexLanes<T>>()
            + self.by_channel.capacity() * size_of::<Complex<T>>()
    }
}

impl<T: Real> SavedSpectrum<T> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<ComplexLanes<T>>()
    }
}

/// Blocks of lanes that go through the phases together.
#[derive(Clone, Copy)]
struct Group {
    /// The first block.
    first: usize,
    /// Number of blocks.
    blocks: usize,
    /// Images of the whole batch.
    batch: usize,
}

impl Group {
    /// The images of one of the group's blocks.
    fn lanes(&self, block: usize) -> std::ops::Range<usize> {
        let first = (self.first + block) * LANES;
        first..self.batch.min(first + LANES)
    }
}

impl<T: Real> SpectralConv<T> {
    /// Plans a convolution; every size is at least 1 and the kernel grid at least as large as the image.
    pub fn new(sizes: SpectralConvSizes) -> Self {
        debug_assert!(sizes.kernel_height >= sizes.height && sizes.kernel_width >= sizes.width);
        let channels = sizes.in_channels.max(sizes.out_channels);
        let block_bytes = sizes.half_width() * sizes.column_len(channels) * size_of::<ComplexLanes<T>>();
        Self::with_group(sizes, Domain::Images, (GROUP_BYTES / block_bytes).max(1))
    }

    /// Plans the product alone, of half spectra of `kernel_height` rows and `kernel_width` columns before halving;
    /// the image's size is the same.
    pub fn between_spectra(sizes: SpectralConvSizes) -> Self {
        debug_assert!((sizes.kernel_height, sizes.kernel_width) == (sizes.height, sizes.width));
        Self { domain: Domain::Spectra, ..Self::new(sizes) }
    }

    fn with_group(sizes: SpectralConvSizes, domain: Domain, group: usize) -> Self {
        let image = (sizes.height, sizes.width);
        let plane = LanesPlane::new(image, (sizes.kernel_height, sizes.kernel_width));
        let pairs = sizes.in_channels * sizes.out_channels;
        Self {
            sizes,
            domain,
            scratch_pool: ScratchPool::new(plane.scratch_len(), ComplexLanes::zero()),
            plane,
            image_pool: ScratchPool::new(sizes.height * sizes.width * LANES, T::ZERO),
            kernel_pool: ScratchPool::new(pairs, Complex::default()),
            group,
        }
    }

    /// Points of scratch that a column of `blocks` blocks needs in both passes.
    fn column_scratch_len(&self, blocks: usize) -> usize {
        let channels = self.sizes.in_channels.max(self.sizes.out_channels);
        let sample_len = SampleColumn::<T>::scratch_len(&self.sizes, blocks);
        MixColumn::<T, false>::scratch_len(channels, blocks).max(sample_len)
    }

    /// The sizes planned for.
    pub fn sizes(&self) -> SpectralConvSizes {
        self.sizes
    }

    /// Values of one channel of one image, or of its half spectrum.
    fn plane_len(&self) -> usize {
        match self.domain {
            Domain::Images => self.sizes.height * self.sizes.width,
            Domain::Spectra => self.sizes.kernel_height * self.sizes.half_width() * 2,
        }
    }

    /// Bytes of working memory that the plan holds between calls, besides workspace and saved spectra.
    pub fn scratch_bytes(&self) -> usize {
        self.scratch_pool.bytes() + self.image_pool.bytes() + self.kernel_pool.bytes()
    }

    /// Bytes of working memory that the plan holds after passes of `batch` images on `threads` threads.
    pub(super) fn planned_scratch_bytes(&self, batch: usize, threads: usize) -> usize {
        let column = self.column_scratch_len(batch.div_ceil(LANES).min(self.group));
        threads * column.max(self.plane.scratch_len()) * size_of::<ComplexLanes<T>>()
            + self.image_pool.planned_bytes(threads)
            + self.kernel_pool.planned_bytes(threads)
    }

    /// Bytes of the spectrum saved for `batch` images.
    pub(super) fn planned_saved_bytes(&self, batch: usize) -> usize {
        let column_len = self.sizes.column_len(self.sizes.in_channels);
        batch.div_ceil(LANES) * self.sizes.half_width() * column_len * size_of::<ComplexLanes<T>>()
    }

    /// Bytes of the spectra in the workspace after passes of `batch` images.
    pub(super) fn planned_spectra_bytes(&self, batch: usize) -> usize {
        let sizes = self.sizes;
        let column_len = sizes.column_len(sizes.in_channels.max(sizes.out_channels));
        let of_many = batch.div_ceil(LANES).min(self.group) * column_len;
        // Evaluations of few images have a block of channels where others have one of images.
        let channel_blocks = sizes.in_channels.div_ceil(LANES) + sizes.out_channels.div_ceil(LANES);
        let of_few = batch.min(Self::SMALL_BATCH) * sizes.column_len(channel_blocks);
        sizes.half_width() * of_many.max(of_few) * size_of::<ComplexLanes<T>>()
    }

    /// Computes the layer's output and keeps the input's spectrum in `saved`.
    ///
    /// # Shapes
    /// `input` `[in_channels, H, W, batch]`, `kernel` `[kernel_height, half_width, in_channels,
    /// out_channels]`, `bias` `[out_channels]` if any, `output` `[out_channels, H, W, batch]`. Between spectra
    /// `[H, Wr, 2]` stands for `[H, W]`.
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
        let column_len = sizes.column_len(sizes.in_channels);
        let saved_len = batch.div_ceil(LANES) * sizes.half_width() * column_len;
        let mut saved = &mut *first_points(&mut saved.points, saved_len);
        for group in self.groups(batch) {
            let (spectrum, rest) = saved.split_at_mut(sizes.half_width() * group.blocks * column_len);
            saved = rest;
            self.transform(group, sizes.in_channels, input, spectrum, column_len);
            let mixed_len = sizes.column_len(sizes.out_channels);
            let mixed = first_points(&mut workspace.points, sizes.half_width() * group.blocks * mixed_len);
            spectrum
                .par_chunks(group.blocks * column_len)
                .zip(mixed.par_chunks_mut(group.blocks * mixed_len))
                .enumerate()
                .for_each(|(column, (spectrum, mixed))| {
                    self.mix::<false>(group.blocks, column, Some(spectrum), kernel, mixed);
                });
            self.transform_back(group, sizes.out_channels, mixed, mixed_len, bias, output);
        }
    }

    /// Computes the layer's output alone.
    ///
    /// # Shapes
    /// As for [`forward`](Self::forward).
    pub fn infer(
        &self,
        batch: usize,
        input: &[T],
        kernel: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        workspace: &mut SpectralWorkspace<T>,
    ) {
        if batch <= Self::SMALL_BATCH && self.domain == Domain::Images {
            return self.infer_small_batch(batch, input, kernel, bias, output, workspace);
        }
        let sizes = self.sizes;
        let column_len = sizes.column_len(sizes.in_channels.max(sizes.out_channels));
        for group in self.groups(batch) {
            let spectrum =
                first_points(&mut workspace.points, sizes.half_width() * group.blocks * column_len);
            self.transform(group, sizes.in_channels, input, spectrum, column_len);
            spectrum.par_chunks_mut(group.blocks * column_len).enumerate().for_each(|(column, spectrum)| {
                self.mix::<false>(group.blocks, column, None, kernel, spectrum)
            });
            self.transform_back(group, sizes.out_channels, spectrum, column_len, bias, output);
        }
    }

    /// Computes the gradients of input and kernel from the gradient of the output.
    ///
    /// `grad_input = irfft2(Σ_o conj(K[·, ·, i, o])·G[o])` with `G = rfft2(grad_output)`, overwritten if
    /// wanted. `grad_kernel[u] = scale·m/(H·W)·Σ_b conj(X[b, i])·G[b, o]` at each position u (overwritten;
    /// m = multiplicity of the column, H·W the kernel grid's size). Between spectra G is the gradient itself, and
    /// the factor m/(H·W), which is the inverse transform's, is absent.
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
        mut grad_input: Option<&mut [T]>,
        workspace: &mut SpectralWorkspace<T>,
    ) {
        let sizes = self.sizes;
        debug_assert_eq!(grad_kernel.len(), positions.map_or(sizes.num_positions(), <[u32]>::len));
        let column_len = sizes.column_len(sizes.in_channels.max(sizes.out_channels));
        let saved_column_len = sizes.column_len(sizes.in_channels);
        let mut saved = &saved.points[..];
        let mut samples = split_by_column(&sizes, positions, grad_kernel);
        let wants_input = grad_input.is_some();
        for group in self.groups(batch) {
            let spectrum =
                first_points(&mut workspace.points, sizes.half_width() * group.blocks * column_len);
            self.transform(group, sizes.out_channels, grad_output, spectrum, column_len);
            let (input, rest) = saved.split_at(sizes.half_width() * group.blocks * saved_column_len);
            saved = rest;
            spectrum
                .par_chunks_mut(group.blocks * column_len)
                .zip(input.par_chunks(group.blocks * saved_column_len))
                .zip(&mut samples)
                .enumerate()
                .for_each(|(column, ((spectrum, input), samples))| {
                    self.scratch_pool.with_at_least(self.column_scratch_len(group.blocks), |scratch| {
                        dispatch(SampleColumn {
                            sizes,
                            blocks: group.blocks,
                            column,
                            input,
                            grad_output: spectrum,
                            scale: scale * self.gradient_factor(column),
                            samples,
                            accumulate: group.first > 0,
                            scratch,
                        });
                    });
                    if wants_input {
                        self.mix::<true>(group.blocks, column, None, kernel, spectrum);
                    }
                });
            if let Some(grad_input) = &mut grad_input {
                self.transform_back(group, sizes.in_channels, spectrum, column_len, None, grad_input);
            }
        }
    }

    /// The factor by which the gradient of the output's spectrum differs from what phase 1 gives.
    fn gradient_factor(&self, column: usize) -> T {
        let SpectralConvSizes { kernel_height, kernel_width, .. } = self.sizes;
        match self.domain {
            Domain::Images => {
                T::cast(multiplicity(column, kernel_width) as f64 / (kernel_height * kernel_width) as f64)
            }
            Domain::Spectra => T::ONE,
        }
    }

    fn groups(&self, batch: usize) -> impl Iterator<Item = Group> {
        let blocks = batch.div_ceil(LANES);
        let size = self.group;
        (0..blocks).step_by(size).map(move |first| Group { first, blocks: size.min(blocks - first), batch })
    }

    /// Phase 1: `spectrum[k, block, c, p]`, columns of a block `column_len` apart, from `images[c, h, w, b]`.
    fn transform(
        &self,
        group: Group,
        channels: usize,
        images: &[T],
        spectrum: &mut [ComplexLanes<T>],
        column_len: usize,
    ) {
        let kernel_height = self.sizes.kernel_height;
        let plane_len = self.plane_len() * group.batch;
        debug_assert_eq!(images.len(), channels * plane_len);
        // Tasks are (channel, block), blocks of a plane after each other; each owns its column of every k.
        let mut tasks: Vec<Vec<&mut [ComplexLanes<T>]>> =
            (0..channels * group.blocks).map(|_| Vec::with_capacity(self.sizes.half_width())).collect();
        for (index, columns) in spectrum.chunks_mut(column_len).enumerate() {
            let block = index % group.blocks;
            for (channel, column) in columns.chunks_mut(kernel_height).take(channels).enumerate() {
                tasks[channel * group.blocks + block].push(column);
            }
        }
        tasks.par_iter_mut().enumerate().for_each(|(index, columns)| {
            let (channel, block) = (index / group.blocks, index % group.blocks);
            let plane = &images[channel * plane_len..][..plane_len];
            match self.domain {
                Domain::Images => self.scratch_pool.with(|scratch| {
                    self.plane.forward((plane, group.batch), group.lanes(block), columns, scratch);
                }),
                Domain::Spectra => load_columns(plane, group, block, columns),
            }
        });
    }

    /// Phase 2, one column: mixes the channels of `source`, or of `target` itself, into `target`.
    fn mix<const ADJOINT: bool>(
        &self,
        blocks: usize,
        column: usize,
        source: Option<&[ComplexLanes<T>]>,
        kernel: &[Complex<T>],
        target: &mut [ComplexLanes<T>],
    ) {
        let sizes = self.sizes;
        self.scratch_pool.with_at_least(self.column_scratch_len(blocks), |scratch| {
            self.kernel_pool.with(|matrix| {
                dispatch(MixColumn::<T, ADJOINT> {
                    sizes,
                    blocks,
                    column,
                    source,
                    kernel,
                    target,
                    scratch,
                    matrix,
                });
            });
        });
    }

    /// Phase 3: `images[c, h, w, b]` from swapped points `spectrum[k, block, c, p]`.
    fn transform_back(
        &self,
        group: Group,
        channels: usize,
        spectrum: &[ComplexLanes<T>],
        column_len: usize,
        bias: Option<&[T]>,
        images: &mut [T],
    ) {
        let SpectralConvSizes { kernel_height, kernel_width, .. } = self.sizes;
        let pixels = T::cast((kernel_height * kernel_width) as f64);
        let plane_len = self.plane_len() * group.batch;
        debug_assert_eq!(images.len(), channels * plane_len);
        images.par_chunks_mut(plane_len).enumerate().for_each(|(channel, plane)| {
            let bias = bias.map_or(T::ZERO, |bias| bias[channel]);
            for block in 0..group.blocks {
                let columns = spectrum
                    .chunks(column_len)
                    .skip(block)
                    .step_by(group.blocks)
                    .map(|columns| &columns[channel * kernel_height..][..kernel_height]);
                let lanes = group.lanes(block);
                match self.domain {
                    Domain::Images => self.scratch_pool.with(|scratch| {
                        let scale = T::ONE / pixels;
                        self.plane.inverse(columns, (plane, group.batch), lanes, (scale, bias), scratch);
                    }),
                    Domain::Spectra => {
                        store_columns(columns, (plane, group.batch), lanes.clone());
                        let bias = bias * pixels.sqrt();
                        plane[lanes].iter_mut().for_each(|dc| *dc += bias);
                    }
                }
            }
        });
    }
}

/// Columns of points from a half spectrum `[H, Wr, 2, B]`.
fn load_columns<T: Real>(plane: &[T], group: Group, block: usize, columns: &mut [&mut [ComplexLanes<T>]]) {
    let (batch, lanes, half_width) = (group.batch, group.lanes(block), columns.len());
    for (h, row) in plane.chunks_exact(half_width * 2 * batch).enumerate() {
        for (column, bin) in columns.iter_mut().zip(row.chunks_exact(2 * batch)) {
            let (re, im) = bin.split_at(batch);
            column[h] = ComplexLanes::load(&re[lanes.clone()], &im[lanes.clone()]);
        }
    }
}

/// A half spectrum `[H, Wr, 2, B]` from columns of swapped points.
fn store_columns<'a, T: Real>(
    columns: impl ExactSizeIterator<Item = &'a [ComplexLanes<T>]>,
    (plane, batch): (&mut [T], usize),
    lanes: std::ops::Range<usize>,
) {
    let half_width = columns.len();
    for (k, column) in columns.enumerate() {
        let bins = plane.chunks_exact_mut(2 * batch).skip(k).step_by(half_width);
        for (bin, point) in bins.zip(column) {
            let (re, im) = bin.split_at_mut(batch);
            point.swapped().store(&mut re[lanes.clone()], &mut im[lanes.clone()]);
        }
    }
}

/// The first `length` points, of any content. The vector never shrinks: layers of different sizes that take
/// turns would otherwise fill it with zeros again and again.
pub(super) fn first_points<T: Real>(
    points: &mut Vec<ComplexLanes<T>>,
    length: usize,
) -> &mut [ComplexLanes<T>] {
    if points.len() < length {
        resize_exact(points, length, ComplexLanes::zero());
    }
    &mut points[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, step: f64) -> Vec<f64> {
        (0..count).map(|index| (index as f64 * step).sin()).collect()
    }

    /// Output, output without saving, gradients of the input, of the kernel, and of the kernel at some positions.
    fn run(group: usize) -> Vec<f64> {
        let sizes = SpectralConvSizes {
            in_channels: 3,
            out_channels: 17,
            height: 4,
            width: 5,
            kernel_height: 6,
            kernel_width: 5,
        };
        let batch = 70;
        let image = sizes.height * sizes.width * batch;
        let plan = SpectralConv::<f64>::with_group(sizes, Domain::Images, group);
        let kernel: Vec<_> = wave(2 * sizes.num_positions(), 0.7)
            .chunks(2)
            .map(|pair| Complex::new(pair[0], pair[1]))
            .collect();
        let input = wave(sizes.in_channels * image, 0.37);
        let grad_output = wave(sizes.out_channels * image, 0.53);
        let (mut saved, mut workspace) = (SavedSpectrum::default(), SpectralWorkspace::default());
        let mut output = vec![f64::NAN; grad_output.len()];
        plan.forward(batch, &input, &kernel, None, &mut output, &mut saved, &mut workspace);
        let mut inferred = vec![f64::NAN; grad_output.len()];
        plan.infer(batch, &input, &kernel, None, &mut inferred, &mut workspace);
        let mut results = [output, inferred].concat();
        let some: Vec<u32> = (0..sizes.num_positions() as u32).step_by(11).collect();
        for positions in [None, Some(&some[..])] {
            let nan = Complex::new(f64::NAN, f64::NAN);
            let mut grad_kernel = vec![nan; positions.map_or(sizes.num_positions(), <[u32]>::len)];
            let mut grad_input = vec![f64::NAN; input.len()];
            plan.backward(
                batch,
                &grad_output,
                &kernel,
                &saved,
                positions,
                0.5,
                &mut grad_kernel,
                Some(&mut grad_input),
                &mut workspace,
            );
            results.extend(grad_input);
            results.extend(grad_kernel.iter().flat_map(|z| [z.re, z.im]));
        }
        results
    }

    #[test]
    fn results_do_not_depend_on_the_size_of_groups() {
        let whole = run(5);
        for group in [1, 2, 4] {
            for (got, expected) in run(group).iter().zip(&whole) {
                // Only the kernel's gradient is a sum over groups: it is rounded differently.
                assert!((got - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{got} ≠ {expected}");
            }
        }
    }

    #[test]
    fn inference_equals_the_training_pass() {
        let results = run(2);
        let outputs = 17 * 4 * 5 * 70;
        assert_eq!(results[..outputs], results[outputs..2 * outputs]);
    }
}
