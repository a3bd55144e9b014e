//! Self-attention on the CUDA device: projections are matrix products, between them a thread takes one token of one
//! head of one image.

use super::{SelfAttentionMemory, SelfAttentionOp, SelfAttentionPlan, SelfAttentionSizes};
use crate::device::Result;
use crate::device::cuda::{
    Convolution, Grid, Launcher, Scratch, SpatialConvolution, add_channel_sums, count, launch, part, part_mut,
};
use crate::nn::{Backward, Forward, OpPlan, OpSizes};

/// Both projections.
#[derive(Clone, Copy, Debug)]
pub struct CudaSelfAttention {
    projection: Convolution,
    output_projection: Convolution,
}

impl SelfAttentionSizes {
    /// Where queries, keys and values end, then the heads' outputs; behind them the rows' sums of exponentials.
    fn saved_ends(&self, batch: usize) -> (usize, usize, usize) {
        let len = self.input_len(batch);
        (3 * len, 4 * len, 4 * len + self.heads * self.tokens() * batch)
    }

    /// Where the weights of the first projection end, then of both; behind them the biases of both.
    fn weight_ends(&self) -> (usize, usize) {
        (3 * self.channels * self.channels, self.num_weights())
    }
}

impl<L: Launcher> SelfAttentionOp for L {
    type PreparedSelfAttention = CudaSelfAttention;

    fn self_attention_saved_len(&self, plan: &SelfAttentionPlan<Self>, batch: usize) -> usize {
        plan.sizes.saved_ends(batch).2
    }

    fn self_attention_scratch_bytes(&self, _plan: &SelfAttentionPlan<Self>) -> usize {
        0
    }

    fn self_attention_planned_bytes(&self, plan: &SelfAttentionPlan<Self>) -> usize {
        let CudaSelfAttention { projection, output_projection } = plan.prepared;
        projection.planned_bytes().max(output_projection.planned_bytes())
    }

    fn prepare_self_attention(&self, sizes: &SelfAttentionSizes) -> Result<CudaSelfAttention> {
        let pointwise = |outputs| Convolution::pointwise(sizes.channels, outputs, sizes.tokens());
        Ok(CudaSelfAttention {
            projection: pointwise(3 * sizes.channels),
            output_projection: pointwise(sizes.channels),
        })
    }

    fn self_attention_kernel(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let SelfAttentionMemory { mut saved, mut scratch } = memory;
        let Forward { batch, input, params, output } = io;
        let OpPlan { sizes, prepared: plan } = plan;
        let (qkv_end, heads_end, end) = sizes.saved_ends(batch);
        let (first_end, weights) = sizes.weight_ends();
        let bias = |range| sizes.bias.then(|| part(params, range));
        let first_bias = bias(weights..weights + 3 * sizes.channels);
        let weight = part(params, 0..first_end);
        plan.projection.forward(self, batch, input, weight, first_bias, scratch.reborrow())?;
        self.copy(scratch.reborrow().into_span(), part_mut(&mut saved, 0..qkv_end))?;
        let grid = Grid::over(count(end - heads_end), L::THREADS);
        // Two parts of one buffer cannot be written at once: the outputs go through scratch of their own.
        let mut heads = Scratch::new(self, sizes.input_len(batch))?;
        launch!(
            self,
            "attention_forward",
            grid,
            scratch.into_span(),
            heads.all_mut(),
            part_mut(&mut saved, heads_end..end),
            sizes.channels,
            sizes.heads,
            sizes.tokens(),
            batch
        )?;
        self.copy(heads.all(), part_mut(&mut saved, qkv_end..heads_end))?;
        let out_bias = bias(weights + 3 * sizes.channels..params.len());
        let weight = part(params, first_end..weights);
        plan.output_projection.forward(self, batch, heads.all(), weight, out_bias, output)
    }

    fn self_attention_vjp_kernel(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        let input = io.checked_input();
        let SelfAttentionMemory { saved, mut scratch } = memory;
        let Backward { batch, params, grad_output, grad_input, mut grad_params, .. } = io;
        let OpPlan { sizes, prepared: plan } = plan;
        let (qkv_end, heads_end, end) = sizes.saved_ends(batch);
        let (first_end, weights) = sizes.weight_ends();
        let saved = saved.into_span();
        let heads = part(saved, qkv_end..heads_end);
        // 1. The projection behind the heads.
        let grad_weight = part_mut(&mut grad_params, first_end..weights);
        plan.output_projection.backward_weight(self, batch, heads, grad_output, grad_weight)?;
        let plane = sizes.tokens() * batch;
        let len = grad_params.len();
        if sizes.bias {
            let grad_bias = part_mut(&mut grad_params, weights + 3 * sizes.channels..len);
            add_channel_sums(self, grad_output, plane, grad_bias)?;
        }
        let mut grad_heads = Scratch::new(self, sizes.input_len(batch))?;
        let weight = part(params, first_end..weights);
        plan.output_projection.backward_input(self, batch, grad_output, weight, grad_heads.all_mut())?;
        // 2. The heads.
        let rows = end - heads_end;
        let mut row_sums = Scratch::new(self, rows)?;
        let grid = Grid::over(count(rows), L::THREADS);
        launch!(
            self,
            "attention_row_sums",
            grid,
            heads,
            grad_heads.all(),
            row_sums.all_mut(),
            sizes.channels,
            sizes.heads,
            sizes.tokens(),
            batch
        )?;
        launch!(
            self,
            "attention_vjp",
            grid,
            part(saved, 0..qkv_end),
            part(saved, heads_end..end),
            row_sums.all(),
            grad_heads.all(),
            scratch.reborrow(),
            sizes.channels,
            sizes.heads,
            sizes.tokens(),
            batch
        )?;
        // 3. The projection to queries, keys and values.
        let grad_qkv = scratch.into_span();
        let grad_weight = part_mut(&mut grad_params, 0..first_end);
        plan.projection.backward_weight(self, batch, input, grad_qkv, grad_weight)?;
        if sizes.bias {
            let grad_bias = part_mut(&mut grad_params, weights..weights + 3 * sizes.channels);
            add_channel_sums(self, grad_qkv, plane, grad_bias)?;
        }
        match grad_input {
            Some(grad_input) => {
                let weight = part(params, 0..first_end);
                plan.projection.backward_input(self, batch, grad_qkv, weight, grad_input)
            }
            None => Ok(()),
        }
    }
}
