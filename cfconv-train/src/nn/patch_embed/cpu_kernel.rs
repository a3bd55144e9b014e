//! Patch embedding on the processor: patches laid out as channels, then a 1×1 convolution.

use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use cfconv_fft::Real;
use rayon::prelude::*;

use super::{PatchEmbedOp, PatchEmbedPlan, PatchEmbedSizes};
use crate::device::{Cpu, Result, SpanMut};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

impl PatchEmbedOp for Cpu {
    /// The convolution of patches, one pixel each.
    type PreparedPatchEmbed = DirectConv<f32>;

    fn patch_embed_scratch_bytes(&self, plan: &PatchEmbedPlan<Self>) -> usize {
        plan.prepared.scratch_bytes()
    }

    fn patch_embed_planned_bytes(&self, plan: &PatchEmbedPlan<Self>) -> usize {
        plan.prepared.planned_scratch_bytes(rayon::current_num_threads())
    }

    fn prepare_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<DirectConv<f32>> {
        Ok(convolution_of_patches(sizes))
    }

    fn patch_embed_kernel(
        &self,
        plan: &PatchEmbedPlan<Self>,
        scratch: SpanMut<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        patch_embed(&plan.sizes, &plan.prepared, scratch.into_slice(), io.into_slices());
        Ok(())
    }

    fn patch_embed_vjp_kernel(
        &self,
        plan: &PatchEmbedPlan<Self>,
        scratch: SpanMut<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        patch_embed_vjp(&plan.sizes, &plan.prepared, scratch.into_slice(), io.into_slices());
        Ok(())
    }
}

fn convolution_of_patches<T: Real>(sizes: &PatchEmbedSizes) -> DirectConv<T> {
    DirectConv::new(DirectConvSizes {
        in_channels: sizes.patch_len(),
        out_channels: sizes.out_channels,
        height: sizes.output_height(),
        width: sizes.output_width(),
        kernel_size: 1,
        padding: PaddingMode::Zeros,
    })
}

/// See [`PatchEmbedOp::patch_embed`].
fn patch_embed<T: Real>(
    sizes: &PatchEmbedSizes,
    conv: &DirectConv<T>,
    scratch: &mut [T],
    io: ForwardSlices<'_, T>,
) {
    let ForwardSlices { batch, input, params, output } = io;
    let (weight, bias) = params.split_at(sizes.num_weights());
    gather(sizes, batch, input, scratch);
    conv.forward(batch, scratch, weight, sizes.bias.then_some(bias), output);
}

/// See [`PatchEmbedOp::patch_embed_vjp`].
fn patch_embed_vjp<T: Real>(
    sizes: &PatchEmbedSizes,
    conv: &DirectConv<T>,
    scratch: &mut [T],
    io: BackwardSlices<'_, T>,
) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let (grad_weight, grad_bias) = grad_params.split_at_mut(sizes.num_weights());
    gather(sizes, batch, input, scratch);
    conv.backward_weight(batch, scratch, grad_output, grad_weight, sizes.bias.then_some(grad_bias));
    if let Some(grad_input) = grad_input {
        conv.backward_input(batch, grad_output, &params[..sizes.num_weights()], scratch);
        scatter(sizes, batch, scratch, grad_input);
    }
}

/// `patches[(i, p, q), h, w, b] = images[i, s·h + p, s·w + q, b]`.
fn gather<T: Real>(sizes: &PatchEmbedSizes, batch: usize, images: &[T], patches: &mut [T]) {
    let PatchEmbedSizes { height, width, size, .. } = *sizes;
    let columns = sizes.output_width();
    let plane_len = sizes.output_height() * columns * batch;
    patches.par_chunks_mut(plane_len).enumerate().for_each(|(feature, plane)| {
        let (i, p, q) = (feature / (size * size), feature / size % size, feature % size);
        for (pixel, target) in plane.chunks_mut(batch).enumerate() {
            let (y, x) = (pixel / columns * size + p, pixel % columns * size + q);
            target.copy_from_slice(&images[((i * height + y) * width + x) * batch..][..batch]);
        }
    });
}

/// The inverse of [`gather`], which is its adjoint.
fn scatter<T: Real>(sizes: &PatchEmbedSizes, batch: usize, patches: &[T], images: &mut [T]) {
    let PatchEmbedSizes { height, width, size, .. } = *sizes;
    let (rows, columns) = (sizes.output_height(), sizes.output_width());
    images.par_chunks_mut(width * batch).enumerate().for_each(|(index, row)| {
        let (i, y) = (index / height, index % height);
        for (x, target) in row.chunks_mut(batch).enumerate() {
            let feature = (i * size + y % size) * size + x % size;
            let pixel = (feature * rows + y / size) * columns + x / size;
            target.copy_from_slice(&patches[pixel * batch..][..batch]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::OpSizes;
    use crate::nn::testing::{assert_vjp, noise};

    #[test]
    fn vjp_matches_central_differences() {
        for (in_channels, out_channels, rows, columns, size, batch) in
            [(1, 1, 1, 1, 1, 1), (2, 3, 2, 1, 3, 17), (3, 5, 1, 3, 2, 2), (1, 2, 1, 1, 5, 3)]
        {
            let (height, width) = (rows * size, columns * size);
            let sizes =
                PatchEmbedSizes { in_channels, out_channels, height, width, size, bias: out_channels != 5 };
            let conv = convolution_of_patches(&sizes);
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let scratch = || vec![f64::NAN; input.len()];
            assert_vjp(
                batch,
                &input,
                &params,
                sizes.output_len(batch),
                |io| patch_embed(&sizes, &conv, &mut scratch(), io),
                |io| patch_embed_vjp(&sizes, &conv, &mut scratch(), io),
            );
        }
    }
}
