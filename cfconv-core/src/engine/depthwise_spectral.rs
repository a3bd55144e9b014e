//! Depthwise convolution with kernels given by their spectra: each channel has its own, and channels do not mix.
//!
//! A channel needs nothing of the others, so that one task takes its planes through transform, product and
//! transform back, block of lanes by block of lanes, without leaving a level-2 cache.

use cfconv_fft::lanes::{ComplexLanes, LANES, LanesPlane};
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use cfconv_fft::{Complex, Real};
use rayon::prelude::*;

use super::buffers::resize_exact;
use super::scratch_pool::ScratchPool;
use super::spectral_conv::first_points;
use super::{SavedSpectrum, SpectralWorkspace};

/// Sizes of a depthwise spectral convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseSpectralSizes {
    /// Channels of input and output.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows of the kernel grid: `height` for circular convolution, more for zero padding.
    pub kernel_height: usize,
    /// Columns of the kernel grid before halving: `width` for circular convolution, more for zero padding.
    pub kernel_width: usize,
}

impl DepthwiseSpectralSizes {
    /// Columns of the half spectrum.
    pub fn half_width(&self) -> usize {
        self.kernel_width / 2 + 1
    }

    /// Complex values of the kernel, `[kernel_height, half_width, channels]`.
    pub fn num_positions(&self) -> usize {
        self.bins() * self.channels
    }

    /// Bins of the half spectrum.
    fn bins(&self) -> usize {
        self.kernel_height * self.half_width()
    }

    /// Points of the kernel grid.
    fn area<T: Real>(&self) -> T {
        T::cast((self.kernel_height * self.kernel_width) as f64)
    }

    /// For each point of a spectrum `[half_width, kernel_height]`, its place in `[kernel_height, half_width]`.
    fn bins_by_column(&self) -> impl Iterator<Item = usize> {
        let (rows, columns) = (self.kernel_height, self.half_width());
        (0..columns).flat_map(move |k| (0..rows).map(move |p| p * columns + k))
    }
}

/// A plan for `y[b, c] = crop(irfft2(rfft2(pad(x[b, c]))·K[·, ·, c])) + bias[c]`.
///
/// With a kernel grid of the image's size this is circular convolution; with a larger one the image is extended
/// by zeros.
///
/// # Source
/// Gradients: docs/derivations/cf-conv.md, sections 3 and 7.
#[derive(Clone, Debug)]
pub struct DepthwiseSpectralConv<T: Real> {
    sizes: DepthwiseSpectralSizes,
    plane: LanesPlane<T>,
    /// Scratch of transforms.
    line_pool: ScratchPool<ComplexLanes<T>>,
    /// Three spectra of one block of lanes.
    spectrum_pool: ScratchPool<ComplexLanes<T>>,
    /// The kernel of one channel, `[half_width, kernel_height]`.
    kernel_pool: ScratchPool<Complex<T>>,
}

impl<T: Real> DepthwiseSpectralConv<T> {
    /// Plans a convolution; every size is at least 1 and the kernel grid at least as large as the image.
    pub fn new(sizes: DepthwiseSpectralSizes) -> Self {
        let plane = LanesPlane::new((sizes.height, sizes.width), (sizes.kernel_height, sizes.kernel_width));
        Self {
            line_pool: ScratchPool::new(plane.scratch_len(), ComplexLanes::zero()),
            spectrum_pool: ScratchPool::new(3 * sizes.bins(), ComplexLanes::zero()),
            kernel_pool: ScratchPool::new(sizes.bins(), Complex::default()),
            plane,
            sizes,
        }
    }

    /// The sizes planned for.
    pub fn sizes(&self) -> DepthwiseSpectralSizes {
        self.sizes
    }

    /// Bytes of working memory that the plan holds between calls, besides workspace and saved spectra.
    pub fn scratch_bytes(&self) -> usize {
        self.line_pool.bytes() + self.spectrum_pool.bytes() + self.kernel_pool.bytes()
    }

    /// Bytes of working memory that the plan holds after passes on `threads` threads.
    pub(super) fn planned_scratch_bytes(&self, threads: usize) -> usize {
        self.line_pool.planned_bytes(threads)
            + self.spectrum_pool.planned_bytes(threads)
            + self.kernel_pool.planned_bytes(threads)
    }

    /// Bytes of the spectrum saved for `batch` images.
    pub(super) fn planned_saved_bytes(&self, batch: usize) -> usize {
        self.sizes.channels * batch.div_ceil(LANES) * self.sizes.bins() * size_of::<ComplexLanes<T>>()
    }

    /// Bytes of the kernel's gradient in the workspace.
    pub(super) fn planned_by_channel_bytes(&self) -> usize {
        self.sizes.num_positions() * size_of::<Complex<T>>()
    }

    /// Computes the layer's output and keeps the input's spectrum in `saved`.
    ///
    /// # Shapes
    /// `input` and `output` `[channels, H, W, batch]`, `kernel` `[kernel_height, half_width, channels]`, `bias`
    /// `[channels]` if any.
    pub fn forward(
        &self,
        batch: usize,
        input: &[T],
        kernel: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        saved: &mut SavedSpectrum<T>,
    ) {
        let channel_len = batch.div_ceil(LANES) * self.sizes.bins();
        let saved = first_points(&mut saved.points, self.sizes.channels * channel_len);
        let plane_len = self.plane_len(batch);
        let planes = output.par_chunks_mut(plane_len).zip(input.par_chunks(plane_len));
        planes.zip(saved.par_chunks_mut(channel_len)).enumerate().for_each(
            |(c, ((output, input), saved))| {
                self.filter(batch, c, input, kernel, bias, output, Some(saved));
            },
        );
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
    ) {
        let plane_len = self.plane_len(batch);
        let planes = output.par_chunks_mut(plane_len).zip(input.par_chunks(plane_len));
        planes.enumerate().for_each(|(c, (output, input))| {
            self.filter(batch, c, input, kernel, bias, output, None);
        });
    }

    /// Computes the gradients of input and kernel from the gradient of the output.
    ///
    /// `grad_input = irfft2(conj(K[·, ·, c])·G)` with `G = rfft2(grad_output)`, overwritten if wanted.
    /// `grad_kernel[u] = scale·m/(H·W)·Σ_b conj(X[b, c])·G[b, c]` at each position u (overwritten; m =
    /// multiplicity of the column, H·W the kernel grid's size).
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
        let (channels, bins, plane_len) = (sizes.channels, sizes.bins(), self.plane_len(batch));
        debug_assert_eq!(grad_kernel.len(), positions.map_or(sizes.num_positions(), <[u32]>::len));
        let channel_len = batch.div_ceil(LANES) * bins;
        // [channels, kernel_height, half_width]
        let gradients = &mut workspace.by_channel;
        resize_exact(gradients, channels * bins, Complex::default());
        let mut planes: Vec<Option<&mut [T]>> = match grad_input {
            Some(grad_input) => grad_input.chunks_mut(plane_len).map(Some).collect(),
            None => (0..channels).map(|_| None).collect(),
        };
        planes
            .par_iter_mut()
            .zip(grad_output.par_chunks(plane_len))
            .zip(saved.points.par_chunks(channel_len))
            .zip(gradients.par_chunks_mut(bins))
            .enumerate()
            .for_each(|(c, (((grad_input, grad_output), saved), gradients))| {
                let grad_input = grad_input.as_deref_mut();
                self.backward_channel(batch, c, grad_output, kernel, saved, scale, gradients, grad_input);
            });
        let value = |position: usize| gradients[position % channels * bins + position / channels];
        match positions {
            None => grad_kernel.iter_mut().enumerate().for_each(|(u, gradient)| *gradient = value(u)),
            Some(list) => {
                for (gradient, &position) in grad_kernel.iter_mut().zip(list) {
                    *gradient = value(position as usize);
                }
            }
        }
    }

    fn plane_len(&self, batch: usize) -> usize {
        self.sizes.height * self.sizes.width * batch
    }

    /// Convolves one channel; the input's spectrum goes to `saved` `[blocks, half_width, kernel_height]`, if given.
    fn filter(
        &self,
        batch: usize,
        channel: usize,
        input: &[T],
        kernel: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        mut saved: Option<&mut [ComplexLanes<T>]>,
    ) {
        let bins = self.sizes.bins();
        let bias = bias.map_or(T::ZERO, |bias| bias[channel]);
        self.with_kernel(channel, kernel, |kernel| {
            self.spectrum_pool.with(|spectra| {
                let (own, spectra) = spectra.split_at_mut(bins);
                let product = &mut spectra[..bins];
                for block in 0..batch.div_ceil(LANES) {
                    let spectrum = match &mut saved {
                        Some(saved) => &mut saved[block * bins..][..bins],
                        None => &mut *own,
                    };
                    self.transform(batch, block, input, spectrum);
                    dispatch(Multiply::<T, false> { spectrum, kernel, product });
                    self.transform_back(batch, block, product, bias, output);
                }
            });
        });
    }

    fn backward_channel(
        &self,
        batch: usize,
        channel: usize,
        grad_output: &[T],
        kernel: &[Complex<T>],
        saved: &[ComplexLanes<T>],
        scale: T,
        gradients: &mut [Complex<T>],
        mut grad_input: Option<&mut [T]>,
    ) {
        let sizes = self.sizes;
        let bins = sizes.bins();
        self.with_kernel(channel, kernel, |kernel| {
            self.spectrum_pool.with(|spectra| {
                let (spectrum, spectra) = spectra.split_at_mut(bins);
                let (product, sums) = spectra.split_at_mut(bins);
                sums.fill(ComplexLanes::zero());
                for (block, saved) in saved.chunks(bins).enumerate() {
                    self.transform(batch, block, grad_output, spectrum);
                    dispatch(AddCorrelation { input: saved, grad_output: spectrum, sums });
                    if let Some(grad_input) = &mut grad_input {
                        dispatch(Multiply::<T, true> { spectrum, kernel, product });
                        self.transform_back(batch, block, product, T::ZERO, grad_input);
                    }
                }
                let scale = scale / sizes.area();
                for (sum, bin) in sums.iter().zip(sizes.bins_by_column()) {
                    let column = bin % sizes.half_width();
                    let multiplicity = cfconv_fft::multiplicity(column, sizes.kernel_width);
                    let total = |lanes: &[T; LANES]| lanes.iter().copied().sum::<T>();
                    gradients[bin] = Complex::new(total(&sum.re), total(&sum.im))
                        .scale(scale * T::cast(multiplicity as f64));
                }
            });
        });
    }

    /// Runs `work` with the kernel of one channel, `[half_width, kernel_height]`.
    fn with_kernel<R>(
        &self,
        channel: usize,
        kernel: &[Complex<T>],
        work: impl FnOnce(&[Complex<T>]) -> R,
    ) -> R {
        debug_assert_eq!(kernel.len(), self.sizes.num_positions());
        self.kernel_pool.with(|own| {
            for (value, bin) in own.iter_mut().zip(self.sizes.bins_by_column()) {
                *value = kernel[bin * self.sizes.channels + channel];
            }
            work(own)
        })
    }

    fn transform(&self, batch: usize, block: usize, plane: &[T], spectrum: &mut [ComplexLanes<T>]) {
        let mut columns: Vec<_> = spectrum.chunks_mut(self.sizes.kernel_height).collect();
        self.line_pool.with(|scratch| {
            self.plane.forward((plane, batch), lanes(batch, block), &mut columns, scratch);
        });
    }

    fn transform_back(
        &self,
        batch: usize,
        block: usize,
        spectrum: &[ComplexLanes<T>],
        bias: T,
        plane: &mut [T],
    ) {
        let columns = spectrum.chunks(self.sizes.kernel_height);
        let scale = T::ONE / self.sizes.area();
        self.line_pool.with(|scratch| {
            self.plane.inverse(columns, (plane, batch), lanes(batch, block), (scale, bias), scratch);
        });
    }
}

/// The images of a block of lanes.
fn lanes(batch: usize, block: usize) -> std::ops::Range<usize> {
    block * LANES..batch.min((block + 1) * LANES)
}

/// `product = spectrum·K`, or with `ADJOINT` `spectrum·conj(K)`, written as swapped points: an inverse transform
/// is a forward one of swapped points.
struct Multiply<'a, T: Real, const ADJOINT: bool> {
    spectrum: &'a [ComplexLanes<T>],
    kernel: &'a [Complex<T>],
    product: &'a mut [ComplexLanes<T>],
}

impl<T: Real, const ADJOINT: bool> Kernel for Multiply<'_, T, ADJOINT> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (product, (x, k)) in self.product.iter_mut().zip(self.spectrum.iter().zip(self.kernel)) {
            let k_im = if ADJOINT { -k.im } else { k.im };
            let (k_re, k_im, minus_k_im) = (isa.splat(k.re), isa.splat(k_im), isa.splat(-k_im));
            let (x_re, x_im) = (isa.load(&x.re), isa.load(&x.im));
            isa.store(isa.fma(minus_k_im, x_im, isa.mul(k_re, x_re)), &mut product.im);
            isa.store(isa.fma(k_im, x_re, isa.mul(k_re, x_im)), &mut product.re);
        }
    }
}

/// `sums += conj(X)·G` in each lane.
struct AddCorrelation<'a, T: Real> {
    input: &'a [ComplexLanes<T>],
    grad_output: &'a [ComplexLanes<T>],
    sums: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for AddCorrelation<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (sum, (x, g)) in self.sums.iter_mut().zip(self.input.iter().zip(self.grad_output)) {
            let (x_re, x_im) = (isa.load(&x.re), isa.load(&x.im));
            let (g_re, g_im) = (isa.load(&g.re), isa.load(&g.im));
            let re = isa.fma(x_im, g_im, isa.fma(x_re, g_re, isa.load(&sum.re)));
            let im = isa.sub(isa.fma(x_re, g_im, isa.load(&sum.im)), isa.mul(x_im, g_re));
            isa.store(re, &mut sum.re);
            isa.store(im, &mut sum.im);
        }
    }
}
