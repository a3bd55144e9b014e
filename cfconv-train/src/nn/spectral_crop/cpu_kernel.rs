//! Spectral pooling of half spectra on the processor: one task a channel.

use cfconv_fft::Real;
use rayon::prelude::*;

use super::{SpectralCropOp, SpectralCropPlan, SpectralCropSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::ForwardSlices;
use crate::nn::spectral_pool::{KeptRow, kept_rows};
use crate::nn::{Forward, SpectrumSizes};

/// Which rows and columns are kept.
#[derive(Clone, Debug)]
pub struct SpectralCrop {
    large: SpectrumSizes,
    small: SpectrumSizes,
    rows: Vec<KeptRow>,
}

impl SpectralCropOp for Cpu {
    type PreparedSpectralCrop = SpectralCrop;

    fn prepare_spectral_crop(&self, sizes: &SpectralCropSizes) -> Result<SpectralCrop> {
        Ok(SpectralCrop::new(sizes))
    }

    fn spectral_crop_kernel(&self, plan: &SpectralCropPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.forward(io.into_slices());
        Ok(())
    }

    fn spectral_crop_adjoint_kernel(
        &self,
        plan: &SpectralCropPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        plan.prepared.adjoint(io.into_slices());
        Ok(())
    }
}

impl SpectralCrop {
    fn new(sizes: &SpectralCropSizes) -> Self {
        let (large, small) = (sizes.large(), sizes.small());
        Self { large, small, rows: kept_rows(large.height, small.height) }
    }

    fn scale<T: Real>(&self) -> T {
        let pixels = |sizes: &SpectrumSizes| (sizes.height * sizes.width) as f64;
        T::cast((pixels(&self.small) / pixels(&self.large)).sqrt())
    }

    /// The smaller grid's Nyquist column, if the larger grid has it twice: at +1/2 and −1/2.
    fn shared_column(&self) -> Option<usize> {
        let width = self.small.width;
        (width.is_multiple_of(2) && width < self.large.width).then_some(width / 2)
    }

    fn forward<T: Real>(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input, output, .. } = io;
        let (large_row, small_row) = (
            self.large.plane_len(batch) / self.large.height,
            self.small.plane_len(batch) / self.small.height,
        );
        let scale = self.scale::<T>();
        output
            .par_chunks_mut(self.small.plane_len(batch))
            .zip(input.par_chunks(self.large.plane_len(batch)))
            .for_each(|(output, input)| {
                for (small, kept) in output.chunks_exact_mut(small_row).zip(&self.rows) {
                    let source = &input[kept.large * large_row..][..small_row];
                    match kept.mirror {
                        None => small.iter_mut().zip(source).for_each(|(small, &large)| {
                            *small = scale * large;
                        }),
                        Some(mirror) => {
                            let mirror = &input[mirror * large_row..][..small_row];
                            let half = scale * T::cast(0.5);
                            for (small, (&large, &mirror)) in small.iter_mut().zip(source.iter().zip(mirror))
                            {
                                *small = half * (large + mirror);
                            }
                        }
                    }
                }
                if let Some(column) = self.shared_column() {
                    hermitian_column(output, small_row, column * 2 * batch, batch);
                }
            });
    }

    /// The scatter of what forward gathers; the Hermitian part of a column is its own adjoint.
    fn adjoint<T: Real>(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input: grad_output, output: grad_input, .. } = io;
        let (large_row, small_row) = (
            self.large.plane_len(batch) / self.large.height,
            self.small.plane_len(batch) / self.small.height,
        );
        let scale = self.scale::<T>();
        grad_input
            .par_chunks_mut(self.large.plane_len(batch))
            .zip(grad_output.par_chunks(self.small.plane_len(batch)))
            .for_each_init(
                || vec![T::ZERO; self.small.plane_len(batch)],
                |small, (grad_input, grad_output)| {
                    grad_input.fill(T::ZERO);
                    small.copy_from_slice(grad_output);
                    if let Some(column) = self.shared_column() {
                        hermitian_column(small, small_row, column * 2 * batch, batch);
                    }
                    for (small, kept) in small.chunks_exact_mut(small_row).zip(&self.rows) {
                        let factor = if kept.mirror.is_some() { scale * T::cast(0.5) } else { scale };
                        small.iter_mut().for_each(|value| *value *= factor);
                        for row in std::iter::once(kept.large).chain(kept.mirror) {
                            grad_input[row * large_row..][..small_row].copy_from_slice(small);
                        }
                    }
                },
            );
    }
}

/// Replaces the column whose bins lie `at` behind the start of each row by its Hermitian part,
/// `(Z[p] + conj Z[−p])/2`.
fn hermitian_column<T: Real>(spectrum: &mut [T], row_len: usize, at: usize, batch: usize) {
    let height = spectrum.len() / row_len;
    let half = T::cast(0.5);
    for p in 0..=height / 2 {
        let mirror = (height - p) % height;
        if p == mirror {
            // Its own mirror: the real part.
            spectrum[p * row_len + at + batch..][..batch].fill(T::ZERO);
        } else if p < mirror {
            let (upper, lower) = spectrum.split_at_mut(mirror * row_len);
            let (re, im) = upper[p * row_len + at..][..2 * batch].split_at_mut(batch);
            let (mirror_re, mirror_im) = lower[at..][..2 * batch].split_at_mut(batch);
            for b in 0..batch {
                re[b] = half * (re[b] + mirror_re[b]);
                im[b] = half * (im[b] - mirror_im[b]);
                (mirror_re[b], mirror_im[b]) = (re[b], -im[b]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::SpectralPoolSizes;
    use crate::nn::testing::{SPECTRAL_POOLS, assert_adjoint, noise};

    fn plan(
        (height, width, output_height, output_width, _): (usize, usize, usize, usize, usize),
    ) -> SpectralCrop {
        let sizes = SpectralPoolSizes { channels: 2, height, width, output_height, output_width };
        SpectralCrop::new(&SpectralCropSizes(sizes))
    }

    #[test]
    fn forward_equals_its_definition() {
        for shape in SPECTRAL_POOLS {
            let (height, width, small_height, small_width, batch) = shape;
            let plan = plan(shape);
            let z = noise(1, plan.large.len(batch));
            let mut y = vec![f64::NAN; plan.small.len(batch)];
            plan.forward(ForwardSlices { batch, input: &z, params: &[], output: &mut y });
            // Real (part 0) or imaginary part of a bin of signed frequencies, q possibly negative.
            let large = |c: usize, p: i64, q: i64, part: usize, b: usize| -> f64 {
                let (row, sign) = if q < 0 { (-p, [1.0, -1.0][part]) } else { (p, 1.0) };
                let row = row.rem_euclid(height as i64) as usize;
                let bin = (c * height + row) * plan.large.half_width() + q.unsigned_abs() as usize;
                sign * z[(bin * 2 + part) * batch + b]
            };
            // The frequencies of the larger grid that a frequency of the smaller grid stands for.
            let sources = |p: i64, small: usize, large: usize| -> Vec<i64> {
                if 2 * p.unsigned_abs() as usize == small && small < large { vec![p, -p] } else { vec![p] }
            };
            let scale = ((small_height * small_width) as f64 / (height * width) as f64).sqrt();
            for (at, &got) in y.iter().enumerate() {
                let (b, part, bin) = (at % batch, at / batch % 2, at / batch / 2);
                let (q, rest) = (bin % plan.small.half_width(), bin / plan.small.half_width());
                let (p, c) = (rest % small_height, rest / small_height);
                let p = if 2 * p < small_height { p as i64 } else { p as i64 - small_height as i64 };
                let rows = sources(p, small_height, height);
                let columns = sources(q as i64, small_width, width);
                let mut expected = 0.0;
                for &row in &rows {
                    for &column in &columns {
                        expected +=
                            large(c, row, column, part, b) * scale / (rows.len() * columns.len()) as f64;
                    }
                }
                assert!((got - expected).abs() < 1e-14, "{shape:?} at {at}: {got} ≠ {expected}");
            }
        }
    }

    #[test]
    fn adjoint_passes_dot_test() {
        for shape in SPECTRAL_POOLS {
            let (plan, batch) = (plan(shape), shape.4);
            let lens = (plan.large.len(batch), plan.small.len(batch));
            assert_adjoint(&shape, batch, lens, |io| plan.forward(io), |io| plan.adjoint(io));
        }
    }
}
