//! One fully connected layer on a tile of positions.
//!
//! Activations are stored `[features][stride]`, positions contiguous, of which the first `len` count.
//! The products are blocked and vectorised by the crate `gemm`, on the calling thread.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, dispatch};
use gemm::Parallelism;

/// Sizes of a layer on a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearDims {
    pub(crate) in_features: usize,
    pub(crate) out_features: usize,
    /// Positions in the tile.
    pub(crate) len: usize,
    /// Distance between features: `len` rounded up to whole lanes.
    pub(crate) stride: usize,
}

/// A matrix operand: element (row, column) is `data[row·row_step + column·column_step]`.
struct Matrix<'a, T> {
    data: &'a [T],
    row_step: usize,
    column_step: usize,
}

/// `dst[m × n] = read·dst + lhs[m × k]·rhs[k × n]`, with rows of dst contiguous (row step 1).
fn product<T: Real>(
    (m, n, k): (usize, usize, usize),
    dst: &mut [T],
    dst_column_step: usize,
    accumulate: bool,
    lhs: &Matrix<'_, T>,
    rhs: &Matrix<'_, T>,
) {
    if m == 0 || n == 0 {
        return;
    }
    let last = |rows: usize, columns: usize, row_step: usize, column_step: usize| {
        rows.saturating_sub(1) * row_step + columns.saturating_sub(1) * column_step
    };
    assert!(last(m, n, 1, dst_column_step) < dst.len());
    assert!(last(m, k, lhs.row_step, lhs.column_step) < lhs.data.len());
    assert!(last(k, n, rhs.row_step, rhs.column_step) < rhs.data.len());
    assert!(n == 1 || dst_column_step >= m, "columns of dst overlap");
    // SAFETY: the largest index of every operand was just checked against its slice, the smallest is 0, and
    // columns of dst do not overlap; dst is borrowed mutably, so it aliases neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            dst_column_step as isize,
            1,
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_step as isize,
            lhs.row_step as isize,
            rhs.data.as_ptr(),
            rhs.column_step as isize,
            rhs.row_step as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `output[o][p] = bias[o] + Σ_i weight[o][i]·input[i][p]`.
pub(crate) fn linear<T: Real>(dims: LinearDims, weight: &[T], bias: &[T], input: &[T], output: &mut [T]) {
    let LinearDims { in_features, out_features, len, stride } = dims;
    debug_assert_eq!(weight.len(), out_features * in_features);
    for (row, &bias) in output.chunks_exact_mut(stride).zip(&bias[..out_features]) {
        row.fill(bias);
    }
    let lhs = Matrix { data: input, row_step: 1, column_step: stride };
    let rhs = Matrix { data: weight, row_step: 1, column_step: in_features };
    product((len, out_features, in_features), output, stride, true, &lhs, &rhs);
}

/// Gradient of [`linear`] with respect to its input, overwritten:
/// `grad_input[i][p] = Σ_o weight[o][i]·grad_output[o][p]`, for the inputs from `first_input` on.
pub(crate) fn linear_vjp_input<T: Real>(
    dims: LinearDims,
    weight: &[T],
    grad_output: &[T],
    first_input: usize,
    grad_input: &mut [T],
) {
    let LinearDims { in_features, out_features, len, stride } = dims;
    let lhs = Matrix { data: grad_output, row_step: 1, column_step: stride };
    let rhs = Matrix { data: &weight[first_input..], row_step: in_features, column_step: 1 };
    product((len, in_features - first_input, out_features), grad_input, stride, false, &lhs, &rhs);
}

/// Gradient of [`linear`] with respect to its weight, accumulated:
/// `grad_weight[o][i] += Σ_p grad_output[o][p]·input[i][p]`.
pub(crate) fn linear_vjp_weight<T: Real>(
    dims: LinearDims,
    input: &[T],
    grad_output: &[T],
    grad_weight: &mut [T],
) {
    let LinearDims { in_features, out_features, len, stride } = dims;
    let lhs = Matrix { data: input, row_step: stride, column_step: 1 };
    let rhs = Matrix { data: grad_output, row_step: 1, column_step: stride };
    product((in_features, out_features, len), grad_weight, in_features, true, &lhs, &rhs);
}

/// Gradient of [`linear`] with respect to its bias, accumulated: `grad_bias[o] += Σ_p grad_output[o][p]`.
pub(crate) fn linear_vjp_bias<T: Real>(dims: LinearDims, grad_output: &[T], grad_bias: &mut [T]) {
    dispatch(RowSums { dims, rows: grad_output, sums: grad_bias });
}

/// `derivative[f][p] *= grad[f][p]`: turns stored derivatives into gradients of the pre-activations.
pub(crate) fn scale_by<T: Real>(derivative: &mut [T], grad: &[T]) {
    dispatch(ScaleBy { derivative, grad });
}

struct RowSums<'a, T> {
    dims: LinearDims,
    rows: &'a [T],
    sums: &'a mut [T],
}

impl<T: Real> Kernel for RowSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        let LinearDims { len, stride, .. } = self.dims;
        for (row, sum) in self.rows.chunks_exact(stride).zip(self.sums) {
            let row = &row[..len];
            let mut lanes = [T::zero(); LANES];
            let (blocks, tail) = row.as_chunks::<LANES>();
            for block in blocks {
                for lane in 0..LANES {
                    lanes[lane] += block[lane];
                }
            }
            for (lane, &value) in lanes.iter_mut().zip(tail) {
                *lane += value;
            }
            *sum += sum_lanes(lanes);
        }
    }
}

struct ScaleBy<'a, T> {
    derivative: &'a mut [T],
    grad: &'a [T],
}

impl<T: Real> Kernel for ScaleBy<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        for (derivative, &grad) in self.derivative.iter_mut().zip(self.grad) {
            *derivative *= grad;
        }
    }
}

/// Sum of all lanes, halving: a fixed order.
#[inline(always)]
pub(crate) fn sum_lanes<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}
