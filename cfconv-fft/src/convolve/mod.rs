//! Convolution and cross-correlation of images with kernels of any size, through the FFT.

mod axis;
mod options;
mod products;

use std::ops::Range;

use ndarray::{Array2, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, CowArray, Ix4, Slice, s};

use axis::AxisPlan;
pub use options::{Boundary, ConvolutionKind, ConvolutionOptions, Extent, centered_origin};
use products::{mix_into_grad_images, mix_into_grad_kernels, mix_into_output};

use crate::error::{check_shape, check_sizes};
use crate::planes::zip_planes;
use crate::{Complex, FftError, FftNorm, Real, Result, Rfft2Plan};

/// Kernel spectra are computed for as many output channels at a time as fit into this many bins.
const KERNEL_BINS: usize = 1 << 22;

/// A convolution of images `[B, Cin, H, W]` with kernels `[Cout, Cin/groups, kh, kw]`, planned for one size
/// of each.
///
/// By the convolution theorem, with zero-padding to a fast length where the boundary is linear. The cost
/// does not depend on the size of the kernel: worth it from about 7×7 taps on. The map is linear in the
/// images and in the kernels; [`grad_images`](Self::grad_images) and
/// [`grad_kernels`](Self::grad_kernels) are the two adjoints.
///
/// # Examples
/// ```
/// use cfconv_fft::{ConvolutionOptions, ConvolutionPlan};
/// use ndarray::{Array4, array};
///
/// let plan = ConvolutionPlan::<f64>::try_new([1, 3], [1, 3], ConvolutionOptions::default())?;
/// let image = array![[[[1.0, 2.0, 3.0]]]];
/// let difference = array![[[[1.0, 0.0, -1.0]]]];
/// let slope = plan.apply(image.view(), difference.view())?;
/// assert!((slope - array![[[[2.0, 2.0, -2.0]]]]).iter().all(|error| error.abs() < 1e-15));
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvolutionPlan<T> {
    rows: AxisPlan,
    columns: AxisPlan,
    groups: usize,
    fft: Rfft2Plan<T>,
}

impl<T: Real> ConvolutionPlan<T> {
    /// Plans the convolution of images of `image` = `[H, W]` with kernels of `kernel` = `[kh, kw]`.
    ///
    /// # Errors
    /// A size or the number of groups is zero, or [`Extent::Valid`] and the kernel is larger than the image.
    pub fn try_new(image: [usize; 2], kernel: [usize; 2], options: ConvolutionOptions) -> Result<Self> {
        let op = "ConvolutionPlan";
        check_sizes(
            op,
            &[
                ("height", image[0]),
                ("width", image[1]),
                ("kernel_height", kernel[0]),
                ("kernel_width", kernel[1]),
                ("groups", options.groups),
            ],
        )?;
        let axis = |axis: usize| {
            let ConvolutionOptions { kind, boundary, .. } = options;
            AxisPlan::new(image[axis], kernel[axis], kind, boundary, axis, axis == 1)
                .ok_or(FftError::KernelTooLarge { op, kernel, image })
        };
        let (rows, columns) = (axis(0)?, axis(1)?);
        let fft = Rfft2Plan::try_new(rows.fft, columns.fft)?;
        Ok(Self { rows, columns, groups: options.groups, fft })
    }

    /// `[height, width]` of the output.
    pub fn output_size(&self) -> [usize; 2] {
        [self.rows.output, self.columns.output]
    }

    /// `[height, width]` of the transforms.
    pub fn fft_size(&self) -> [usize; 2] {
        [self.rows.fft, self.columns.fft]
    }

    /// Convolves: `y[b, o] = Σ_i kernels[o, i] * images[b, i]`, i running over the group of o.
    ///
    /// # Shapes
    /// `images` `[B, Cin, H, W]`, `kernels` `[Cout, Cin/groups, kh, kw]`, result `[B, Cout, …]` with the
    /// planes of [`output_size`](Self::output_size).
    ///
    /// # Errors
    /// Sizes that do not fit the plan or each other; channels that cannot be divided into the groups.
    pub fn apply(&self, images: ArrayView4<'_, T>, kernels: ArrayView4<'_, T>) -> Result<Array4<T>> {
        let (batch, in_channels, _, _) = images.dim();
        let out_channels = kernels.dim().0;
        self.check_images("apply", images.shape())?;
        self.check_kernels("apply", kernels.shape(), in_channels)?;
        let image_spectra = self.image_spectra(images)?;
        let [height, width] = self.output_size();
        let mut output = Array4::zeros((batch, out_channels, height, width));
        for block in self.output_blocks(out_channels, kernels.dim().1) {
            let channels = Slice::from(block.clone());
            let kernel_spectra = self.kernel_spectra(kernels.slice_axis(Axis(0), channels))?;
            let mut spectra = self.zero_spectra(batch, kernel_spectra.dim().0);
            let group = out_channels / self.groups;
            mix_into_output(&image_spectra, &kernel_spectra, &mut spectra, block.start, group);
            let planes = self.fft.irfft2(spectra.view(), FftNorm::Backward)?;
            output.slice_axis_mut(Axis(1), channels).assign(&planes.slice(s![.., .., ..height, ..width]));
        }
        Ok(output)
    }

    /// The adjoint of [`apply`](Self::apply) as a map of the images: their gradient.
    ///
    /// # Shapes
    /// `grad_output` `[B, Cout, …]` with the planes of [`output_size`](Self::output_size), `kernels`
    /// `[Cout, Cin/groups, kh, kw]`, result `[B, Cin, H, W]`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn grad_images(
        &self,
        grad_output: ArrayView4<'_, T>,
        kernels: ArrayView4<'_, T>,
    ) -> Result<Array4<T>> {
        let (batch, out_channels, _, _) = grad_output.dim();
        let in_channels = kernels.dim().1 * self.groups;
        self.check_kernels("grad_images", kernels.shape(), in_channels)?;
        self.check_grad_output("grad_images", grad_output.shape(), kernels.dim().0)?;
        let grad_spectra = self.grad_spectra(grad_output)?;
        let mut spectra = self.zero_spectra(batch, in_channels);
        for block in self.output_blocks(out_channels, kernels.dim().1) {
            let channels = Slice::from(block.clone());
            let kernel_spectra = self.kernel_spectra(kernels.slice_axis(Axis(0), channels))?;
            let group = out_channels / self.groups;
            mix_into_grad_images(&grad_spectra, &kernel_spectra, &mut spectra, block.start, group);
        }
        let planes = self.fft.irfft2(spectra.view(), FftNorm::Backward)?;
        Ok(planes.slice_move(s![.., .., ..self.rows.image, ..self.columns.image]))
    }

    /// The adjoint of [`apply`](Self::apply) as a map of the kernels: their gradient, summed over the batch.
    ///
    /// # Shapes
    /// `grad_output` `[B, Cout, …]` with the planes of [`output_size`](Self::output_size), `images`
    /// `[B, Cin, H, W]`, result `[Cout, Cin/groups, kh, kw]`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn grad_kernels(
        &self,
        grad_output: ArrayView4<'_, T>,
        images: ArrayView4<'_, T>,
    ) -> Result<Array4<T>> {
        let op = "grad_kernels";
        let (batch, out_channels, _, _) = grad_output.dim();
        let in_channels = images.dim().1;
        self.check_images(op, images.shape())?;
        self.check_grad_output(op, grad_output.shape(), out_channels)?;
        let expected = [batch, in_channels, self.rows.image, self.columns.image];
        check_shape(op, "images", &expected, images.shape())?;
        self.check_groups(op, "in_channels", in_channels)?;
        self.check_groups(op, "out_channels", out_channels)?;
        let group_inputs = in_channels / self.groups;
        let image_spectra = self.image_spectra(images)?;
        let grad_spectra = self.grad_spectra(grad_output)?;
        let (rows, columns) = (self.rows, self.columns);
        let mut grad_kernels = Array4::zeros((out_channels, group_inputs, rows.kernel, columns.kernel));
        for block in self.output_blocks(out_channels, group_inputs) {
            let mut spectra = self.zero_spectra(block.len(), group_inputs);
            let group = out_channels / self.groups;
            mix_into_grad_kernels(&image_spectra, &grad_spectra, &mut spectra, block.start, group);
            let planes = self.fft.irfft2(spectra.view(), FftNorm::Backward)?;
            let grads = grad_kernels.slice_axis_mut(Axis(0), Slice::from(block));
            zip_planes(planes.view(), grads, |plane, mut kernel| {
                for ((s, t), tap) in kernel.indexed_iter_mut() {
                    *tap = plane[[rows.tap(s), columns.tap(t)]];
                }
            });
        }
        Ok(grad_kernels)
    }

    /// `[B, Cin, H, W]` to `[B, Cin, P, Q/2 + 1]` with P, Q the sizes of the transforms.
    fn image_spectra(&self, images: ArrayView4<'_, T>) -> Result<Array4<Complex<T>>> {
        self.fft.rfft2(self.extended(images).view(), FftNorm::Backward)
    }

    /// Adjoint of the crop to the output, then the transform.
    fn grad_spectra(&self, grad_output: ArrayView4<'_, T>) -> Result<Array4<Complex<T>>> {
        self.fft.rfft2(self.extended(grad_output).view(), FftNorm::Backward)
    }

    /// `[Cout, Cin/groups, kh, kw]` to `[Cout, Cin/groups, P, Q/2 + 1]`. Taps that fall on the same place of
    /// a small circular image add up.
    fn kernel_spectra(&self, kernels: ArrayView4<'_, T>) -> Result<Array4<Complex<T>>> {
        let (rows, columns) = (self.rows, self.columns);
        let (out_channels, group_inputs, _, _) = kernels.dim();
        let mut placed = Array4::zeros((out_channels, group_inputs, rows.fft, columns.fft));
        zip_planes(kernels, placed.view_mut(), |kernel, mut plane| {
            for ((s, t), &tap) in kernel.indexed_iter() {
                plane[[rows.tap(s), columns.tap(t)]] += tap;
            }
        });
        self.fft.rfft2(placed.view(), FftNorm::Backward)
    }

    /// Planes with zeros below and on the right, as large as the transforms.
    fn extended<'a>(&self, planes: ArrayView4<'a, T>) -> CowArray<'a, T, Ix4> {
        let (batch, channels, height, width) = planes.dim();
        if [height, width] == self.fft_size() {
            return planes.into();
        }
        let mut extended = Array4::zeros((batch, channels, self.rows.fft, self.columns.fft));
        extended.slice_mut(s![.., .., ..height, ..width]).assign(&planes);
        extended.into()
    }

    fn zero_spectra(&self, batch: usize, channels: usize) -> Array4<Complex<T>> {
        Array4::zeros((batch, channels, self.fft.height(), self.fft.half_width()))
    }

    /// Ranges of output channels whose kernel spectra are held at the same time.
    fn output_blocks(&self, out_channels: usize, group_inputs: usize) -> impl Iterator<Item = Range<usize>> {
        let bins = group_inputs.max(1) * self.fft.height() * self.fft.half_width();
        let block = (KERNEL_BINS / bins).max(1);
        (0..out_channels).step_by(block).map(move |first| first..out_channels.min(first + block))
    }

    fn check_images(&self, op: &'static str, shape: &[usize]) -> Result<()> {
        let expected = [shape[0], shape[1], self.rows.image, self.columns.image];
        check_shape(op, "images", &expected, shape)?;
        self.check_groups(op, "in_channels", shape[1])
    }

    fn check_kernels(&self, op: &'static str, shape: &[usize], in_channels: usize) -> Result<()> {
        let expected = [shape[0], in_channels / self.groups, self.rows.kernel, self.columns.kernel];
        check_shape(op, "kernels", &expected, shape)?;
        self.check_groups(op, "out_channels", shape[0])
    }

    fn check_grad_output(&self, op: &'static str, shape: &[usize], out_channels: usize) -> Result<()> {
        check_shape(
            op,
            "grad_output",
            &[shape[0], out_channels, self.rows.output, self.columns.output],
            shape,
        )
    }

    fn check_groups(&self, op: &'static str, name: &'static str, channels: usize) -> Result<()> {
        if channels.is_multiple_of(self.groups) {
            return Ok(());
        }
        Err(FftError::IndivisibleChannels { op, name, channels, groups: self.groups })
    }
}

/// Convolves in any form, planned for this call; see [`ConvolutionPlan::apply`].
///
/// # Errors
/// As [`ConvolutionPlan::try_new`] and [`ConvolutionPlan::apply`].
pub fn convolve<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView4<'_, T>,
    options: ConvolutionOptions,
) -> Result<Array4<T>> {
    let ((_, _, height, width), (_, _, kernel_height, kernel_width)) = (images.dim(), kernels.dim());
    let plan = ConvolutionPlan::try_new([height, width], [kernel_height, kernel_width], options)?;
    plan.apply(images, kernels)
}

/// Linear convolution: the image is zero outside.
///
/// # Shapes
/// `images` `[B, Cin, H, W]`, `kernels` `[Cout, Cin, kh, kw]`, result `[B, Cout, …]` by [`Extent`].
///
/// # Errors
/// As [`convolve`].
///
/// # Examples
/// ```
/// use cfconv_fft::{Extent, linear_convolution};
/// use ndarray::array;
///
/// // (1 + 2z)(3 + 4z) = 3 + 10z + 8z²
/// let product = linear_convolution(
///     array![[[[1.0, 2.0]]]].view(),
///     array![[[[3.0, 4.0]]]].view(),
///     Extent::Full,
/// )?;
/// assert!((product - array![[[[3.0, 10.0, 8.0]]]]).iter().all(|error: &f64| error.abs() < 1e-14));
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn linear_convolution<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView4<'_, T>,
    extent: Extent,
) -> Result<Array4<T>> {
    let boundary = Boundary::Linear(extent);
    convolve(images, kernels, ConvolutionOptions { boundary, ..ConvolutionOptions::default() })
}

/// Linear cross-correlation: the image is zero outside. What layers of neural networks call convolution.
///
/// # Shapes
/// As [`linear_convolution`].
///
/// # Errors
/// As [`convolve`].
pub fn linear_cross_correlation<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView4<'_, T>,
    extent: Extent,
) -> Result<Array4<T>> {
    let (kind, boundary) = (ConvolutionKind::CrossCorrelation, Boundary::Linear(extent));
    convolve(images, kernels, ConvolutionOptions { kind, boundary, ..ConvolutionOptions::default() })
}

/// Circular convolution: the image is periodic; tap `origin` of a kernel meets the sample itself.
///
/// # Shapes
/// `images` `[B, Cin, H, W]`, `kernels` `[Cout, Cin, kh, kw]` of any size, result `[B, Cout, H, W]`.
///
/// # Errors
/// As [`convolve`].
///
/// # Examples
/// ```
/// use cfconv_fft::circular_convolution;
/// use ndarray::array;
///
/// // A tap at 1 with the origin at 0 moves the image one to the right.
/// let image = array![[[[1.0, 2.0, 3.0]]]];
/// let moved = circular_convolution(image.view(), array![[[[0.0, 1.0]]]].view(), [0, 0])?;
/// assert!((moved - array![[[[3.0, 1.0, 2.0]]]]).iter().all(|error: &f64| error.abs() < 1e-14));
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn circular_convolution<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView4<'_, T>,
    origin: [usize; 2],
) -> Result<Array4<T>> {
    let boundary = Boundary::Circular { origin };
    convolve(images, kernels, ConvolutionOptions { boundary, ..ConvolutionOptions::default() })
}

/// Circular cross-correlation: the image is periodic; tap `origin` of a kernel meets the sample itself.
///
/// # Shapes
/// As [`circular_convolution`].
///
/// # Errors
/// As [`convolve`].
pub fn circular_cross_correlation<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView4<'_, T>,
    origin: [usize; 2],
) -> Result<Array4<T>> {
    let (kind, boundary) = (ConvolutionKind::CrossCorrelation, Boundary::Circular { origin });
    convolve(images, kernels, ConvolutionOptions { kind, boundary, ..ConvolutionOptions::default() })
}

/// Convolves each channel with a kernel of its own; `groups` of `options` is set to the number of channels.
///
/// # Shapes
/// `images` `[B, C, H, W]`, `kernels` `[C, kh, kw]`, result `[B, C, …]`.
///
/// # Errors
/// As [`convolve`].
pub fn depthwise_convolve<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView3<'_, T>,
    options: ConvolutionOptions,
) -> Result<Array4<T>> {
    let groups = images.dim().1;
    convolve(images, kernels.insert_axis(Axis(1)), ConvolutionOptions { groups, ..options })
}

/// Linear convolution of one plane with one kernel.
///
/// # Shapes
/// `image` `[H, W]`, `kernel` `[kh, kw]`, result by [`Extent`].
///
/// # Errors
/// As [`convolve`].
///
/// # Source
/// `scipy.signal.convolve2d(image, kernel, mode)` with zero fill.
///
/// # Examples
/// ```
/// use cfconv_fft::{Extent, convolve2d};
/// use ndarray::array;
///
/// let sums = convolve2d(array![[1.0, 2.0], [3.0, 4.0]].view(), array![[1.0], [1.0]].view(), Extent::Valid)?;
/// assert!((sums - array![[4.0, 6.0]]).iter().all(|error: &f64| error.abs() < 1e-14));
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn convolve2d<T: Real>(
    image: ArrayView2<'_, T>,
    kernel: ArrayView2<'_, T>,
    extent: Extent,
) -> Result<Array2<T>> {
    let images = image.insert_axis(Axis(0)).insert_axis(Axis(0));
    let kernels = kernel.insert_axis(Axis(0)).insert_axis(Axis(0));
    let output = linear_convolution(images, kernels, extent)?;
    Ok(output.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0))
}

/// Linear cross-correlation of one plane with one kernel.
///
/// # Shapes
/// As [`convolve2d`].
///
/// # Errors
/// As [`convolve`].
pub fn cross_correlate2d<T: Real>(
    image: ArrayView2<'_, T>,
    kernel: ArrayView2<'_, T>,
    extent: Extent,
) -> Result<Array2<T>> {
    let images = image.insert_axis(Axis(0)).insert_axis(Axis(0));
    let kernels = kernel.insert_axis(Axis(0)).insert_axis(Axis(0));
    let output = linear_cross_correlation(images, kernels, extent)?;
    Ok(output.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0))
}
