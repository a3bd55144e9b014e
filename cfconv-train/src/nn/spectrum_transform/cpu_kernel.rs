//! Transforms between images and half spectra on the processor: one task a channel, along the lanes of the batch.

use cfconv_fft::lanes::{ComplexLanes, LanesRfft2};
use cfconv_fft::{Real, multiplicity};
use rayon::prelude::*;

use super::{SpectrumTransformOp, SpectrumTransformPlan};
use crate::device::{Cpu, Result};
use crate::nn::slices::ForwardSlices;
use crate::nn::{Forward, SpectrumSizes};

impl SpectrumTransformOp for Cpu {
    type PreparedSpectrumTransform = SpectrumTransform<f32>;

    fn prepare_spectrum_transform(&self, sizes: &SpectrumSizes) -> Result<SpectrumTransform<f32>> {
        SpectrumTransform::try_new(sizes)
    }

    fn to_spectrum_kernel(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.to_spectrum(io.into_slices());
        Ok(())
    }

    fn to_spectrum_adjoint_kernel(
        &self,
        plan: &SpectrumTransformPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        plan.prepared.to_spectrum_adjoint(io.into_slices());
        Ok(())
    }

    fn to_image_kernel(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.to_image(io.into_slices());
        Ok(())
    }

    fn to_image_adjoint_kernel(
        &self,
        plan: &SpectrumTransformPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        plan.prepared.to_image_adjoint(io.into_slices());
        Ok(())
    }
}

/// Transforms of one size.
#[derive(Clone, Debug)]
pub struct SpectrumTransform<T> {
    plan: LanesRfft2<T>,
}

impl<T: Real> SpectrumTransform<T> {
    fn try_new(sizes: &SpectrumSizes) -> Result<Self> {
        Ok(Self { plan: LanesRfft2::try_new(sizes.height, sizes.width)? })
    }

    /// 1/√(H·W).
    fn scale(&self) -> T {
        T::cast((self.plan.height() * self.plan.width()) as f64).sqrt().recip()
    }

    fn image_plane(&self, batch: usize) -> usize {
        self.plan.height() * self.plan.width() * batch
    }

    fn spectrum_plane(&self, batch: usize) -> usize {
        self.plan.height() * self.plan.half_width() * 2 * batch
    }

    /// Multiplies the columns that stand for two of the full spectrum by `factor`.
    fn scale_paired_columns(&self, batch: usize, spectrum: &mut [T], factor: T) {
        let half_width = self.plan.half_width();
        for (bin, values) in spectrum.chunks_exact_mut(2 * batch).enumerate() {
            if multiplicity(bin % half_width, self.plan.width()) == 2 {
                values.iter_mut().for_each(|value| *value *= factor);
            }
        }
    }

    fn to_spectrum(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input: images, output: spectra, .. } = io;
        spectra
            .par_chunks_mut(self.spectrum_plane(batch))
            .zip(images.par_chunks(self.image_plane(batch)))
            .for_each_init(
                || self.plan.scratch(),
                |scratch: &mut Vec<ComplexLanes<T>>, (spectrum, image)| {
                    self.plan.forward(batch, image, spectrum, self.scale(), scratch);
                },
            );
    }

    /// `grad_image = √(H·W)·irfft2(grad_spectrum/m)`, with 1/(H·W) in `irfft2`.
    fn to_spectrum_adjoint(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input: grad_spectra, output: grad_images, .. } = io;
        let plane = self.spectrum_plane(batch);
        grad_images
            .par_chunks_mut(self.image_plane(batch))
            .zip(grad_spectra.par_chunks(plane))
            .for_each_init(
                || (self.plan.scratch(), vec![T::ZERO; plane]),
                |(scratch, weighted), (grad_image, grad_spectrum)| {
                    weighted.copy_from_slice(grad_spectrum);
                    self.scale_paired_columns(batch, weighted, T::cast(0.5));
                    self.plan.inverse(batch, weighted, grad_image, self.scale(), scratch);
                },
            );
    }

    fn to_image(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input: spectra, output: images, .. } = io;
        images
            .par_chunks_mut(self.image_plane(batch))
            .zip(spectra.par_chunks(self.spectrum_plane(batch)))
            .for_each_init(
                || self.plan.scratch(),
                |scratch, (image, spectrum)| {
                    self.plan.inverse(batch, spectrum, image, self.scale(), scratch);
                },
            );
    }

    /// `grad_spectrum = m/√(H·W)·rfft2(grad_image)`.
    fn to_image_adjoint(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input: grad_images, output: grad_spectra, .. } = io;
        grad_spectra
            .par_chunks_mut(self.spectrum_plane(batch))
            .zip(grad_images.par_chunks(self.image_plane(batch)))
            .for_each_init(
                || self.plan.scratch(),
                |scratch, (grad_spectrum, grad_image)| {
                    self.plan.forward(batch, grad_image, grad_spectrum, self.scale(), scratch);
                    self.scale_paired_columns(batch, grad_spectrum, T::cast(2.0));
                },
            );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_adjoint, noise};
    use cfconv_fft::{Complex, FftNorm, naive};
    use ndarray::Array2;

    const SIZES: [(usize, usize, usize, usize); 8] = [
        (1, 1, 1, 1),
        (2, 1, 6, 3),
        (3, 5, 1, 17),
        (2, 4, 4, 16),
        (1, 3, 7, 2),
        (2, 8, 5, 1),
        (1, 7, 10, 33),
        (3, 6, 8, 5),
    ];

    #[test]
    fn transforms_equal_their_definitions() {
        for (channels, height, width, batch) in SIZES {
            let sizes = SpectrumSizes { channels, height, width };
            let transform = SpectrumTransform::<f64>::try_new(&sizes).unwrap();
            let images = noise(1, sizes.image_len(batch));
            let mut spectra = vec![f64::NAN; sizes.len(batch)];
            let io = ForwardSlices { batch, input: &images, params: &[], output: &mut spectra };
            transform.to_spectrum(io);
            // Any half spectra, those of no image included.
            let other = noise(2, spectra.len());
            let mut back = vec![f64::NAN; images.len()];
            transform.to_image(ForwardSlices { batch, input: &other, params: &[], output: &mut back });
            for c in 0..channels {
                for b in 0..batch {
                    let pixel = |(h, w): (usize, usize)| ((c * height + h) * width + w) * batch + b;
                    let bin =
                        |p: usize, q: usize| (((c * height + p) * sizes.half_width() + q) * 2) * batch + b;
                    let image = Array2::from_shape_fn((height, width), |at| images[pixel(at)]);
                    let expected = naive::rfft2(image.view(), FftNorm::Ortho);
                    for ((p, q), z) in expected.indexed_iter() {
                        let got = Complex::new(spectra[bin(p, q)], spectra[bin(p, q) + batch]);
                        assert!((got - z).norm() < 1e-13, "{sizes:?} at ({p}, {q}): {got} ≠ {z}");
                    }
                    let spectrum = Array2::from_shape_fn((height, sizes.half_width()), |(p, q)| {
                        Complex::new(other[bin(p, q)], other[bin(p, q) + batch])
                    });
                    let expected = naive::irfft2(spectrum.view(), width, FftNorm::Ortho);
                    for (at, x) in expected.indexed_iter() {
                        assert!((back[pixel(at)] - x).abs() < 1e-13, "{sizes:?} at {at:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn adjoints_pass_dot_tests() {
        for (channels, height, width, batch) in SIZES {
            let sizes = SpectrumSizes { channels, height, width };
            let transform = SpectrumTransform::<f64>::try_new(&sizes).unwrap();
            let (image, spectrum) = (sizes.image_len(batch), sizes.len(batch));
            assert_adjoint(
                &sizes,
                batch,
                (image, spectrum),
                |io| transform.to_spectrum(io),
                |io| transform.to_spectrum_adjoint(io),
            );
            assert_adjoint(
                &sizes,
                batch,
                (spectrum, image),
                |io| transform.to_image(io),
                |io| transform.to_image_adjoint(io),
            );
        }
    }
}
