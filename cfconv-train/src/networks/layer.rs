//! Layers on a device: each runs its operation forward and backward.

use std::ops::Range;

use super::plan::{PlannedLayer, PlannedOp};
use crate::device::{Buffer, Device, IndexBuffer, Result, Span, SpanMut};
use crate::nn::{
    Activation, ActivationSizes, Backward, BatchStatistics, CfConv2d, CfConv2dOp, Conv2dPlan,
    DepthwiseConv2dPlan, DropoutSizes, Forward, OpSizes, PatchEmbedPlan, PositionEmbeddingSizes,
    SelfAttentionMemory, SelfAttentionPlan, SpectralCropPlan, SpectralPoolPlan, SpectrumTransformPlan,
};

/// Working memory of CF-Conv layers.
pub(super) type Workspace<D> = <<D as CfConv2dOp>::CfConv2d as CfConv2d>::Workspace;

/// A layer with what its device has prepared.
pub(super) struct Layer<D: Device> {
    pub(super) plan: PlannedLayer,
    /// The layer's number in random streams.
    pub(super) number: u64,
    prepared: Prepared<D>,
}

enum Prepared<D: Device> {
    Nothing,
    CfConv(Box<<D as CfConv2dOp>::CfConv2d>),
    Conv(Conv2dPlan<D>),
    MaxPool(IndexBuffer<D>),
    SpectralPool(SpectralPoolPlan<D>),
    SpectrumTransform(SpectrumTransformPlan<D>),
    SpectralCrop(SpectralCropPlan<D>),
    PatchEmbed(PatchEmbedPlan<D>),
    DepthwiseConv(DepthwiseConv2dPlan<D>),
    SelfAttention {
        plan: SelfAttentionPlan<D>,
        /// What a forward pass keeps for its backward pass.
        saved: Buffer<D>,
    },
}

/// What a pass needs besides values and gradients.
pub(super) struct Pass<'a, D: Device> {
    pub(super) device: &'a D,
    pub(super) training: bool,
    pub(super) run_seed: u64,
    pub(super) step: u64,
    /// Running statistics of all normalisations.
    pub(super) running: &'a mut Buffer<D>,
    /// Statistics of the batch, in the same places.
    pub(super) saved: &'a mut Buffer<D>,
    pub(super) workspace: &'a mut Workspace<D>,
    /// Room for what an operation needs while it runs.
    pub(super) scratch: &'a mut Buffer<D>,
}

impl<D: Device> Pass<'_, D> {
    fn statistics(&mut self, running: Range<usize>) -> BatchStatistics<'_, D> {
        BatchStatistics {
            running: SpanMut::new(self.running, running.clone()),
            saved: SpanMut::new(self.saved, running),
        }
    }
}

impl<D: Device> Layer<D> {
    pub(super) fn try_new(device: &D, plan: &PlannedLayer, number: u64, max_batch: usize) -> Result<Self> {
        let prepared = match &plan.op {
            PlannedOp::CfConv(config) => {
                Prepared::CfConv(Box::new(<D as CfConv2dOp>::CfConv2d::try_new(device, config)?))
            }
            PlannedOp::Conv(sizes) => Prepared::Conv(device.plan_conv2d(sizes)?),
            PlannedOp::MaxPool(sizes) => {
                Prepared::MaxPool(device.alloc_indices(sizes.output_len(max_batch))?)
            }
            PlannedOp::SpectralPool(sizes) => Prepared::SpectralPool(device.plan_spectral_pool(sizes)?),
            PlannedOp::CfMix { config, gain } => {
                Prepared::CfConv(Box::new(<D as CfConv2dOp>::CfConv2d::try_new_mix(device, config, *gain)?))
            }
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

    pub(super) fn cf_conv(&self) -> Option<&<D as CfConv2dOp>::CfConv2d> {
        match &self.prepared {
            Prepared::CfConv(layer) => Some(layer),
            _ => None,
        }
    }

    pub(super) fn cf_conv_mut(&mut self) -> Option<&mut <D as CfConv2dOp>::CfConv2d> {
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

    /// Computes the layer's output. A sum has a `second` operand.
    pub(super) fn forward(
        &mut self,
        pass: &mut Pass<'_, D>,
        second: Option<Span<'_, D>>,
        io: Forward<'_, D>,
    ) -> Result<()> {
        let Pass { device, training, .. } = *pass;
        let running = self.plan.running.clone();
        let batch = io.batch;
        match (&self.plan.op, &mut self.prepared) {
            (PlannedOp::CfConv(_) | PlannedOp::CfMix { .. }, Prepared::CfConv(layer)) => {
                layer.forward(batch, io.params, io.input, io.output, pass.workspace)
            }
            (PlannedOp::Conv(_), Prepared::Conv(plan)) => device.conv2d(plan, io),
            (PlannedOp::BatchNorm(sizes), _) if training => {
                device.batch_norm_train(sizes, pass.statistics(running), io)
            }
            (PlannedOp::BatchNorm(sizes), _) => {
                device.batch_norm_eval(sizes, Span::new(pass.running, running), io)
            }
            (PlannedOp::Activation(function), _) => {
                device.activation(&activation(*function, &io.input, batch), io)
            }
            (PlannedOp::MaxPool(sizes), Prepared::MaxPool(winners)) => {
                device.max_pool(sizes, training.then_some(winners), io)
            }
            (PlannedOp::AvgPool(sizes), _) => device.average_pool(sizes, io),
            (PlannedOp::SpectralPool(_), Prepared::SpectralPool(plan)) => device.spectral_pool(plan, io),
            (PlannedOp::GlobalAvgPool(sizes), _) => device.global_average_pool(sizes, io),
            (PlannedOp::Linear(sizes), _) => device.linear(sizes, io),
            (PlannedOp::Dropout { rate }, _) if training => {
                let sizes = self.dropout(*rate, pass, io.input.len() / batch);
                device.dropout(&sizes, io)
            }
            (PlannedOp::Dropout { .. }, _) => device.copy(io.input, io.output),
            (PlannedOp::Add, _) => device.add(io.input, second.expect("a sum has two operands"), io.output),
            (PlannedOp::ToSpectrum(_), Prepared::SpectrumTransform(plan)) => device.to_spectrum(plan, io),
            (PlannedOp::ToImage(_), Prepared::SpectrumTransform(plan)) => device.to_image(plan, io),
            (PlannedOp::ComplexActivation { sizes, .. }, _) => device.complex_activation(sizes, io),
            (PlannedOp::ComplexBatchNorm(sizes), _) if training => {
                device.complex_batch_norm_train(sizes, pass.statistics(running), io)
            }
            (PlannedOp::ComplexBatchNorm(sizes), _) => {
                device.complex_batch_norm_eval(sizes, Span::new(pass.running, running), io)
            }
            (PlannedOp::SpectralCrop(_), Prepared::SpectralCrop(plan)) => device.spectral_crop(plan, io),
            (op @ PlannedOp::PatchEmbed(_), Prepared::PatchEmbed(plan)) => {
                device.patch_embed(plan, SpanMut::new(pass.scratch, 0..op.scratch_len(batch)), io)
            }
            (PlannedOp::PositionEmbedding, _) => device.position_embedding(&self.position_embedding(), io),
            (PlannedOp::LayerNorm(sizes), _) => device.layer_norm(sizes, io),
            (op @ PlannedOp::SelfAttention(_), Prepared::SelfAttention { plan, saved }) => {
                let scratch = SpanMut::new(pass.scratch, 0..op.scratch_len(batch));
                let saved = SpanMut::new(saved, 0..device.self_attention_saved_len(plan, batch));
                device.self_attention(plan, SelfAttentionMemory { saved, scratch }, io)
            }
            (PlannedOp::DepthwiseConv(_), Prepared::DepthwiseConv(plan)) => device.depthwise_conv2d(plan, io),
            _ => unreachable!("try_new prepares what the operation needs"),
        }
    }

    /// Computes the gradient of the input, if it is wanted, and adds those of the parameters. Sums are not handled here.
    pub(super) fn backward(&mut self, pass: &mut Pass<'_, D>, io: Backward<'_, D>) -> Result<()> {
        let Pass { device, .. } = *pass;
        let saved = Span::new(pass.saved, self.plan.running.clone());
        let batch = io.batch;
        match (&self.plan.op, &mut self.prepared) {
            (PlannedOp::CfConv(_) | PlannedOp::CfMix { .. }, Prepared::CfConv(layer)) => {
                let Backward { params, grad_output, grad_input, grad_params, .. } = io;
                layer.backward(batch, params, grad_output, grad_input, grad_params, pass.workspace)
            }
            (PlannedOp::Conv(_), Prepared::Conv(plan)) => device.conv2d_vjp(plan, io),
            (PlannedOp::BatchNorm(sizes), _) => device.batch_norm_vjp(sizes, saved, io),
            (PlannedOp::Activation(function), _) => {
                device.activation_vjp(&activation(*function, &io.grad_output, batch), io)
            }
            (PlannedOp::MaxPool(sizes), Prepared::MaxPool(winners)) => {
                device.max_pool_vjp(sizes, winners, io)
            }
            (PlannedOp::AvgPool(sizes), _) => device.average_pool_adjoint(sizes, io),
            (PlannedOp::SpectralPool(_), Prepared::SpectralPool(plan)) => {
                device.spectral_pool_adjoint(plan, io)
            }
            (PlannedOp::GlobalAvgPool(sizes), _) => device.global_average_pool_adjoint(sizes, io),
            (PlannedOp::Linear(sizes), _) => device.linear_vjp(sizes, io),
            (PlannedOp::Dropout { rate }, _) => {
                let sizes = self.dropout(*rate, pass, io.grad_output.len() / batch);
                device.dropout_adjoint(&sizes, io)
            }
            (PlannedOp::ToSpectrum(_), Prepared::SpectrumTransform(plan)) => {
                device.to_spectrum_adjoint(plan, io)
            }
            (PlannedOp::ToImage(_), Prepared::SpectrumTransform(plan)) => device.to_image_adjoint(plan, io),
            (PlannedOp::ComplexActivation { sizes, .. }, _) => device.complex_activation_vjp(sizes, io),
            (PlannedOp::ComplexBatchNorm(sizes), _) => device.complex_batch_norm_vjp(sizes, saved, io),
            (PlannedOp::SpectralCrop(_), Prepared::SpectralCrop(plan)) => {
                device.spectral_crop_adjoint(plan, io)
            }
            (op @ PlannedOp::PatchEmbed(_), Prepared::PatchEmbed(plan)) => {
                device.patch_embed_vjp(plan, SpanMut::new(pass.scratch, 0..op.scratch_len(batch)), io)
            }
            (PlannedOp::PositionEmbedding, _) => {
                device.position_embedding_vjp(&self.position_embedding(), io)
            }
            (PlannedOp::LayerNorm(sizes), _) => device.layer_norm_vjp(sizes, io),
            (op @ PlannedOp::SelfAttention(_), Prepared::SelfAttention { plan, saved }) => {
                let scratch = SpanMut::new(pass.scratch, 0..op.scratch_len(batch));
                let saved = SpanMut::new(saved, 0..device.self_attention_saved_len(plan, batch));
                device.self_attention_vjp(plan, SelfAttentionMemory { saved, scratch }, io)
            }
            (PlannedOp::DepthwiseConv(_), Prepared::DepthwiseConv(plan)) => {
                device.depthwise_conv2d_vjp(plan, io)
            }
            _ => unreachable!("try_new prepares what the operation needs, sums are handled by the network"),
        }
    }

    fn position_embedding(&self) -> PositionEmbeddingSizes {
        PositionEmbeddingSizes { features: self.plan.params.len() }
    }

    fn dropout(&self, rate: f64, pass: &Pass<'_, D>, features: usize) -> DropoutSizes {
        DropoutSizes { features, rate, run_seed: pass.run_seed, layer: self.number, step: pass.step }
    }
}

fn activation<D: Device>(function: Activation, values: &Span<'_, D>, batch: usize) -> ActivationSizes {
    ActivationSizes { function, features: values.len() / batch }
}
