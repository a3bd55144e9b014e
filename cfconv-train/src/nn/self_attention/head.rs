//! One head of one block of lanes: softmax attention, forward and backward, a tile of queries at a time.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES};

use super::lane_product::{LaneMatrix, product};
use crate::nn::activation::function::exp;

/// Queries of a tile: a multiple of the rows that the products hold in registers, few enough that two tiles of
/// probabilities over 256 keys fit a level-2 cache.
pub(super) const QUERIES: usize = 12;

/// Tokens and channels of a head.
#[derive(Clone, Copy)]
pub(super) struct HeadSizes {
    pub(super) tokens: usize,
    pub(super) channels: usize,
}

impl HeadSizes {
    /// Lanes of each part: queries, keys, values, outputs; `[tokens, channels]`.
    pub(super) fn part_len(self) -> usize {
        self.tokens * self.channels
    }

    /// Lanes of scratch that [`HeadForward`] needs.
    pub(super) fn forward_scratch_len(self) -> usize {
        QUERIES * self.tokens
    }

    /// Lanes of scratch that [`HeadBackward`] needs.
    pub(super) fn backward_scratch_len(self) -> usize {
        2 * QUERIES * self.tokens + 2 * self.part_len() + QUERIES * self.channels
    }

    fn scale<T: Real>(self) -> T {
        T::cast(1.0 / (self.channels as f64).sqrt())
    }

    /// `[tokens, channels]` from token `first` on.
    #[inline(always)]
    fn by_token<T>(self, part: &[[T; LANES]], first: usize) -> LaneMatrix<'_, T> {
        LaneMatrix { values: &part[first * self.channels..], row: self.channels, column: 1 }
    }

    /// The transpose of [`by_token`](Self::by_token).
    #[inline(always)]
    fn by_channel<T>(self, part: &[[T; LANES]], first: usize) -> LaneMatrix<'_, T> {
        LaneMatrix { values: &part[first * self.channels..], row: 1, column: self.channels }
    }

    /// A tile `[queries, tokens]`.
    #[inline(always)]
    fn by_query<T>(self, tile: &[[T; LANES]]) -> LaneMatrix<'_, T> {
        LaneMatrix { values: tile, row: self.tokens, column: 1 }
    }

    /// The transpose of [`by_query`](Self::by_query).
    #[inline(always)]
    fn by_key<T>(self, tile: &[[T; LANES]]) -> LaneMatrix<'_, T> {
        LaneMatrix { values: tile, row: 1, column: self.tokens }
    }
}

/// `o[t] = Σ_s softmax_s(q[t]·k[s]/√d)·v[s]`.
pub(super) struct HeadForward<'a, T> {
    pub(super) sizes: HeadSizes,
    /// q, k, v, and o, which is overwritten.
    pub(super) parts: &'a mut [[T; LANES]],
    pub(super) scratch: &'a mut [[T; LANES]],
}

impl<T: Real> Kernel for HeadForward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, parts, scratch: tile, .. } = self;
        let HeadSizes { tokens, channels } = sizes;
        let [q, k, v, o] = split_parts(sizes, parts);
        for first in (0..tokens).step_by(QUERIES) {
            let queries = QUERIES.min(tokens - first);
            let tile = &mut tile[..queries * tokens];
            probabilities(isa, sizes, sizes.by_token(q, first), sizes.by_token(k, 0), tile);
            let shape = (queries, channels, tokens);
            let o = &mut o[first * channels..][..queries * channels];
            product::<T, I, false>(isa, shape, sizes.by_query(tile), sizes.by_channel(v, 0), o);
        }
    }
}

/// Gradients of q, k and v from that of o.
pub(super) struct HeadBackward<'a, T> {
    pub(super) sizes: HeadSizes,
    /// q, k, v, and the gradient of o; the first three are overwritten with their gradients.
    pub(super) parts: &'a mut [[T; LANES]],
    pub(super) scratch: &'a mut [[T; LANES]],
}

impl<T: Real> Kernel for HeadBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, parts, scratch } = self;
        let HeadSizes { tokens, channels } = sizes;
        let [q, k, v, grad_o] = split_parts(sizes, parts);
        let (p_tile, scratch) = scratch.split_at_mut(QUERIES * tokens);
        let (s_tile, scratch) = scratch.split_at_mut(QUERIES * tokens);
        let (grad_k, scratch) = scratch.split_at_mut(sizes.part_len());
        let (grad_v, grad_q) = scratch.split_at_mut(sizes.part_len());
        grad_k.fill([T::ZERO; LANES]);
        grad_v.fill([T::ZERO; LANES]);
        for first in (0..tokens).step_by(QUERIES) {
            let queries = QUERIES.min(tokens - first);
            let (p_tile, s_tile) = (&mut p_tile[..queries * tokens], &mut s_tile[..queries * tokens]);
            let grad_q = &mut grad_q[..queries * channels];
            // 1. P again, and dP[t, s] = do[t]·v[s].
            probabilities(isa, sizes, sizes.by_token(q, first), sizes.by_token(k, 0), p_tile);
            let grad_o_tile = sizes.by_token(grad_o, first);
            let shape = (queries, tokens, channels);
            product::<T, I, false>(isa, shape, grad_o_tile, sizes.by_token(v, 0), s_tile);
            // 2. dv[s] += Σ_t P[t, s]·do[t].
            let shape = (tokens, channels, queries);
            let grad_o_tile = sizes.by_channel(grad_o, first);
            product::<T, I, true>(isa, shape, sizes.by_key(p_tile), grad_o_tile, grad_v);
            // 3. dS[t, s] = P[t, s]·(dP[t, s] − Σ_s P·dP)/√d.
            let rows = p_tile.chunks_exact(tokens).zip(s_tile.chunks_exact_mut(tokens));
            for (p, s) in rows {
                softmax_vjp(isa, p, s, sizes.scale());
            }
            // 4. dq[t] = Σ_s dS[t, s]·k[s].
            let shape = (queries, channels, tokens);
            product::<T, I, false>(isa, shape, sizes.by_query(s_tile), sizes.by_channel(k, 0), grad_q);
            // 5. dk[s] += Σ_t dS[t, s]·q[t]; then nobody needs these queries any more.
            let shape = (tokens, channels, queries);
            let q_tile = sizes.by_channel(q, first);
            product::<T, I, true>(isa, shape, sizes.by_key(s_tile), q_tile, grad_k);
            q[first * channels..][..queries * channels].copy_from_slice(grad_q);
        }
        k.copy_from_slice(grad_k);
        v.copy_from_slice(grad_v);
    }
}

#[inline(always)]
fn split_parts<T>(sizes: HeadSizes, parts: &mut [[T; LANES]]) -> [&mut [[T; LANES]]; 4] {
    let (q, rest) = parts.split_at_mut(sizes.part_len());
    let (k, rest) = rest.split_at_mut(sizes.part_len());
    let (v, o) = rest.split_at_mut(sizes.part_len());
    [q, k, v, o]
}

/// `tile[t, s] = softmax_s(q[t]·k[s]/√d)`.
#[inline(always)]
fn probabilities<T: Real, I: Isa>(
    isa: I,
    sizes: HeadSizes,
    queries: LaneMatrix<'_, T>,
    keys: LaneMatrix<'_, T>,
    tile: &mut [[T; LANES]],
) {
    let HeadSizes { tokens, channels } = sizes;
    product::<T, I, false>(isa, (tile.len() / tokens, tokens, channels), queries, keys, tile);
    for row in tile.chunks_exact_mut(tokens) {
        softmax(isa, row, sizes.scale());
    }
}

/// `row[s] ← exp(scale·(row[s] − max))/Σ`, in each lane. The largest exponent is 0: nothing overflows, and the sum is
/// at least 1.
#[inline(always)]
fn softmax<T: Real, I: Isa>(isa: I, row: &mut [[T; LANES]], scale: T) {
    let mut largest = [T::neg_infinity(); LANES];
    for score in &*row {
        for l in 0..LANES {
            largest[l] = if score[l] > largest[l] { score[l] } else { largest[l] };
        }
    }
    let mut sum = [T::ZERO; LANES];
    for score in &mut *row {
        for l in 0..LANES {
            score[l] = exp(isa, scale * (score[l] - largest[l]));
            sum[l] += score[l];
        }
    }
    let share = sum.map(|sum| T::ONE / sum);
    for score in row {
        for l in 0..LANES {
            score[l] *= share[l];
        }
    }
}

/// `grads[s] ← scale·p[s]·(grads[s] − Σ_s p·grads)`, in each lane.
#[inline(always)]
fn softmax_vjp<T: Real, I: Isa>(isa: I, p: &[[T; LANES]], grads: &mut [[T; LANES]], scale: T) {
    let mut mean = isa.splat(T::ZERO);
    for (p, grad) in p.iter().zip(&*grads) {
        mean = isa.fma(isa.load(p), isa.load(grad), mean);
    }
    let scale = isa.splat(scale);
    for (p, grad) in p.iter().zip(grads) {
        let centered = isa.sub(isa.load(grad), mean);
        isa.store(isa.mul(isa.mul(scale, isa.load(p)), centered), grad);
    }
}
