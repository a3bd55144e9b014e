//! Self-attention on the processor: projections are 1×1 convolutions, heads run along the lanes of the batch.
//!
//! Between the projections an image block's tokens lie together: for each block of lanes and each head q, k, v and
//! o, `[tokens, head channels]` lanes each. A task takes one head of one block.

use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use cfconv_fft::Real;
use cfconv_fft::lanes::{load_lanes, store_lanes};
use cfconv_fft::simd::{LANES, dispatch};
use rayon::prelude::*;

use super::head::{HeadBackward, HeadForward, HeadSizes};
use super::{SelfAttentionMemory, SelfAttentionOp, SelfAttentionPlan, SelfAttentionSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward, OpSizes};

/// q, k, v and o.
const PARTS: usize = 4;

/// The place of o among the parts.
const OUTPUTS: usize = 3;

impl SelfAttentionOp for Cpu {
    type PreparedSelfAttention = SelfAttention;

    fn self_attention_saved_len(&self, plan: &SelfAttentionPlan<Self>, batch: usize) -> usize {
        plan.prepared.saved_len(batch)
    }

    fn self_attention_scratch_bytes(&self, plan: &SelfAttentionPlan<Self>) -> usize {
        plan.prepared.projection.scratch_bytes() + plan.prepared.output_projection.scratch_bytes()
    }

    fn self_attention_planned_bytes(&self, plan: &SelfAttentionPlan<Self>) -> usize {
        let SelfAttention { projection, output_projection, .. } = &plan.prepared;
        let threads = rayon::current_num_threads();
        projection.planned_scratch_bytes(threads) + output_projection.planned_scratch_bytes(threads)
    }

    fn prepare_self_attention(&self, sizes: &SelfAttentionSizes) -> Result<SelfAttention> {
        Ok(SelfAttention::new(*sizes))
    }

    fn self_attention_kernel(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let SelfAttentionMemory { saved, scratch } = memory;
        plan.prepared.forward(saved.into_slice(), scratch.into_slice(), io.into_slices());
        Ok(())
    }

    fn self_attention_vjp_kernel(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        let SelfAttentionMemory { saved, scratch } = memory;
        plan.prepared.backward(saved.into_slice(), scratch.into_slice(), io.into_slices());
        Ok(())
    }
}

/// Both projections.
#[derive(Clone, Debug)]
pub struct SelfAttention<T: Real = f32> {
    sizes: SelfAttentionSizes,
    projection: DirectConv<T>,
    output_projection: DirectConv<T>,
}

impl<T: Real> SelfAttention<T> {
    fn new(sizes: SelfAttentionSizes) -> Self {
        let pointwise = |out_channels| {
            DirectConv::new(DirectConvSizes {
                in_channels: sizes.channels,
                out_channels,
                height: sizes.height,
                width: sizes.width,
                kernel_size: 1,
                padding: PaddingMode::Zeros,
            })
        };
        Self {
            sizes,
            projection: pointwise(3 * sizes.channels),
            output_projection: pointwise(sizes.channels),
        }
    }

    fn head(&self) -> HeadSizes {
        HeadSizes { tokens: self.sizes.tokens(), channels: self.sizes.head_channels() }
    }

    /// Blocks of lanes are always whole.
    fn saved_len(&self, batch: usize) -> usize {
        PARTS * self.sizes.input_len(batch.next_multiple_of(LANES))
    }

    /// Lanes of one head of one block.
    fn head_len(&self) -> usize {
        PARTS * self.head().part_len()
    }

    /// See [`SelfAttentionOp::self_attention`].
    fn forward(&self, saved: &mut [T], scratch: &mut [T], io: ForwardSlices<'_, T>) {
        let ForwardSlices { batch, input, params, output } = io;
        let sizes = &self.sizes;
        let (weights, biases) = params.split_at(sizes.num_weights());
        let (qkv_weight, out_weight) = weights.split_at(3 * sizes.channels * sizes.channels);
        let biases = sizes.bias.then(|| biases.split_at(3 * sizes.channels));
        let saved = saved.as_chunks_mut::<LANES>().0;
        self.projection.forward(batch, input, qkv_weight, biases.map(|(qkv, _)| qkv), scratch);
        self.pack(batch, 0, scratch, saved);
        let head = self.head();
        saved.par_chunks_mut(self.head_len()).for_each_init(
            || vec![[T::ZERO; LANES]; head.forward_scratch_len()],
            |scratch, parts| dispatch(HeadForward { sizes: head, parts, scratch }),
        );
        let heads = &mut scratch[..sizes.input_len(batch)];
        self.unpack(batch, OUTPUTS, saved, heads);
        self.output_projection.forward(batch, heads, out_weight, biases.map(|(_, out)| out), output);
    }

    /// See [`SelfAttentionOp::self_attention_vjp`].
    fn backward(&self, saved: &mut [T], scratch: &mut [T], io: BackwardSlices<'_, T>) {
        let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
        let sizes = &self.sizes;
        let qkv_len = 3 * sizes.channels * sizes.channels;
        let (qkv_weight, out_weight) = params[..sizes.num_weights()].split_at(qkv_len);
        let (grad_weights, grad_biases) = grad_params.split_at_mut(sizes.num_weights());
        let (grad_qkv_weight, grad_out_weight) = grad_weights.split_at_mut(qkv_len);
        let (grad_qkv_bias, grad_out_bias) = match sizes.bias {
            true => grad_biases.split_at_mut_checked(3 * sizes.channels).unzip(),
            false => (None, None),
        };
        let saved = saved.as_chunks_mut::<LANES>().0;
        // 1. The projection behind the heads.
        let heads = &mut scratch[..sizes.input_len(batch)];
        self.unpack(batch, OUTPUTS, saved, heads);
        self.output_projection.backward_weight(batch, heads, grad_output, grad_out_weight, grad_out_bias);
        self.output_projection.backward_input(batch, grad_output, out_weight, heads);
        // 2. The heads, in place.
        self.pack(batch, OUTPUTS, heads, saved);
        let head = self.head();
        saved.par_chunks_mut(self.head_len()).for_each_init(
            || vec![[T::ZERO; LANES]; head.backward_scratch_len()],
            |scratch, parts| dispatch(HeadBackward { sizes: head, parts, scratch }),
        );
        // 3. The projection to queries, keys and values.
        self.unpack(batch, 0, saved, scratch);
        self.projection.backward_weight(batch, input, scratch, grad_qkv_weight, grad_qkv_bias);
        if let Some(grad_input) = grad_input {
            self.projection.backward_input(batch, scratch, qkv_weight, grad_input);
        }
    }

    /// Copies planes `[n·C, T, B]` to n parts from number `first` on. Lanes without an image are zero.
    fn pack(&self, batch: usize, first: usize, planes: &[T], packed: &mut [[T; LANES]]) {
        let HeadSizes { tokens, channels } = self.head();
        let parts = planes.len() / self.sizes.input_len(batch);
        packed.par_chunks_mut(self.head_len()).enumerate().for_each(|(index, packed)| {
            let (block, head) = (index / self.sizes.heads, index % self.sizes.heads);
            let lanes = block * LANES..batch.min((block + 1) * LANES);
            for part in 0..parts {
                let target = &mut packed[(first + part) * tokens * channels..][..tokens * channels];
                for j in 0..channels {
                    let channel = part * self.sizes.channels + head * channels + j;
                    let plane = &planes[channel * tokens * batch..][..tokens * batch];
                    let targets = target[j..].iter_mut().step_by(channels);
                    for (target, images) in targets.zip(plane.chunks_exact(batch)) {
                        *target = load_lanes(&images[lanes.clone()]);
                    }
                }
            }
        });
    }

    /// The reverse of [`pack`](Self::pack).
    fn unpack(&self, batch: usize, first: usize, packed: &[[T; LANES]], planes: &mut [T]) {
        let HeadSizes { tokens, channels } = self.head();
        planes.par_chunks_mut(tokens * batch).enumerate().for_each(|(channel, plane)| {
            let (part, channel) = (channel / self.sizes.channels, channel % self.sizes.channels);
            let (head, j) = (channel / channels, channel % channels);
            for (block, lane) in (0..batch).step_by(LANES).enumerate() {
                let lanes = lane..batch.min(lane + LANES);
                let source = &packed[(block * self.sizes.heads + head) * self.head_len()..];
                let source = source[(first + part) * tokens * channels + j..].iter().step_by(channels);
                for (images, source) in plane.chunks_exact_mut(batch).zip(source) {
                    store_lanes(source, &mut images[lanes.clone()]);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_vjp, noise};

    /// Channels, rows, columns, heads, batch: one token, one head, one channel a head, a prime number of tokens,
    /// more tokens than a tile of queries.
    const SHAPES: [(usize, usize, usize, usize, usize); 6] = [
        (1, 1, 1, 1, 1),
        (4, 1, 1, 2, 3),
        (2, 2, 3, 1, 2),
        (3, 1, 5, 3, 1),
        (4, 3, 5, 2, 2),
        (2, 1, 3, 1, 17),
    ];

    #[test]
    fn vjp_matches_central_differences() {
        for (channels, height, width, heads, batch) in SHAPES {
            for bias in [true, false] {
                let sizes = SelfAttentionSizes { channels, height, width, heads, bias };
                let plan = SelfAttention::<f64>::new(sizes);
                let large = |seed, len| noise(seed, len).iter().map(|x| 3.0 * x).collect::<Vec<_>>();
                let (input, params) = (large(1, sizes.input_len(batch)), large(2, sizes.num_parameters()));
                let scratch = || vec![f64::NAN; sizes.scratch_len(batch)];
                let mut saved = vec![f64::NAN; plan.saved_len(batch)];
                let mut output = vec![f64::NAN; input.len()];
                let io = ForwardSlices { batch, input: &input, params: &params, output: &mut output };
                plan.forward(&mut saved, &mut scratch(), io);
                assert_vjp(
                    batch,
                    &input,
                    &params,
                    input.len(),
                    |io| plan.forward(&mut saved.clone(), &mut scratch(), io),
                    |io| plan.backward(&mut saved.clone(), &mut scratch(), io),
                );
            }
        }
    }
}
