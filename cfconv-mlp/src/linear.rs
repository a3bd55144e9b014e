//! One fully connected layer on a tile of positions.
//!
//! Each position has a row of features; rows are [`row_stride`] values apart. All three products, the layer and its
//! two gradients, run along features, a block of lanes at a time, with a few rows' sums in registers. The layer's
//! output and the gradient of its input are products of rows with a matrix; the gradient of its weight is a sum of
//! outer products of rows. None of them needs a transposed copy of anything but the weight.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, LaneVec, dispatch};

/// Distance between rows of `features` values: whole blocks of lanes.
pub(crate) fn row_stride(features: usize) -> usize {
    features.next_multiple_of(LANES)
}

/// Rows of features, one for each position of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) stride: usize,
}

/// Outputs of a layer that gives one complex value: too few for lanes to run along them.
const PAIR: usize = 2;

/// A matrix `[inner, outputs]` as the products read it: for each block of outputs, a row of lanes for each inner
/// index; zero beyond the outputs. The weight of a layer with [`PAIR`] outputs is stored the other way around.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedMatrix<T> {
    inner: usize,
    /// `[⌈outputs/LANES⌉][inner]`
    panels: LaneVec<T>,
    /// Zero for gradients.
    bias: LaneVec<T>,
}

impl<T: Real> PackedMatrix<T> {
    /// Packs a weight `[out_features, in_features]` and its bias for [`linear`].
    pub(crate) fn pack(&mut self, weight: &[T], bias: &[T], in_features: usize) {
        if bias.len() == PAIR {
            self.pack_elements(PAIR, in_features, |o, i| weight[o * in_features + i]);
        } else {
            self.pack_elements(in_features, bias.len(), |i, o| weight[o * in_features + i]);
        }
        self.bias.as_flattened_mut()[..bias.len()].copy_from_slice(bias);
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
        self.pack_elements(out_features, in_features - first_input, |o, i| {
            weight[o * in_features + first_input + i]
        });
    }

    fn pack_elements(&mut self, inner: usize, outputs: usize, element: impl Fn(usize, usize) -> T) {
        self.inner = inner;
        let blocks = outputs.div_ceil(LANES);
        self.panels.reset(blocks * inner);
        self.bias.reset(blocks);
        for (block, panel) in self.panels.chunks_exact_mut(inner).enumerate() {
            let outputs = block * LANES..outputs.min((block + 1) * LANES);
            for (k, row) in panel.iter_mut().enumerate() {
                for (value, o) in row.iter_mut().zip(outputs.clone()) {
                    *value = element(k, o);
                }
            }
        }
    }
}

/// `output[p][o] = bias[o] + Σ_i weight[o][i]·input[p][i]` for each of `len` positions; zero from the last output
/// to the end of its block of lanes. `out_features` is that of the matrix, of which it decides the form.
pub(crate) fn linear<T: Real>(
    len: usize,
    out_features: usize,
    matrix: &PackedMatrix<T>,
    input: Rows<'_, T>,
    output: &mut [T],
    output_stride: usize,
) {
    if out_features == PAIR {
        dispatch(PairOfOutputs { len, matrix, input, output, output_stride });
    } else {
        dispatch(RowsTimesMatrix::<T, false> { len, matrix, input, output, output_stride });
    }
}

/// Gradient of [`linear`] with respect to its input, `Σ_o weight[o][i]·grad_output[p][o]`: with `SCALE`, each value
/// of `target` (a derivative) is multiplied by it, else it is written there.
pub(crate) fn linear_vjp_input<T: Real, const SCALE: bool>(
    len: usize,
    transposed: &PackedMatrix<T>,
    grad_output: Rows<'_, T>,
    target: &mut [T],
    target_stride: usize,
) {
    dispatch(RowsTimesMatrix::<T, SCALE> {
        len,
        matrix: transposed,
        input: grad_output,
        output: target,
        output_stride: target_stride,
    });
}

/// Sum of a layer's gradients over positions, in the order in which they are summed fastest.
#[derive(Clone, Debug)]
pub(crate) struct GradLinear<T> {
    in_features: usize,
    out_features: usize,
    /// Lanes run along the longer side: `[in][⌈out/LANES⌉]` or `[out][⌈in/LANES⌉]`.
    weight: LaneVec<T>,
    bias: LaneVec<T>,
}

impl<T: Real> GradLinear<T> {
    pub(crate) fn new(in_features: usize, out_features: usize) -> Self {
        let (short, long) = (in_features.min(out_features), in_features.max(out_features));
        Self {
            in_features,
            out_features,
            weight: LaneVec::zeros(short * long.div_ceil(LANES)),
            bias: LaneVec::zeros(out_features.div_ceil(LANES)),
        }
    }

    fn lanes_are_outputs(&self) -> bool {
        self.out_features >= self.in_features
    }

    /// Adds `grad_output[p][o]·input[p][i]` of `len` positions to the weight's gradient, `grad_output[p][o]` to the
    /// bias'.
    pub(crate) fn accumulate(&mut self, len: usize, input: Rows<'_, T>, grad_output: Rows<'_, T>) {
        let (short, long, features) = if self.lanes_are_outputs() {
            (input, grad_output, self.in_features)
        } else {
            (grad_output, input, self.out_features)
        };
        dispatch(OuterProducts { len, features, short, long, sums: &mut self.weight });
        dispatch(ColumnSums { len, rows: grad_output, sums: &mut self.bias });
    }

    /// Adds the gradients to `grad_weight` `[out_features, in_features]` and `grad_bias`, and starts again from zero.
    pub(crate) fn drain_into(&mut self, grad_weight: &mut [T], grad_bias: &mut [T]) {
        let long = self.in_features.max(self.out_features).next_multiple_of(LANES);
        let (o_step, i_step) = if self.lanes_are_outputs() { (1, long) } else { (long, 1) };
        let sums = self.weight.as_flattened_mut();
        for (o, row) in grad_weight.chunks_exact_mut(self.in_features).enumerate() {
            for (i, value) in row.iter_mut().enumerate() {
                *value += sums[o * o_step + i * i_step];
            }
        }
        sums.fill(T::ZERO);
        let sums = self.bias.as_flattened_mut();
        for (value, &sum) in grad_bias.iter_mut().zip(&*sums) {
            *value += sum;
        }
        sums.fill(T::ZERO);
    }
}

/// Calls `$call` for runs of indices that cover `0..$count`, with the first index of each and its length as a
/// constant: one of `$length`, the first that fits.
macro_rules! in_runs {
    ($count:expr, [$($length:literal),+], |$first:ident, $run:ident| $call:expr) => {{
        let (mut $first, count) = (0, $count);
        $(
            while count - $first >= $length {
                const $run: usize = $length;
                $call;
                $first += $length;
            }
        )+
    }};
}

/// Calls `$call` for tiles of rows × blocks of lanes that cover all of them, with as many sums as the instruction set
/// has registers for. Tiles are wide rather than high: a row costs an address of its own in the inner loop.
macro_rules! in_tiles {
    ($isa:ty, ($rows:expr, $blocks:expr), |$row:ident, $height:ident, $block:ident, $width:ident| $call:expr) => {
        in_runs!($rows, [6, 4, 2, 1], |$row, $height| if <$isa>::WIDE {
            in_runs!($blocks, [4, 2, 1], |$block, $width| $call);
        } else {
            in_runs!($blocks, [1], |$block, $width| $call);
        })
    };
}

/// `output[p][o] = bias[o] + Σ_k input[p][k]·matrix[k][o]`, or with `SCALE` `output[p][o] *=` that.
struct RowsTimesMatrix<'a, T, const SCALE: bool> {
    len: usize,
    matrix: &'a PackedMatrix<T>,
    input: Rows<'a, T>,
    output: &'a mut [T],
    output_stride: usize,
}

impl<T: Real, const SCALE: bool> Kernel for RowsTimesMatrix<'_, T, SCALE> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        // The matrix stays in the first cache level while all rows pass.
        let blocks = self.matrix.bias.len();
        in_tiles!(I, (self.len, blocks), |row, ROWS, block, BLOCKS| {
            self.tile::<I, ROWS, BLOCKS>(isa, row, block);
        });
    }
}

impl<T: Real, const SCALE: bool> RowsTimesMatrix<'_, T, SCALE> {
    #[inline(always)]
    fn tile<I: Isa, const ROWS: usize, const BLOCKS: usize>(&mut self, isa: I, first: usize, block: usize) {
        let &PackedMatrix { inner, ref panels, ref bias, .. } = self.matrix;
        let input: [&[T]; ROWS] =
            std::array::from_fn(|j| &self.input.values[(first + j) * self.input.stride..][..inner]);
        let panels: [&[[T; LANES]]; BLOCKS] =
            std::array::from_fn(|b| &panels[(block + b) * inner..][..inner]);
        let mut weights = [isa.splat(T::ZERO); BLOCKS];
        for b in 0..BLOCKS {
            weights[b] = isa.load(&bias[block + b]);
        }
        let mut sums = [weights; ROWS];
        for k in 0..inner {
            for b in 0..BLOCKS {
                weights[b] = isa.load(&panels[b][k]);
            }
            for j in 0..ROWS {
                let x = isa.splat(input[j][k]);
                for b in 0..BLOCKS {
                    sums[j][b] = isa.fma(x, weights[b], sums[j][b]);
                }
            }
        }
        for j in 0..ROWS {
            let start = (first + j) * self.output_stride + block * LANES;
            let (targets, _) = self.output[start..].as_chunks_mut();
            for b in 0..BLOCKS {
                let sum = sums[j][b];
                let value = if SCALE { isa.mul(sum, isa.load(&targets[b])) } else { sum };
                isa.store(value, &mut targets[b]);
            }
        }
    }
}

/// As [`RowsTimesMatrix`], for [`PAIR`] outputs: lanes run along the inputs and are summed at the end.
struct PairOfOutputs<'a, T> {
    len: usize,
    matrix: &'a PackedMatrix<T>,
    input: Rows<'a, T>,
    output: &'a mut [T],
    output_stride: usize,
}

impl<T: Real> Kernel for PairOfOutputs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let mut first = 0;
        while self.len - first >= 3 {
            self.rows::<I, 3>(isa, first);
            first += 3;
        }
        for first in first..self.len {
            self.rows::<I, 1>(isa, first);
        }
    }
}

impl<T: Real> PairOfOutputs<'_, T> {
    #[inline(always)]
    fn rows<I: Isa, const RUN: usize>(&mut self, isa: I, first: usize) {
        let (weights, _) = self.matrix.panels.as_chunks::<PAIR>();
        let mut sums = [[isa.splat(T::ZERO); PAIR]; RUN];
        for (block, weights) in weights.iter().enumerate() {
            for j in 0..RUN {
                let start = (first + j) * self.input.stride + block * LANES;
                let x = isa.load(self.input.values[start..].first_chunk().expect("rows are whole lanes"));
                for o in 0..PAIR {
                    sums[j][o] = isa.fma(x, isa.load(&weights[o]), sums[j][o]);
                }
            }
        }
        let bias = self.matrix.bias[0];
        for j in 0..RUN {
            let target = &mut self.output[(first + j) * self.output_stride..][..PAIR];
            for o in 0..PAIR {
                target[o] = bias[o] + isa.sum(sums[j][o]);
            }
        }
    }
}

/// `sums[s][l] += Σ_p short[p][s]·long[p][l]`.
struct OuterProducts<'a, T> {
    len: usize,
    /// Features of a row of `short`.
    features: usize,
    short: Rows<'a, T>,
    long: Rows<'a, T>,
    /// `[features][blocks of lanes]`
    sums: &'a mut [[T; LANES]],
}

impl<T: Real> Kernel for OuterProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let blocks = self.sums.len() / self.features;
        in_tiles!(I, (self.features, blocks), |first, RUN, block, BLOCKS| {
            self.tile::<I, RUN, BLOCKS>(isa, first, block);
        });
    }
}

impl<T: Real> OuterProducts<'_, T> {
    #[inline(always)]
    fn tile<I: Isa, const RUN: usize, const BLOCKS: usize>(&mut self, isa: I, first: usize, block: usize) {
        let blocks = self.sums.len() / self.features;
        let short = self.short.values.chunks_exact(self.short.stride).take(self.len);
        let long = self.long.values.chunks_exact(self.long.stride);
        let mut sums = [[isa.splat(T::ZERO); BLOCKS]; RUN];
        for j in 0..RUN {
            for b in 0..BLOCKS {
                sums[j][b] = isa.load(&self.sums[(first + j) * blocks + block + b]);
            }
        }
        for (short, long) in short.zip(long) {
            let short: &[T; RUN] = short[first..].first_chunk().expect("a run ends within the row");
            let (long, _) = long[block * LANES..].as_chunks();
            let long: &[[T; LANES]; BLOCKS] = long.first_chunk().expect("rows are whole lanes");
            for j in 0..RUN {
                let factor = isa.splat(short[j]);
                for b in 0..BLOCKS {
                    sums[j][b] = isa.fma(factor, isa.load(&long[b]), sums[j][b]);
                }
            }
        }
        for j in 0..RUN {
            for b in 0..BLOCKS {
                isa.store(sums[j][b], &mut self.sums[(first + j) * blocks + block + b]);
            }
        }
    }
}

/// `sums[l] += Σ_p rows[p][l]`.
struct ColumnSums<'a, T> {
    len: usize,
    rows: Rows<'a, T>,
    sums: &'a mut [[T; LANES]],
}

impl<T: Real> Kernel for ColumnSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (block, total) in self.sums.iter_mut().enumerate() {
            let mut sum = isa.load(total);
            for row in self.rows.values.chunks_exact(self.rows.stride).take(self.len) {
                sum =
                    isa.add(sum, isa.load(row[block * LANES..].first_chunk().expect("rows are whole lanes")));
            }
            isa.store(sum, total);
        }
    }
}
