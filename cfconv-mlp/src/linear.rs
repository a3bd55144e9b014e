//! One fully connected layer on a tile of positions.
//!
//! Activations are stored `[features][stride]`, positions contiguous, of which the first `len` count.
//! Products with weights run along the positions, a block of lanes at a time; the weights' own gradient, which
//! sums over positions, goes through the crate `gemm`, on the calling thread.

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

/// A matrix as the products read it: groups of [`ROW_BLOCK`] rows, `[⌈rows/6⌉][columns]`, the last one filled up
/// with zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedMatrix<T> {
    rows: usize,
    columns: usize,
    groups: Vec<[T; ROW_BLOCK]>,
}

/// Rows whose sums are in registers together: with two 256-bit registers each, they take twelve of sixteen and
/// leave the rest to the input and a weight.
const ROW_BLOCK: usize = 6;

impl<T: Real> PackedMatrix<T> {
    /// Packs a weight `[out_features, in_features]` for [`linear`].
    pub(crate) fn pack(&mut self, weight: &[T], out_features: usize, in_features: usize) {
        self.pack_elements(out_features, in_features, |o, i| weight[o * in_features + i]);
    }

    /// Packs the transpose of a weight `[out_features, in_features]`, from input `first_input` on, for
    /// [`linear_vjp_input`].
    pub(crate) fn pack_transposed(
        &mut self,
        weight: &[T],
        out_features: usize,
        in_features: usize,
        first_input: usize,
    ) {
        self.pack_elements(in_features - first_input, out_features, |i, o| {
            weight[o * in_features + first_input + i]
        });
    }

    fn pack_elements(&mut self, rows: usize, columns: usize, element: impl Fn(usize, usize) -> T) {
        (self.rows, self.columns) = (rows, columns);
        self.groups.clear();
        for first in (0..rows).step_by(ROW_BLOCK) {
            self.groups.extend((0..columns).map(|column| {
                std::array::from_fn(|j| if first + j < rows { element(first + j, column) } else { T::ZERO })
            }));
        }
    }
}

/// `output[o][p] = bias[o] + Σ_i weight[o][i]·input[i][p]`, in every lane of the stride.
pub(crate) fn linear<T: Real>(
    stride: usize,
    weight: &PackedMatrix<T>,
    bias: &[T],
    input: &[T],
    output: &mut [T],
) {
    multiply_tile(stride, weight, Some(bias), input, output);
}

/// Gradient of [`linear`] with respect to its input, overwritten:
/// `grad_input[i][p] = Σ_o weight[o][i]·grad_output[o][p]`, in every lane of the stride.
pub(crate) fn linear_vjp_input<T: Real>(
    stride: usize,
    transposed: &PackedMatrix<T>,
    grad_output: &[T],
    grad_input: &mut [T],
) {
    multiply_tile(stride, transposed, None, grad_output, grad_input);
}

/// Compiled once for each scalar and instruction set: callers stay small.
#[inline(never)]
fn multiply_tile<T: Real>(
    stride: usize,
    matrix: &PackedMatrix<T>,
    bias: Option<&[T]>,
    input: &[T],
    output: &mut [T],
) {
    dispatch(MultiplyTile { stride, matrix, bias, input, output });
}

/// `output[row][p] = bias[row] + Σ_k matrix[row][k]·input[k][p]`.
struct MultiplyTile<'a, T> {
    stride: usize,
    matrix: &'a PackedMatrix<T>,
    bias: Option<&'a [T]>,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Real> Kernel for MultiplyTile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { stride, matrix: &PackedMatrix { rows, columns, ref groups }, bias, input, output } = self;
        let input = &input[..columns * stride];
        // One block of lanes of every feature stays in the first cache level while all rows use it.
        for lane in (0..stride).step_by(LANES) {
            for (block, group) in groups.chunks_exact(columns).enumerate() {
                let first = block * ROW_BLOCK;
                let count = ROW_BLOCK.min(rows - first);
                let mut sums: [I::Lanes<T>; ROW_BLOCK] = std::array::from_fn(|j| {
                    isa.splat(match bias {
                        Some(bias) if j < count => bias[first + j],
                        _ => T::ZERO,
                    })
                });
                for (weights, row) in group.iter().zip(input.chunks_exact(stride)) {
                    let x = isa.load(row[lane..].first_chunk().expect("the stride is whole lanes"));
                    for j in 0..ROW_BLOCK {
                        sums[j] = isa.fma(isa.splat(weights[j]), x, sums[j]);
                    }
                }
                for (j, sum) in sums.into_iter().enumerate().take(count) {
                    let target = output[(first + j) * stride + lane..].first_chunk_mut();
                    isa.store(sum, target.expect("the stride is whole lanes"));
                }
            }
        }
    }
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
