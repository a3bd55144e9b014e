//! Patch embedding on the CUDA device: patches laid out as channels, then a matrix product.

use super::{PatchEmbedOp, PatchEmbedSizes};
use crate::device::cuda::{Convolution, Grid, Launcher, count, launch, part};
use crate::device::{DeviceError, Result, Span, SpanMut};

/// The product that follows the patches.
#[derive(Clone, Copy, Debug)]
pub struct CudaPatchEmbedPlan {
    sizes: PatchEmbedSizes,
    conv: Convolution,
}

impl<L: Launcher> PatchEmbedOp for L {
    type PatchEmbedPlan = CudaPatchEmbedPlan;

    fn plan_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<CudaPatchEmbedPlan> {
        const OP: &str = "patch_embed";
        for (name, got) in [
            ("in_channels", sizes.in_channels),
            ("out_channels", sizes.out_channels),
            ("height", sizes.height),
            ("width", sizes.width),
            ("size", sizes.size),
        ] {
            if got == 0 {
                return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "at least 1", got });
            }
        }
        for (name, got) in [("height", sizes.height), ("width", sizes.width)] {
            if !got.is_multiple_of(sizes.size) {
                let expected = "a multiple of the size of a patch";
                return Err(DeviceError::UnsupportedSize { op: OP, name, expected, got });
            }
        }
        let pixels = sizes.output_height() * sizes.output_width();
        let conv = Convolution::pointwise(sizes.patch_len(), sizes.out_channels, pixels);
        Ok(CudaPatchEmbedPlan { sizes: *sizes, conv })
    }

    fn patch_embed_scratch_bytes(&self, _plan: &CudaPatchEmbedPlan) -> usize {
        0
    }

    fn patch_embed_planned_bytes(&self, plan: &CudaPatchEmbedPlan) -> usize {
        plan.conv.planned_bytes()
    }

    fn patch_embed(
        &self,
        plan: &CudaPatchEmbedPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        mut scratch: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "patch_embed";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.input_len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        scratch.expect_len(OP, "scratch", sizes.input_len(batch))?;
        output.expect_len(OP, "output", sizes.output_len(batch))?;
        let weights = sizes.num_weights();
        let bias = sizes.bias.then(|| part(params, weights..params.len()));
        move_patches(self, sizes, batch, false, input, scratch.reborrow())?;
        plan.conv.forward(self, batch, scratch.into_span(), part(params, 0..weights), bias, output)
    }

    fn patch_embed_vjp(
        &self,
        plan: &CudaPatchEmbedPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        mut scratch: SpanMut<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "patch_embed_vjp";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.input_len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        scratch.expect_len(OP, "scratch", sizes.input_len(batch))?;
        grad_output.expect_len(OP, "grad_output", sizes.output_len(batch))?;
        if let Some(grad_input) = &grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.input_len(batch))?;
        }
        grad_params.expect_len(OP, "grad_params", sizes.num_parameters())?;
        move_patches(self, sizes, batch, false, input, scratch.reborrow())?;
        let patches = scratch.reborrow().into_span();
        plan.conv.backward_params(self, batch, patches, grad_output, grad_params)?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        let weight = part(params, 0..sizes.num_weights());
        plan.conv.backward_input(self, batch, grad_output, weight, scratch.reborrow())?;
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
