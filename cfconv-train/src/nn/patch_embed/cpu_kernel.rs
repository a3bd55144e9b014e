//! Patch embedding on the processor: patches laid out as channels, then a 1×1 convolution.

use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use cfconv_fft::Real;
use rayon::prelude::*;

use super::{PatchEmbedOp, PatchEmbedSizes};
use crate::device::{Cpu, DeviceError, Result, Span, SpanMut};

/// The convolution of patches, one pixel each.
#[derive(Clone, Debug)]
pub struct CpuPatchEmbedPlan<T: Real = f32> {
    sizes: PatchEmbedSizes,
    conv: DirectConv<T>,
}

impl PatchEmbedOp for Cpu {
    type PatchEmbedPlan = CpuPatchEmbedPlan;

    fn plan_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<CpuPatchEmbedPlan> {
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
        Ok(CpuPatchEmbedPlan::new(*sizes))
    }

    fn patch_embed_scratch_bytes(&self, plan: &CpuPatchEmbedPlan) -> usize {
        plan.conv.scratch_bytes()
    }

    fn patch_embed_planned_bytes(&self, plan: &CpuPatchEmbedPlan) -> usize {
        plan.conv.planned_scratch_bytes(rayon::current_num_threads())
    }

    fn patch_embed(
        &self,
        plan: &CpuPatchEmbedPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        scratch: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "patch_embed";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.input_len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        scratch.expect_len(OP, "scratch", sizes.input_len(batch))?;
        output.expect_len(OP, "output", sizes.output_len(batch))?;
        plan.forward(batch, input.as_slice(), params.as_slice(), scratch.into_slice(), output.into_slice());
        Ok(())
    }

    fn patch_embed_vjp(
        &self,
        plan: &CpuPatchEmbedPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        scratch: SpanMut<'_, Self>,
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
        plan.backward(
            batch,
            input.as_slice(),
            params.as_slice(),
            scratch.into_slice(),
            grad_output.as_slice(),
            grad_input.map(SpanMut::into_slice),
            grad_params.into_slice(),
        );
        Ok(())
    }
}

impl<T: Real> CpuPatchEmbedPlan<T> {
    fn new(sizes: PatchEmbedSizes) -> Self {
        let conv = DirectConv::new(DirectConvSizes {
            in_channels: sizes.patch_len(),
            out_channels: sizes.out_channels,
            height: sizes.output_height(),
            width: sizes.output_width(),
            kernel_size: 1,
            padding: PaddingMode::Zeros,
        });
        Self { sizes, conv }
    }

    fn forward(&self, batch: usize, input: &[T], params: &[T], scratch: &mut [T], output: &mut [T]) {
        let (weight, bias) = params.split_at(self.sizes.num_weights());
        gather(&self.sizes, batch, input, scratch);
        self.conv.forward(batch, scratch, weight, self.sizes.bias.then_some(bias), output);
    }

    fn backward(
        &self,
        batch: usize,
        input: &[T],
        params: &[T],
        scratch: &mut [T],
        grad_output: &[T],
        grad_input: Option<&mut [T]>,
        grad_params: &mut [T],
    ) {
        let (grad_weight, grad_bias) = grad_params.split_at_mut(self.sizes.num_weights());
        let grad_bias = self.sizes.bias.then_some(grad_bias);
        gather(&self.sizes, batch, input, scratch);
        self.conv.backward_weight(batch, scratch, grad_output, grad_weight, grad_bias);
        if let Some(grad_input) = grad_input {
            let weight = &params[..self.sizes.num_weights()];
            self.conv.backward_input(batch, grad_output, weight, scratch);
            scatter(&self.sizes, batch, scratch, grad_input);
        }
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
    use crate::nn::testing::{assert_gradient, dot, noise};

    #[test]
    fn vjp_matches_central_differences() {
        for (in_channels, out_channels, rows, columns, size, batch) in
            [(1, 1, 1, 1, 1, 1), (2, 3, 2, 1, 3, 17), (3, 5, 1, 3, 2, 2), (1, 2, 1, 1, 5, 3)]
        {
            let (height, width) = (rows * size, columns * size);
            let sizes =
                PatchEmbedSizes { in_channels, out_channels, height, width, size, bias: out_channels != 5 };
            let plan = CpuPatchEmbedPlan::<f64>::new(sizes);
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let weights = noise(3, sizes.output_len(batch));
            let mut scratch = vec![f64::NAN; input.len()];
            let (mut grad_input, mut grad_params) = (vec![f64::NAN; input.len()], vec![2.0; params.len()]);
            let wanted = Some(&mut grad_input[..]);
            plan.backward(batch, &input, &params, &mut scratch, &weights, wanted, &mut grad_params);
            let loss = |input: &[f64], params: &[f64]| {
                let mut scratch = vec![f64::NAN; input.len()];
                let mut output = vec![f64::NAN; weights.len()];
                plan.forward(batch, input, params, &mut scratch, &mut output);
                dot(&output, &weights)
            };
            assert_gradient(|x| loss(x, &params), &input, &grad_input);
            let added: Vec<f64> = grad_params.iter().map(|g| g - 2.0).collect();
            assert_gradient(|p| loss(&input, p), &params, &added);
        }
    }
}
