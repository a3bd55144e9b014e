//! Inference on a few images: channels lie side by side, in place of images.
//!
//! A block of lanes of images would be mostly empty. Here one image's channels fill it, transforms are those of
//! [`LanesPlane`](cfconv_fft::lanes::LanesPlane) as ever, and the mix of a frequency is a product of its matrix with a
//! vector along the output channels, which lie together in the kernel.

use cfconv_fft::lanes::{ComplexLanes, LANES, load_lanes};
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use cfconv_fft::{Complex, Real};
use rayon::prelude::*;

use super::spectral_conv::first_points;
use super::{SpectralConv, SpectralConvSizes, SpectralWorkspace};

/// Pixels that are transposed together.
const PIXELS: usize = 64;

impl<T: Real> SpectralConv<T> {
    /// Up to this many images go through [`infer_small_batch`](Self::infer_small_batch): each costs about a sixteenth
    /// of a block of images, and a transposition.
    pub(super) const SMALL_BATCH: usize = LANES / 2;

    /// Computes the layer's output alone, channels side by side.
    ///
    /// # Shapes
    /// As for [`infer`](Self::infer).
    pub(super) fn infer_small_batch(
        &self,
        batch: usize,
        input: &[T],
        kernel: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        workspace: &mut SpectralWorkspace<T>,
    ) {
        let sizes = self.sizes();
        let (in_blocks, out_blocks) = (sizes.in_channels.div_ceil(LANES), sizes.out_channels.div_ceil(LANES));
        let (column_len, mixed_len) =
            (batch * in_blocks * sizes.kernel_height, batch * out_blocks * sizes.kernel_height);
        let columns = sizes.half_width();
        let points = first_points(&mut workspace.points, columns * (column_len + mixed_len));
        let (spectrum, mixed) = points.split_at_mut(columns * column_len);
        self.transform_channels(batch, input, spectrum);
        spectrum.par_chunks(column_len).zip(mixed.par_chunks_mut(mixed_len)).enumerate().for_each(
            |(column, (input, output))| {
                dispatch(MixChannels { sizes, images: batch, column, input, kernel, output });
            },
        );
        self.transform_channels_back(batch, mixed, bias, output);
    }

    /// `spectrum[k, b, block, p]` from `images[c, h, w, b]`.
    fn transform_channels(&self, batch: usize, images: &[T], spectrum: &mut [ComplexLanes<T>]) {
        let SpectralConvSizes { in_channels, height, width, kernel_height, .. } = self.sizes();
        let blocks = in_channels.div_ceil(LANES);
        let pixels = height * width;
        let mut tasks: Vec<Vec<&mut [ComplexLanes<T>]>> = (0..batch * blocks).map(|_| Vec::new()).collect();
        for (index, column) in spectrum.chunks_mut(kernel_height).enumerate() {
            tasks[index % (batch * blocks)].push(column);
        }
        tasks.par_iter_mut().enumerate().for_each(|(index, columns)| {
            let (image, first) = (index / blocks, index % blocks * LANES);
            let lanes = LANES.min(in_channels - first);
            self.image_pool.with(|plane| {
                let plane = &mut plane[..pixels * lanes];
                for (run, plane) in plane.chunks_mut(PIXELS * lanes).enumerate() {
                    for lane in 0..lanes {
                        let start = ((first + lane) * pixels + run * PIXELS) * batch + image;
                        let source = images[start..].iter().step_by(batch);
                        for (target, &value) in plane[lane..].iter_mut().step_by(lanes).zip(source) {
                            *target = value;
                        }
                    }
                }
                self.scratch_pool.with(|scratch| {
                    self.plane.forward((plane, lanes), 0..lanes, columns, scratch);
                });
            });
        });
    }

    /// `images[c, h, w, b]` from swapped points `spectrum[k, b, block, p]`.
    fn transform_channels_back(
        &self,
        batch: usize,
        spectrum: &[ComplexLanes<T>],
        bias: Option<&[T]>,
        images: &mut [T],
    ) {
        let SpectralConvSizes { out_channels, height, width, kernel_height, kernel_width, .. } = self.sizes();
        let blocks = out_channels.div_ceil(LANES);
        let pixels = height * width;
        let scale = T::ONE / T::cast((kernel_height * kernel_width) as f64);
        images.par_chunks_mut(LANES * pixels * batch).enumerate().for_each(|(block, images)| {
            let lanes = images.len() / (pixels * batch);
            self.image_pool.with(|plane| {
                let plane = &mut plane[..pixels * lanes];
                for image in 0..batch {
                    let columns =
                        spectrum.chunks(kernel_height).skip(image * blocks + block).step_by(batch * blocks);
                    self.scratch_pool.with(|scratch| {
                        self.plane.inverse(columns, (plane, lanes), 0..lanes, (scale, T::ZERO), scratch);
                    });
                    for (run, plane) in plane.chunks(PIXELS * lanes).enumerate() {
                        for lane in 0..lanes {
                            let bias = bias.map_or(T::ZERO, |bias| bias[block * LANES + lane]);
                            let start = (lane * pixels + run * PIXELS) * batch + image;
                            let target = images[start..].iter_mut().step_by(batch);
                            for (target, &value) in target.zip(plane[lane..].iter().step_by(lanes)) {
                                *target = value + bias;
                            }
                        }
                    }
                }
            });
        });
    }
}

/// One column of a few images: `Y[o] = Σ_i X[i]·K[i, o]` at each frequency, along the output channels.
struct MixChannels<'a, T: Real> {
    sizes: SpectralConvSizes,
    images: usize,
    column: usize,
    /// `[images, blocks of input channels, kernel_height]`
    input: &'a [ComplexLanes<T>],
    /// `[kernel_height, half_width, in_channels, out_channels]`
    kernel: &'a [Complex<T>],
    /// Swapped points `[images, blocks of output channels, kernel_height]`.
    output: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for MixChannels<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, images, column, input, kernel, output } = self;
        let SpectralConvSizes { in_channels, out_channels, kernel_height, .. } = sizes;
        let in_blocks = in_channels.div_ceil(LANES);
        for p in 0..kernel_height {
            // Values of one frequency stay in cache while all images use them.
            let frequency = p * sizes.half_width() + column;
            let kernel = &kernel[frequency * in_channels * out_channels..][..in_channels * out_channels];
            for image in 0..images {
                let points = input[image * in_blocks * kernel_height + p..].iter().step_by(kernel_height);
                let output = &mut output[image * out_channels.div_ceil(LANES) * kernel_height..];
                for (block, first) in (0..out_channels).step_by(LANES).enumerate() {
                    let lanes = first..out_channels.min(first + LANES);
                    let zero = isa.splat(T::ZERO);
                    // Real and imaginary parts of the kernel alternate: sums of Re x·K and of Im x·K, of eight
                    // channels each.
                    let (mut by_re, mut by_im) = ([zero; 2], [zero; 2]);
                    for (point, rows) in
                        points.clone().zip(kernel.chunks(LANES * out_channels)).take(in_blocks)
                    {
                        for (lane, row) in rows.chunks_exact(out_channels).enumerate() {
                            let row: &[T] = bytemuck::cast_slice(&row[lanes.clone()]);
                            let halves = [row, row.get(LANES..).unwrap_or_default()];
                            let (re, im) = (isa.splat(point.re[lane]), isa.splat(point.im[lane]));
                            for half in 0..2 {
                                let values = isa.load(&load_lanes(halves[half]));
                                by_re[half] = isa.fma(re, values, by_re[half]);
                                by_im[half] = isa.fma(im, values, by_im[half]);
                            }
                        }
                    }
                    let (mut re_sums, mut im_sums) = ([[T::ZERO; LANES]; 2], [[T::ZERO; LANES]; 2]);
                    for half in 0..2 {
                        isa.store(by_re[half], &mut re_sums[half]);
                        isa.store(by_im[half], &mut im_sums[half]);
                    }
                    let (re_sums, im_sums) = (re_sums.as_flattened(), im_sums.as_flattened());
                    let target = &mut output[block * kernel_height + p];
                    for lane in 0..LANES {
                        target.re[lane] = re_sums[2 * lane + 1] + im_sums[2 * lane];
                        target.im[lane] = re_sums[2 * lane] - im_sums[2 * lane + 1];
                    }
                }
            }
        }
    }
}
