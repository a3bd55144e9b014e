//! Layers on a device: each runs its operation forward and backward.

use std::ops::Range;

use super::plan::{PlannedLayer, PlannedOp};
use crate::device::{Buffer, Device, IndexBuffer, Result, Span, SpanMut};
use crate::nn::{
    Backward, CfConv2d, CfConv2dWorkspace, Conv2dOp, DepthwiseConv2dOp, DropoutSizes, Forward, PatchEmbedOp,
    SelfAttentionOp, SpectralCropOp, SpectralPoolOp, SpectrumTransformOp,
};

/// A layer with what its device has prepared.
pub(super) struct Layer<D: Device> {
    pub(super) plan: PlannedLayer,
    /// The layer's number in random streams.
    pub(super) number: u64,
    prepared: Prepared<D>,
}

enum Prepared<D: Device> {
    Nothing,
    CfConv(Box<CfConv2d<D>>),
    Conv(<D as Conv2dOp>::Conv2dPlan),
    MaxPool(IndexBuffer<D>),
    SpectralPool(<D as SpectralPoolOp>::SpectralPoolPlan),
    SpectrumTransform(<D as SpectrumTransformOp>::SpectrumTransformPlan),
    SpectralCrop(<D as SpectralCropOp>::SpectralCropPlan),
    PatchEmbed(<D as PatchEmbedOp>::PatchEmbedPlan),
    DepthwiseConv(<D as DepthwiseConv2dOp>::DepthwiseConv2dPlan),
    SelfAttention {
        plan: <D as SelfAttentionOp>::SelfAttentionPlan,
        /// What a forward pass keeps for its backward pass.
        saved: Buffer<D>,
    },
}

/// What a pass needs besides values and gradients.
pub(super) struct Pass<'a, D: Device> {
    pub(super) device: &'a D,
    pub(super) batch: usize,
    pub(super) training: bool,
    pub(super) run_seed: u64,
    pub(super) step: u64,
    pub(super) params: &'a Buffer<D>,
    /// Running statistics of all normalisations.
    pub(super) running: &'a mut Buffer<D>,
    /// Statistics of the batch, in the same places.
    pub(super) saved: &'a mut Buffer<D>,
    pub(super) workspace: &'a mut CfConv2dWorkspace<D>,
    /// Room for what an operation needs while it runs.
    pub(super) scratch: &'a mut Buffer<D>,
}

impl<D: Device> Layer<D> {
    pub(super) fn try_new(device: &D, plan: &PlannedLayer, number: u64, max_batch: usize) -> Result<Self> {
        let prepared = match &plan.op {
            PlannedOp::CfConv(plan) => Prepared::CfConv(Box::new(CfConv2d::try_new(device, plan)?)),
            PlannedOp::Conv(sizes) => Prepared::Conv(device.plan_conv2d(sizes)?),
            PlannedOp::MaxPool(sizes) => {
                Prepared::MaxPool(device.alloc_indices(sizes.output_len(max_batch))?)
            }
            PlannedOp::SpectralPool(sizes) => Prepared::SpectralPool(device.plan_spectral_pool(sizes)?),
            PlannedOp::ToSpectrum(sizes) | PlannedOp::ToImage(sizes) => {
                Prepared::SpectrumTransform(device.plan_spectrum_transform(sizes)?)
            }
            PlannedOp::SpectralCrop(sizes) => Prepared::SpectralCrop(device.plan_spectral_crop(sizes)?),
            PlannedOp::PatchEmbed(sizes) => Prepared::PatchEmbed(device.plan_patch_embed(sizes)?),
            PlannedOp::DepthwiseConv(sizes) => Prepared::DepthwiseConv(device.plan_depthwise_conv2d(sizes)?),
            PlannedOp::SelfAttention(sizes) => {
                let plan = device.plan_self_attention(sizes)?;
                let saved = device.alloc(device.self_attention_saved_len(&plan, max_batch))?;
                Prepared::SelfAttention { plan, saved }
            }
            _ => Prepared::Nothing,
        };
        Ok(Self { plan: plan.clone(), number, prepared })
    }

    pub(super) fn cf_conv(&self) -> Option<&CfConv2d<D>> {
        match &self.prepared {
            Prepared::CfConv(layer) => Some(layer),
            _ => None,
        }
    }

    pub(super) fn cf_conv_mut(&mut self) -> Option<&mut CfConv2d<D>> {
        match &mut self.prepared {
            Prepared::CfConv(layer) => Some(layer),
            _ => None,
        }
    }

    /// Bytes that the layer holds besides buffers of the network and kernel states.
    pub(super) fn working_bytes(&self, device: &D, max_batch: usize) -> usize {
        match (&self.prepared, &self.plan.op) {
            (Prepared::CfConv(layer), _) => layer.working_bytes(),
            (Prepared::Conv(plan), _) => device.conv2d_scratch_bytes(plan),
            (Prepared::PatchEmbed(plan), _) => device.patch_embed_scratch_bytes(plan),
            (Prepared::SelfAttention { plan, .. }, _) => {
                device.self_attention_scratch_bytes(plan)
                    + device.self_attention_saved_len(plan, max_batch) * size_of::<f32>()
            }
            (Prepared::MaxPool(_), PlannedOp::MaxPool(sizes)) => {
                sizes.output_len(max_batch) * size_of::<u32>()
            }
            _ => 0,
        }
    }

    /// Computes the layer's output.
    pub(super) fn forward(
        &mut self,
        pass: &mut Pass<'_, D>,
        input: Span<'_, D>,
        second: Option<Span<'_, D>>,
        output: SpanMut<'_, D>,
    ) -> Result<()> {
        let Pass { device, batch, training, .. } = *pass;
        let params = Span::new(pass.params, self.plan.params.clone());
        let running = self.plan.running.clone();
        match (&self.plan.op, &mut self.prepared) {
            (PlannedOp::CfConv(_), Prepared::CfConv(layer)) => {
                layer.forward(Forward { batch, input, params, output }, pass.workspace)
            }
            (PlannedOp::Conv(_), Prepared::Conv(plan)) => device.conv2d(plan, batch, input, params, output),
            (PlannedOp::BatchNorm(sizes), _) if training => device.batch_norm_train(
                sizes,
                batch,
                input,
                params,
                SpanMut::new(pass.running, running.clone()),
                SpanMut::new(pass.saved, running),
                output,
            ),
            (PlannedOp::BatchNorm(sizes), _) => {
                device.batch_norm_eval(sizes, batch, input, params, Span::new(pass.running, running), output)
            }
            (PlannedOp::Activation(function), _) => device.activation(*function, input, output),
            (PlannedOp::MaxPool(sizes), Prepared::MaxPool(winners)) => {
                device.max_pool(sizes, batch, input, training.then_some(winners), output)
            }
            (PlannedOp::AvgPool(sizes), _) => device.average_pool(sizes, batch, input, output),
            (PlannedOp::SpectralPool(_), Prepared::SpectralPool(plan)) => {
                device.spectral_pool(plan, batch, input, output)
            }
            (PlannedOp::GlobalAvgPool { pixels }, _) => {
                device.global_average_pool(*pixels, batch, input, output)
            }
            (PlannedOp::Linear(sizes), _) => device.linear(sizes, batch, input, params, output),
            (PlannedOp::Dropout { rate }, _) if training => {
                device.dropout(&self.dropout(*rate, pass), input, output)
            }
            (PlannedOp::Dropout { .. }, _) => device.copy(input, output),
            (PlannedOp::Add, _) => device.add(input, second.expect("a sum has two operands"), output),
            (PlannedOp::ToSpectrum(_), Prepared::SpectrumTransform(plan)) => {
                device.to_spectrum(plan, batch, input, output)
            }
            (PlannedOp::ToImage(_), Prepared::SpectrumTransform(plan)) => {
                device.to_image(plan, batch, input, output)
            }
            (PlannedOp::ComplexActivation { sizes, .. }, _) => {
                device.complex_activation(sizes, batch, input, params, output)
            }
            (PlannedOp::ComplexBatchNorm(sizes), _) if training => device.complex_batch_norm_train(
                sizes,
                batch,
                input,
                params,
                SpanMut::new(pass.running, running.clone()),
                SpanMut::new(pass.saved, running),
                output,
            ),
            (PlannedOp::ComplexBatchNorm(sizes), _) => {
                let running = Span::new(pass.running, running);
                device.complex_batch_norm_eval(sizes, batch, input, params, running, output)
            }
            (PlannedOp::SpectralCrop(_), Prepared::SpectralCrop(plan)) => {
                device.spectral_crop(plan, batch, input, output)
            }
            (op @ PlannedOp::PatchEmbed(_), Prepared::PatchEmbed(plan)) => {
                let scratch = SpanMut::new(pass.scratch, 0..op.scratch_len(batch));
                device.patch_embed(plan, batch, input, params, scratch, output)
            }
            (PlannedOp::PositionEmbedding, _) => device.position_embedding(batch, input, params, output),
            (PlannedOp::LayerNorm(sizes), _) => device.layer_norm(sizes, batch, input, params, output),
            (op @ PlannedOp::SelfAttention(_), Prepared::SelfAttention { plan, saved }) => {
                let scratch = SpanMut::new(pass.scratch, 0..op.scratch_len(batch));
                let saved = SpanMut::new(saved, 0..device.self_attention_saved_len(plan, batch));
                device.self_attention(plan, batch, input, params, saved, scratch, output)
            }
            (PlannedOp::DepthwiseConv(_), Prepared::DepthwiseConv(plan)) => {
                device.depthwise_conv2d(plan, batch, input, params, output)
            }
            _ => unreachable!("try_new prepares what the operation needs"),
        }
    }

    /// Computes the gradient of the input, if it is wanted, and adds those of the parameters. `input` is the
    /// layer's input for operations whose backward pass reads it; sums are not handled here.
    pub(super) fn backward(
        &mut self,
        pass: &mut Pass<'_, D>,
        grads: &mut Buffer<D>,
        input: Option<Span<'_, D>>,
        grad_output: Span<'_, D>,
        grad_input: Option<SpanMut<'_, D>>,
    ) -> Result<()> {
        let Pass { device, batch, .. } = *pass;
        let range: Range<usize> = self.plan.params.clone();
        let params = Span::new(pass.params, range.clone());
        let grad_params = SpanMut::new(grads, range);
        let input = || input.expect("the memory plan keeps inputs that are read again");
        match (&self.plan.op, &mut self.prepared) {
            (PlannedOp::CfConv(_), Prepared::CfConv(layer)) => {
                let io = Backward { batch, input: None, params, grad_output, grad_input, grad_params };
                return layer.backward(io, pass.workspace);
            }
            (PlannedOp::Conv(_), Prepared::Conv(plan)) => {
                return device.conv2d_vjp(plan, batch, input(), params, grad_output, grad_input, grad_params);
            }
            (PlannedOp::BatchNorm(sizes), _) => {
                let saved = Span::new(pass.saved, self.plan.running.clone());
                return device.batch_norm_vjp(
                    sizes,
                    batch,
                    input(),
                    params,
                    saved,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (PlannedOp::Linear(sizes), _) => {
                return device.linear_vjp(
                    sizes,
                    batch,
                    input(),
                    params,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (PlannedOp::ComplexActivation { sizes, .. }, _) => {
                return device.complex_activation_vjp(
                    sizes,
                    batch,
                    input(),
                    params,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (PlannedOp::ComplexBatchNorm(sizes), _) => {
                let saved = Span::new(pass.saved, self.plan.running.clone());
                return device.complex_batch_norm_vjp(
                    sizes,
                    batch,
                    input(),
                    params,
                    saved,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (op @ PlannedOp::PatchEmbed(_), Prepared::PatchEmbed(plan)) => {
                let scratch = SpanMut::new(pass.scratch, 0..op.scratch_len(batch));
                return device.patch_embed_vjp(
                    plan,
                    batch,
                    input(),
                    params,
                    scratch,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (PlannedOp::PositionEmbedding, _) => {
                return device.position_embedding_vjp(batch, grad_output, grad_input, grad_params);
            }
            (PlannedOp::LayerNorm(sizes), _) => {
                return device.layer_norm_vjp(
                    sizes,
                    batch,
                    input(),
                    params,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (op @ PlannedOp::SelfAttention(_), Prepared::SelfAttention { plan, saved }) => {
                let scratch = SpanMut::new(pass.scratch, 0..op.scratch_len(batch));
                let saved = SpanMut::new(saved, 0..device.self_attention_saved_len(plan, batch));
                return device.self_attention_vjp(
                    plan,
                    batch,
                    input(),
                    params,
                    saved,
                    scratch,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            (PlannedOp::DepthwiseConv(_), Prepared::DepthwiseConv(plan)) => {
                return device.depthwise_conv2d_vjp(
                    plan,
                    batch,
                    input(),
                    params,
                    grad_output,
                    grad_input,
                    grad_params,
                );
            }
            _ => {}
        }
        // The rest has no parameters.
        let Some(grad_input) = grad_input else { return Ok(()) };
        match (&self.plan.op, &self.prepared) {
            (PlannedOp::Activation(function), _) => {
                device.activation_vjp(*function, input(), grad_output, grad_input)
            }
            (PlannedOp::MaxPool(sizes), Prepared::MaxPool(winners)) => {
                device.max_pool_vjp(sizes, batch, winners, grad_output, grad_input)
            }
            (PlannedOp::AvgPool(sizes), _) => {
                device.average_pool_adjoint(sizes, batch, grad_output, grad_input)
            }
            (PlannedOp::SpectralPool(_), Prepared::SpectralPool(plan)) => {
                device.spectral_pool_adjoint(plan, batch, grad_output, grad_input)
            }
            (PlannedOp::GlobalAvgPool { pixels }, _) => {
                device.global_average_pool_adjoint(*pixels, batch, grad_output, grad_input)
            }
            (PlannedOp::Dropout { rate }, _) => {
                device.dropout(&self.dropout(*rate, pass), grad_output, grad_input)
            }
            (PlannedOp::ToSpectrum(_), Prepared::SpectrumTransform(plan)) => {
                device.to_spectrum_adjoint(plan, batch, grad_output, grad_input)
            }
            (PlannedOp::ToImage(_), Prepared::SpectrumTransform(plan)) => {
                device.to_image_adjoint(plan, batch, grad_output, grad_input)
            }
            (PlannedOp::SpectralCrop(_), Prepared::SpectralCrop(plan)) => {
                device.spectral_crop_adjoint(plan, batch, grad_output, grad_input)
            }
            _ => unreachable!("operations with parameters return above, sums are handled by the network"),
        }
    }

    fn dropout(&self, rate: f64, pass: &Pass<'_, D>) -> DropoutSizes {
        DropoutSizes { rate, run_seed: pass.run_seed, layer: self.number, step: pass.step }
    }
}
