//! What convolutions in space have in common: the passes of a layer with weights and biases.

use super::{Launcher, add_channel_sums, part, part_mut};
use crate::device::{Result, Span, SpanMut};
use crate::nn::{Backward, Forward};

/// What a convolution reads and writes.
pub(crate) struct ConvolutionOperands<'a, L: Launcher> {
    pub(crate) batch: usize,
    pub(crate) input: Span<'a, L>,
    pub(crate) weight: Span<'a, L>,
    pub(crate) bias: Option<Span<'a, L>>,
    pub(crate) output: SpanMut<'a, L>,
}

/// A convolution in space, stride 1, with output as large as the input.
pub(crate) trait SpatialConvolution {
    fn num_weights(&self) -> usize;

    /// Pixels of a channel of one image.
    fn pixels(&self) -> usize;

    /// Convolves, or with `adjoint` computes the gradient of the input from that of the output.
    fn apply<L: Launcher>(
        &self,
        device: &L,
        adjoint: bool,
        operands: ConvolutionOperands<'_, L>,
    ) -> Result<()>;

    /// Adds to the gradient of the weight.
    fn backward_weight<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        grad_output: Span<'_, L>,
        grad_weight: SpanMut<'_, L>,
    ) -> Result<()>;

    fn forward<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        weight: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        self.apply(device, false, ConvolutionOperands { batch, input, weight, bias, output })
    }

    fn backward_input<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        grad_output: Span<'_, L>,
        weight: Span<'_, L>,
        grad_input: SpanMut<'_, L>,
    ) -> Result<()> {
        let operands =
            ConvolutionOperands { batch, input: grad_output, weight, bias: None, output: grad_input };
        self.apply(device, true, operands)
    }

    /// The forward pass of a layer whose parameters are the weight and, if there are more, the bias.
    fn layer_forward<L: Launcher>(&self, device: &L, io: Forward<'_, L>) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let (weights, len) = (self.num_weights(), params.len());
        let bias = (len > weights).then(|| part(params, weights..len));
        self.forward(device, batch, input, part(params, 0..weights), bias, output)
    }

    /// The backward pass of such a layer.
    fn layer_backward<L: Launcher>(&self, device: &L, io: Backward<'_, L>) -> Result<()> {
        let input = io.checked_input();
        let Backward { batch, params, grad_output, grad_input, mut grad_params, .. } = io;
        let (weights, len) = (self.num_weights(), params.len());
        let grad_weight = part_mut(&mut grad_params, 0..weights);
        self.backward_weight(device, batch, input, grad_output, grad_weight)?;
        if len > weights {
            let grad_bias = part_mut(&mut grad_params, weights..len);
            add_channel_sums(device, grad_output, self.pixels() * batch, grad_bias)?;
        }
        let Some(grad_input) = grad_input else { return Ok(()) };
        self.backward_input(device, batch, grad_output, part(params, 0..weights), grad_input)
    }
}
