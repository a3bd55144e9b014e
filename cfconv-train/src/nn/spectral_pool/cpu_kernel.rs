//! Spectral pooling on the processor: one task a channel, by transforms along the lanes of the batch.

use cfconv_fft::Real;
use cfconv_fft::lanes::{ComplexLanes, LanesRfft2};
use rayon::prelude::*;

use super::kept_rows::{KeptRow, kept_rows};
use super::{SpectralPoolOp, SpectralPoolPlan, SpectralPoolSizes};
use crate::device::{Cpu, Result};
use crate::nn::Forward;
use crate::nn::slices::ForwardSlices;

impl SpectralPoolOp for Cpu {
    type PreparedSpectralPool = SpectralPool<f32>;

    fn prepare_spectral_pool(&self, sizes: &SpectralPoolSizes) -> Result<SpectralPool<f32>> {
        SpectralPool::try_new(sizes)
    }

    fn spectral_pool_kernel(&self, plan: &SpectralPoolPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.forward(io.into_slices());
        Ok(())
    }

    fn spectral_pool_adjoint_kernel(
        &self,
        plan: &SpectralPoolPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        plan.prepared.adjoint(io.into_slices());
        Ok(())
    }
}

/// Transforms of both sizes.
#[derive(Clone, Debug)]
pub struct SpectralPool<T> {
    large: LanesRfft2<T>,
    small: LanesRfft2<T>,
    rows: Vec<KeptRow>,
}

/// Working memory of one task.
struct Scratch<T> {
    large: Vec<ComplexLanes<T>>,
    small: Vec<ComplexLanes<T>>,
    large_spectrum: Vec<T>,
    small_spectrum: Vec<T>,
}

impl<T: Real> SpectralPool<T> {
    fn try_new(sizes: &SpectralPoolSizes) -> Result<Self> {
        Ok(Self {
            large: LanesRfft2::try_new(sizes.height, sizes.width)?,
            small: LanesRfft2::try_new(sizes.output_height, sizes.output_width)?,
            rows: kept_rows(sizes.height, sizes.output_height),
        })
    }

    fn scratch(&self, batch: usize) -> Scratch<T> {
        let spectrum = |plan: &LanesRfft2<T>| vec![T::ZERO; plan.height() * plan.half_width() * 2 * batch];
        Scratch {
            large: self.large.scratch(),
            small: self.small.scratch(),
            large_spectrum: spectrum(&self.large),
            small_spectrum: spectrum(&self.small),
        }
    }

    /// 1/(HW) of the larger grid, in both directions: values are kept, not sums.
    fn scale(&self) -> T {
        T::cast(1.0 / (self.large.height() * self.large.width()) as f64)
    }

    fn input_plane(&self, batch: usize) -> usize {
        self.large.height() * self.large.width() * batch
    }

    fn output_plane(&self, batch: usize) -> usize {
        self.small.height() * self.small.width() * batch
    }

    fn forward(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input, output, .. } = io;
        let bin = 2 * batch;
        let (large_row, small_row) = (self.large.half_width() * bin, self.small.half_width() * bin);
        output
            .par_chunks_mut(self.output_plane(batch))
            .zip(input.par_chunks(self.input_plane(batch)))
            .for_each_init(
                || self.scratch(batch),
                |scratch, (output, input)| {
                    let spectrum = &mut scratch.large_spectrum;
                    self.large.forward(batch, input, spectrum, self.scale(), &mut scratch.large);
                    let rows = scratch.small_spectrum.chunks_mut(small_row).zip(&self.rows);
                    for (small, kept) in rows {
                        small.copy_from_slice(&spectrum[kept.large * large_row..][..small_row]);
                        if let Some(mirror) = kept.mirror {
                            let mirror = &spectrum[mirror * large_row..][..small_row];
                            for (small, &mirror) in small.iter_mut().zip(mirror) {
                                *small = (*small + mirror) * T::cast(0.5);
                            }
                        }
                    }
                    // The inverse takes the Hermitian part of the smaller grid's Nyquist column: the mean of
                    // the columns of frequency +1/2 and −1/2.
                    self.small.inverse(batch, &scratch.small_spectrum, output, T::ONE, &mut scratch.small);
                },
            );
    }

    fn adjoint(&self, io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input: grad_output, output: grad_input, .. } = io;
        let bin = 2 * batch;
        let (large_row, small_row) = (self.large.half_width() * bin, self.small.half_width() * bin);
        // The smaller grid's Nyquist column, if the larger grid has it twice: at +1/2 and −1/2.
        let nyquist = (self.small.width().is_multiple_of(2) && self.small.width() < self.large.width())
            .then(|| (self.small.half_width() - 1) * bin);
        grad_input
            .par_chunks_mut(self.input_plane(batch))
            .zip(grad_output.par_chunks(self.output_plane(batch)))
            .for_each_init(
                || self.scratch(batch),
                |scratch, (grad_input, grad_output)| {
                    let spectrum = &mut scratch.large_spectrum;
                    spectrum.fill(T::ZERO);
                    self.small.forward(
                        batch,
                        grad_output,
                        &mut scratch.small_spectrum,
                        self.scale(),
                        &mut scratch.small,
                    );
                    let half = T::cast(0.5);
                    for (small, kept) in scratch.small_spectrum.chunks_mut(small_row).zip(&self.rows) {
                        if let Some(nyquist) = nyquist {
                            small[nyquist..].iter_mut().for_each(|value| *value *= half);
                        }
                        if let Some(mirror) = kept.mirror {
                            small.iter_mut().for_each(|value| *value *= half);
                            spectrum[mirror * large_row..][..small_row].copy_from_slice(small);
                        }
                        spectrum[kept.large * large_row..][..small_row].copy_from_slice(small);
                    }
                    self.large.inverse(batch, spectrum, grad_input, T::ONE, &mut scratch.large);
                },
            );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{SPECTRAL_POOLS, assert_adjoint, noise};
    use std::f64::consts::TAU;

    fn pool(
        (height, width, output_height, output_width, _): (usize, usize, usize, usize, usize),
    ) -> SpectralPool<f64> {
        SpectralPool::try_new(&SpectralPoolSizes { channels: 2, height, width, output_height, output_width })
            .unwrap()
    }

    /// Weight of frequency p in an axis of the smaller size: 1, or 1/2 at ±1/2 where the larger grid tells them
    /// apart, or 0.
    fn weight(p: i64, large: usize, small: usize) -> f64 {
        let twice = 2 * p.unsigned_abs() as usize;
        match twice.cmp(&small) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal if small < large => 0.5,
            // Equal sizes: +1/2 and −1/2 are one frequency, counted once.
            std::cmp::Ordering::Equal => f64::from(p < 0),
            std::cmp::Ordering::Greater => 0.0,
        }
    }

    /// One axis of the operation from its definition: y[j] = Σ_n R[j, n]·x[n].
    fn axis(large: usize, small: usize) -> Vec<Vec<f64>> {
        let frequencies = -(large as i64) / 2..=(large as i64) / 2;
        (0..small)
            .map(|j| {
                (0..large)
                    .map(|n| {
                        frequencies
                            .clone()
                            .map(|p| {
                                let turns = p as f64 * (j as f64 / small as f64 - n as f64 / large as f64);
                                weight(p, large, small) * (TAU * turns).cos()
                            })
                            .sum::<f64>()
                            / large as f64
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn forward_equals_its_definition() {
        for shape in SPECTRAL_POOLS {
            let (height, width, output_height, output_width, batch) = shape;
            let pool = pool(shape);
            let x = noise(1, 2 * height * width * batch);
            let mut y = vec![f64::NAN; 2 * output_height * output_width * batch];
            pool.forward(ForwardSlices { batch, input: &x, params: &[], output: &mut y });
            let (rows, columns) = (axis(height, output_height), axis(width, output_width));
            for (index, &got) in y.iter().enumerate() {
                let (b, pixel) = (index % batch, index / batch);
                let (q, rest) = (pixel % output_width, pixel / output_width);
                let (p, c) = (rest % output_height, rest / output_height);
                let mut expected = 0.0;
                for h in 0..height {
                    for w in 0..width {
                        expected +=
                            rows[p][h] * columns[q][w] * x[((c * height + h) * width + w) * batch + b];
                    }
                }
                assert!((got - expected).abs() < 1e-12, "{shape:?} at {index}: {got} ≠ {expected}");
            }
        }
    }

    #[test]
    fn adjoint_passes_dot_test() {
        for shape in SPECTRAL_POOLS {
            let (height, width, output_height, output_width, batch) = shape;
            let pool = pool(shape);
            let lens = (2 * height * width * batch, 2 * output_height * output_width * batch);
            assert_adjoint(&shape, batch, lens, |io| pool.forward(io), |io| pool.adjoint(io));
        }
    }
}
