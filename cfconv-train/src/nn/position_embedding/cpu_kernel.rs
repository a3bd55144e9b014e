//! Position embedding on the processor.

use cfconv_fft::Real;
use rayon::prelude::*;

use super::PositionEmbeddingOp;
use crate::device::{Cpu, Result, Span, SpanMut};
use crate::nn::VALUES_PER_TASK;

impl PositionEmbeddingOp for Cpu {
    fn position_embedding(
        &self,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "position_embedding";
        input.expect_len(OP, "input", params.len() * batch)?;
        output.expect_len(OP, "output", params.len() * batch)?;
        position_embedding(batch, input.as_slice(), params.as_slice(), output.into_slice());
        Ok(())
    }

    fn position_embedding_vjp(
        &self,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "position_embedding_vjp";
        grad_output.expect_len(OP, "grad_output", grad_params.len() * batch)?;
        if let Some(grad_input) = grad_input {
            grad_input.expect_len(OP, "grad_input", grad_output.len())?;
            grad_input.into_slice().copy_from_slice(grad_output.as_slice());
        }
        add_sums_over_images(batch, grad_output.as_slice(), grad_params.into_slice());
        Ok(())
    }
}

fn position_embedding<T: Real>(batch: usize, input: &[T], params: &[T], output: &mut [T]) {
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

fn add_sums_over_images<T: Real>(batch: usize, grad_output: &[T], grad_params: &mut [T]) {
    let positions = (VALUES_PER_TASK / batch).max(1);
    grad_params.par_chunks_mut(positions).zip(grad_output.par_chunks(positions * batch)).for_each(
        |(grad_params, grad_output)| {
            for (grad_param, row) in grad_params.iter_mut().zip(grad_output.chunks_exact(batch)) {
                *grad_param += row.iter().copied().sum::<T>();
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_gradient, dot, noise};

    #[test]
    fn vjp_matches_central_differences() {
        for (positions, batch) in [(1, 1), (7, 17), (30, 2)] {
            let (input, params) = (noise(1, positions * batch), noise(2, positions));
            let weights = noise(3, input.len());
            let loss = |input: &[f64], params: &[f64]| {
                let mut output = vec![f64::NAN; weights.len()];
                position_embedding(batch, input, params, &mut output);
                dot(&output, &weights)
            };
            let mut grad_params = vec![2.0; positions];
            add_sums_over_images(batch, &weights, &mut grad_params);
            let added: Vec<f64> = grad_params.iter().map(|g| g - 2.0).collect();
            assert_gradient(|x| loss(x, &params), &input, &weights);
            assert_gradient(|p| loss(&input, p), &params, &added);
        }
    }
}
