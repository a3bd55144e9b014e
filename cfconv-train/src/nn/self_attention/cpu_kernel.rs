//! Self-attention on the processor: projections are 1×1 convolutions, heads run along the lanes of the batch.
//!
//! Between the projections an image block's tokens lie together: for each block of lanes and each head q, k, v and
//! o, `[tokens, head channels]` lanes each. A task takes one head of one block.

use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use cfconv_fft::Real;
use cfconv_fft::lanes::{load_lanes, store_lanes};
use cfconv_fft::simd::{LANES, dispatch};
use rayon::prelude::*;

use super::head::{Backward, Forward, HeadSizes};
use super::{SelfAttentionOp, SelfAttentionSizes};
use crate::device::{Cpu, DeviceError, Result, Span, SpanMut};

/// q, k, v and o.
const PARTS: usize = 4;

/// The place of o among the parts.
const OUTPUTS: usize = 3;

/// Both projections.
#[derive(Clone, Debug)]
pub struct CpuSelfAttentionPlan<T: Real = f32> {
    sizes: SelfAttentionSizes,
    projection: DirectConv<T>,
    output_projection: DirectConv<T>,
}

impl SelfAttentionOp for Cpu {
    type SelfAttentionPlan = CpuSelfAttentionPlan;

    fn plan_self_attention(&self, sizes: &SelfAttentionSizes) -> Result<CpuSelfAttentionPlan> {
        const OP: &str = "self_attention";
        let SelfAttentionSizes { channels, height, width, heads, .. } = *sizes;
        for (name, got) in [("channels", channels), ("height", height), ("width", width), ("heads", heads)] {
            if got == 0 {
                return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "at least 1", got });
            }
        }
        if !channels.is_multiple_of(heads) {
            let (name, expected) = ("heads", "a divisor of the number of channels");
            return Err(DeviceError::UnsupportedSize { op: OP, name, expected, got: heads });
        }
        Ok(CpuSelfAttentionPlan::new(*sizes))
    }

    fn self_attention_saved_len(&self, plan: &CpuSelfAttentionPlan, batch: usize) -> usize {
        plan.saved_len(batch)
    }

    fn self_attention_scratch_bytes(&self, plan: &CpuSelfAttentionPlan) -> usize {
        plan.projection.scratch_bytes() + plan.output_projection.scratch_bytes()
    }

    fn self_attention_planned_bytes(&self, plan: &CpuSelfAttentionPlan) -> usize {
        let threads = rayon::current_num_threads();
        plan.projection.planned_scratch_bytes(threads) + plan.output_projection.planned_scratch_bytes(threads)
    }

    fn self_attention(
        &self,
        plan: &CpuSelfAttentionPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        saved: SpanMut<'_, Self>,
        scratch: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "self_attention";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        saved.expect_len(OP, "saved", plan.saved_len(batch))?;
        scratch.expect_len(OP, "scratch", sizes.scratch_len(batch))?;
        output.expect_len(OP, "output", sizes.len(batch))?;
        plan.forward(
            batch,
            input.as_slice(),
            params.as_slice(),
            saved.into_slice(),
            scratch.into_slice(),
            output.into_slice(),
        );
        Ok(())
    }

    fn self_attention_vjp(
        &self,
        plan: &CpuSelfAttentionPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        saved: SpanMut<'_, Self>,
        scratch: SpanMut<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "self_attention_vjp";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        saved.expect_len(OP, "saved", plan.saved_len(batch))?;
        scratch.expect_len(OP, "scratch", sizes.scratch_len(batch))?;
        grad_output.expect_len(OP, "grad_output", sizes.len(batch))?;
        if let Some(grad_input) = &grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.len(batch))?;
        }
        grad_params.expect_len(OP, "grad_params", sizes.num_parameters())?;
        plan.backward(
            batch,
            input.as_slice(),
            params.as_slice(),
            saved.into_slice(),
            scratch.into_slice(),
            grad_output.as_slice(),
            grad_input.map(SpanMut::into_slice),
            grad_params.into_slice(),
        );
        Ok(())
    }
}

impl<T: Real> CpuSelfAttentionPlan<T> {
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
        PARTS * self.sizes.len(batch.next_multiple_of(LANES))
    }

    /// Lanes of one head of one block.
    fn head_len(&self) -> usize {
        PARTS * self.head().part_len()
    }

    /// See [`SelfAttentionOp::self_attention`].
    fn forward(
        &self,
        batch: usize,
        input: &[T],
        params: &[T],
        saved: &mut [T],
        scratch: &mut [T],
        output: &mut [T],
    ) {
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
            |scratch, parts| dispatch(Forward { sizes: head, parts, scratch }),
        );
        let heads = &mut scratch[..sizes.len(batch)];
        self.unpack(batch, OUTPUTS, saved, heads);
        self.output_projection.forward(batch, heads, out_weight, biases.map(|(_, out)| out), output);
    }

    /// See [`SelfAttentionOp::self_attention_vjp`].
    fn backward(
        &self,
        batch: usize,
        input: &[T],
        params: &[T],
        saved: &mut [T],
        scratch: &mut [T],
        grad_output: &[T],
        grad_input: Option<&mut [T]>,
        grad_params: &mut [T],
    ) {
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
        let heads = &mut scratch[..sizes.len(batch)];
        self.unpack(batch, OUTPUTS, saved, heads);
        self.output_projection.backward_weight(batch, heads, grad_output, grad_out_weight, grad_out_bias);
        self.output_projection.backward_input(batch, grad_output, out_weight, heads);
        // 2. The heads, in place.
        self.pack(batch, OUTPUTS, heads, saved);
        let head = self.head();
        saved.par_chunks_mut(self.head_len()).for_each_init(
            || vec![[T::ZERO; LANES]; head.backward_scratch_len()],
            |scratch, parts| dispatch(Backward { sizes: head, parts, scratch }),
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
        let parts = planes.len() / self.sizes.len(batch);
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
    use crate::nn::testing::{assert_gradient, dot, noise};

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
                let plan = CpuSelfAttentionPlan::<f64>::new(sizes);
                let large = |seed, len| noise(seed, len).iter().map(|x| 3.0 * x).collect::<Vec<_>>();
                let (input, params) = (large(1, sizes.len(batch)), large(2, sizes.num_parameters()));
                let weights = noise(3, input.len());
                let forward = |input: &[f64], params: &[f64], saved: &mut [f64]| {
                    let mut scratch = vec![f64::NAN; sizes.scratch_len(batch)];
                    let mut output = vec![f64::NAN; weights.len()];
                    plan.forward(batch, input, params, saved, &mut scratch, &mut output);
                    dot(&output, &weights)
                };
                let mut saved = vec![f64::NAN; plan.saved_len(batch)];
                forward(&input, &params, &mut saved);
                let (mut with, mut without) = (vec![2.0; params.len()], vec![2.0; params.len()]);
                let mut grad_input = vec![f64::NAN; input.len()];
                for (grad_input, grad_params) in
                    [(None, &mut without), (Some(&mut grad_input[..]), &mut with)]
                {
                    let mut scratch = vec![f64::NAN; sizes.scratch_len(batch)];
                    let mut saved = saved.clone();
                    plan.backward(
                        batch,
                        &input,
                        &params,
                        &mut saved,
                        &mut scratch,
                        &weights,
                        grad_input,
                        grad_params,
                    );
                }
                assert_eq!(with, without);
                let loss = |input: &[f64], params: &[f64]| forward(input, params, &mut saved.clone());
                assert_gradient(|x| loss(x, &params), &input, &grad_input);
                let added: Vec<f64> = with.iter().map(|g| g - 2.0).collect();
                assert_gradient(|p| loss(&input, p), &params, &added);
            }
        }
    }
}
