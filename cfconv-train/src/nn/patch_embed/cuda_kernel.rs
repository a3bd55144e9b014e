//! Patch embedding on the CUDA device: patches laid out as channels, then a matrix product.

use super::{PatchEmbedOp, PatchEmbedPlan, PatchEmbedSizes};
use crate::device::cuda::{Convolution, Grid, Launcher, SpatialConvolution, count, launch, part};
use crate::device::{Result, Span, SpanMut};
use crate::nn::{Backward, Forward};

impl<L: Launcher> PatchEmbedOp for L {
    /// The product that follows the patches.
    type PreparedPatchEmbed = Convolution;

    fn patch_embed_scratch_bytes(&self, _plan: &PatchEmbedPlan<Self>) -> usize {
        0
    }

    fn patch_embed_planned_bytes(&self, plan: &PatchEmbedPlan<Self>) -> usize {
        plan.prepared.planned_bytes()
    }

    fn prepare_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<Convolution> {
        let pixels = sizes.output_height() * sizes.output_width();
        Ok(Convolution::pointwise(sizes.patch_len(), sizes.out_channels, pixels))
    }

    fn patch_embed_kernel(
        &self,
        plan: &PatchEmbedPlan<Self>,
        mut scratch: SpanMut<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        move_patches(self, &plan.sizes, io.batch, false, io.input, scratch.reborrow())?;
        plan.prepared.layer_forward(self, Forward { input: scratch.into_span(), ..io })
    }

    fn patch_embed_vjp_kernel(
        &self,
        plan: &PatchEmbedPlan<Self>,
        mut scratch: SpanMut<'_, Self>,
        mut io: Backward<'_, Self>,
    ) -> Result<()> {
        let (sizes, batch, grad_input) = (&plan.sizes, io.batch, io.grad_input.take());
        move_patches(self, sizes, batch, false, io.checked_input(), scratch.reborrow())?;
        let (params, grad_output) = (io.params, io.grad_output);
        plan.prepared.layer_backward(self, Backward { input: Some(scratch.reborrow().into_span()), ..io })?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        let weight = part(params, 0..sizes.num_weights());
        plan.prepared.backward_input(self, batch, grad_output, weight, scratch.reborrow())?;
        move_patches(self, sizes, batch, true, scratch.into_span(), grad_input)
    }
}

/// `patches[(i, p, q), h, w, b] = images[i, s·h + p, s·w + q, b]`, or with `scatter` the reverse.
fn move_patches<L: Launcher>(
    device: &L,
    sizes: &PatchEmbedSizes,
    batch: usize,
    scatter: bool,
    source: Span<'_, L>,
    target: SpanMut<'_, L>,
) -> Result<()> {
    let PatchEmbedSizes { in_channels, height, width, size, .. } = *sizes;
    let grid = Grid::over(count(source.len()), L::THREADS);
    launch!(device, "patches", grid, source, target, in_channels, height, width, size, batch, scatter)
}
