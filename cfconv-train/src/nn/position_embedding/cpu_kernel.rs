//! Position embedding on the processor.

use cfconv_fft::Real;
use rayon::prelude::*;

use super::PositionEmbeddingOp;
use crate::device::{Cpu, Result, Span, SpanMut};
use crate::nn::slices::ForwardSlices;
use crate::nn::{Forward, VALUES_PER_TASK};

impl PositionEmbeddingOp for Cpu {
    fn position_embedding_kernel(&self, io: Forward<'_, Self>) -> Result<()> {
        position_embedding(io.into_slices());
        Ok(())
    }

    fn add_sums_over_images(
        &self,
        batch: usize,
        values: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()> {
        add_sums_over_images(batch, values.as_slice(), sums.into_slice());
        Ok(())
    }
}

fn position_embedding<T: Real>(io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, params, output } = io;
    let positions = (VALUES_PER_TASK / batch).max(1);
    output
        .par_chunks_mut(positions * batch)
        .zip(input.par_chunks(positions * batch))
        .zip(params.par_chunks(positions))
        .for_each(|((output, input), params)| {
            let rows = output.chunks_exact_mut(batch).zip(input.chunks_exact(batch));
            for ((output, input), &param) in rows.zip(params) {
                for (y, &x) in output.iter_mut().zip(input) {
                    *y = x + param;
                }
            }
        });
}

fn add_sums_over_images<T: Real>(batch: usize, values: &[T], sums: &mut [T]) {
    let positions = (VALUES_PER_TASK / batch).max(1);
    sums.par_chunks_mut(positions).zip(values.par_chunks(positions * batch)).for_each(|(sums, values)| {
        for (sum, row) in sums.iter_mut().zip(values.chunks_exact(batch)) {
            *sum += row.iter().copied().sum::<T>();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::slices::BackwardSlices;
    use crate::nn::testing::{assert_vjp, noise};

    #[test]
    fn vjp_matches_central_differences() {
        for (positions, batch) in [(1, 1), (7, 17), (30, 2)] {
            let (input, params) = (noise(1, positions * batch), noise(2, positions));
            let backward = |io: BackwardSlices<'_, f64>| {
                if let Some(grad_input) = io.grad_input {
                    grad_input.copy_from_slice(io.grad_output);
                }
                add_sums_over_images(batch, io.grad_output, io.grad_params);
            };
            assert_vjp(batch, &input, &params, input.len(), position_embedding, backward);
        }
    }
}
