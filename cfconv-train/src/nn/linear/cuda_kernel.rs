//! Fully connected layers on the CUDA device: convolutions of single pixels.

use super::{LinearOp, LinearSizes};
use crate::device::cuda::{Convolution, Launcher, part};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> LinearOp for L {
    fn linear(
        &self,
        sizes: &LinearSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        input.expect_len("linear", "input", sizes.in_features * batch)?;
        params.expect_len("linear", "params", sizes.num_parameters())?;
        output.expect_len("linear", "output", sizes.out_features * batch)?;
        let weights = sizes.num_weights();
        let bias = sizes.bias.then(|| part(params, weights..params.len()));
        let conv = Convolution::pointwise(sizes.in_features, sizes.out_features, 1);
        conv.forward(self, batch, input, part(params, 0..weights), bias, output)
    }

    fn linear_vjp(
        &self,
        sizes: &LinearSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "linear_vjp";
        input.expect_len(OP, "input", sizes.in_features * batch)?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        grad_output.expect_len(OP, "grad_output", sizes.out_features * batch)?;
        if let Some(grad_input) = &grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.in_features * batch)?;
        }
        grad_params.expect_len(OP, "grad_params", sizes.num_parameters())?;
        let conv = Convolution::pointwise(sizes.in_features, sizes.out_features, 1);
        conv.backward_params(self, batch, input, grad_output, grad_params)?;
        match grad_input {
            Some(grad_input) => {
                let weight = part(params, 0..sizes.num_weights());
                conv.backward_input(self, batch, grad_output, weight, grad_input)
            }
            None => Ok(()),
        }
    }
}
