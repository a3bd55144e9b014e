//! Fully connected layers on the processor, along the lanes of the batch.

use cfconv_fft::Real;
use cfconv_fft::lanes::{load_lanes, store_lanes};
use cfconv_fft::simd::{Isa, Kernel, LANES, dispatch};
use rayon::prelude::*;

use super::{LinearOp, LinearSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

/// Rows of a matrix whose sums are held in registers together.
const ROWS: usize = 4;

impl LinearOp for Cpu {
    fn linear_kernel(&self, sizes: &LinearSizes, io: Forward<'_, Self>) -> Result<()> {
        linear(sizes, io.into_slices());
        Ok(())
    }

    fn linear_vjp_kernel(&self, sizes: &LinearSizes, io: Backward<'_, Self>) -> Result<()> {
        linear_vjp(sizes, io.into_slices());
        Ok(())
    }
}

/// See [`LinearOp::linear`].
fn linear<T: Real>(sizes: &LinearSizes, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, params, output } = io;
    let (weight, bias) = params.split_at(sizes.num_weights());
    let in_features = sizes.in_features;
    output.par_chunks_mut(ROWS * batch).enumerate().for_each(|(block, output)| {
        let first = block * ROWS;
        let start = std::array::from_fn(|j| bias.get(first + j).copied().unwrap_or(T::ZERO));
        // weight[o, i] at o·in_features + i
        let matrix = Matrix { values: weight, row: in_features, column: 1, columns: in_features };
        dispatch(MultiplyRows { matrix, first, start, batch, input, output });
    });
}

/// See [`LinearOp::linear_vjp`].
fn linear_vjp<T: Real>(sizes: &LinearSizes, io: BackwardSlices<'_, T>) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let LinearSizes { in_features, out_features, .. } = *sizes;
    let weight = &params[..sizes.num_weights()];
    let (grad_weight, grad_bias) = grad_params.split_at_mut(sizes.num_weights());
    // 1. dW[o, i] += Σ_b dy[o, b]·x[i, b] and db[o] += Σ_b dy[o, b].
    grad_weight.par_chunks_mut(in_features).zip(grad_output.par_chunks(batch)).for_each(
        |(grad_weight, grad_output)| {
            dispatch(AddRowProducts { batch, grad_output, input, grad_weight });
        },
    );
    for (grad_bias, grad_output) in grad_bias.iter_mut().zip(grad_output.chunks(batch)) {
        *grad_bias += grad_output.iter().copied().sum::<T>();
    }
    // 2. dx[i, b] = Σ_o W[o, i]·dy[o, b]: the same product with the transposed matrix.
    if let Some(grad_input) = grad_input {
        grad_input.par_chunks_mut(ROWS * batch).enumerate().for_each(|(block, grad_input)| {
            let matrix = Matrix { values: weight, row: 1, column: in_features, columns: out_features };
            dispatch(MultiplyRows {
                matrix,
                first: block * ROWS,
                start: [T::ZERO; ROWS],
                batch,
                input: grad_output,
                output: grad_input,
            });
        });
    }
}

/// A matrix with any strides.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    values: &'a [T],
    row: usize,
    column: usize,
    columns: usize,
}

/// `output[r, b] = start[r] + Σ_c matrix[first + r, c]·input[c, b]` for up to `ROWS` rows.
struct MultiplyRows<'a, T> {
    matrix: Matrix<'a, T>,
    first: usize,
    start: [T; ROWS],
    batch: usize,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Real> Kernel for MultiplyRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { matrix, first, start, batch, input, output } = self;
        let rows = output.len() / batch;
        for lane in (0..batch).step_by(LANES) {
            let lanes = lane..batch.min(lane + LANES);
            let mut sums = start.map(|value| [value; LANES]);
            for c in 0..matrix.columns {
                let x = load_lanes(&input[c * batch..][lanes.clone()]);
                for r in 0..ROWS {
                    // Rows beyond the last repeat it; their sums are not stored.
                    let row = first + r.min(rows - 1);
                    let value = matrix.values[row * matrix.row + c * matrix.column];
                    for l in 0..LANES {
                        sums[r][l] = isa.mul_add(value, x[l], sums[r][l]);
                    }
                }
            }
            for (sums, output) in sums.iter().zip(output.chunks_mut(batch)) {
                store_lanes(sums, &mut output[lanes.clone()]);
            }
        }
    }
}

/// `grad_weight[i] += Σ_b grad_output[b]·input[i, b]` for one output feature.
struct AddRowProducts<'a, T> {
    batch: usize,
    grad_output: &'a [T],
    input: &'a [T],
    grad_weight: &'a mut [T],
}

impl<T: Real> Kernel for AddRowProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (grad_weight, input) in self.grad_weight.iter_mut().zip(self.input.chunks(self.batch)) {
            let mut lanes = [T::ZERO; LANES];
            for (a, b) in self.grad_output.chunks(LANES).zip(input.chunks(LANES)) {
                let (a, b) = (load_lanes(a), load_lanes(b));
                for l in 0..LANES {
                    lanes[l] = isa.mul_add(a[l], b[l], lanes[l]);
                }
            }
            *grad_weight += lanes.iter().copied().sum::<T>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::OpSizes;
    use crate::nn::testing::{assert_vjp, noise};

    #[test]
    fn vjp_matches_central_differences() {
        for (in_features, out_features, batch, bias) in
            [(1, 1, 1, true), (7, 5, 17, true), (16, 4, 2, false), (3, 9, 16, true)]
        {
            let sizes = LinearSizes { in_features, out_features, bias };
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let len = sizes.output_len(batch);
            assert_vjp(batch, &input, &params, len, |io| linear(&sizes, io), |io| linear_vjp(&sizes, io));
        }
    }
}
