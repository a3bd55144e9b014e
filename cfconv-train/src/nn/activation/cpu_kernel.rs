//! Activations on the processor.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::function::{Function, with_function};
use super::{Activation, ActivationOp};
use crate::device::{Cpu, Result, Span, SpanMut};
use crate::nn::VALUES_PER_TASK;

impl ActivationOp for Cpu {
    fn activation(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        output.expect_len("activation", "output", input.len())?;
        activation(function, input.as_slice(), output.into_slice());
        Ok(())
    }

    fn activation_vjp(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_output.expect_len("activation_vjp", "grad_output", input.len())?;
        grad_input.expect_len("activation_vjp", "grad_input", input.len())?;
        activation_vjp(function, input.as_slice(), grad_output.as_slice(), grad_input.into_slice());
        Ok(())
    }
}

/// `output = f(input)`.
pub(crate) fn activation<T: Real>(function: Activation, input: &[T], output: &mut [T]) {
    debug_assert_eq!(input.len(), output.len());
    let tasks = output.par_chunks_mut(VALUES_PER_TASK).zip(input.par_chunks(VALUES_PER_TASK));
    tasks.for_each(|(output, input)| {
        with_function!(Some(function), function => dispatch(Forward { function, input, output }));
    });
}

/// `grad_input = grad_output·f'(input)`.
pub(crate) fn activation_vjp<T: Real>(
    function: Activation,
    input: &[T],
    grad_output: &[T],
    grad_input: &mut [T],
) {
    debug_assert!(input.len() == grad_output.len() && input.len() == grad_input.len());
    let tasks = grad_input
        .par_chunks_mut(VALUES_PER_TASK)
        .zip(input.par_chunks(VALUES_PER_TASK))
        .zip(grad_output.par_chunks(VALUES_PER_TASK));
    tasks.for_each(|((grad_input, input), grad_output)| {
        with_function!(Some(function), function => dispatch(Backward { function, input, grad_output, grad_input }));
    });
}

struct Forward<'a, T, F> {
    function: F,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Real, F: Function> Kernel for Forward<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (output, &input) in self.output.iter_mut().zip(self.input) {
            *output = self.function.value(isa, input);
        }
    }
}

struct Backward<'a, T, F> {
    function: F,
    input: &'a [T],
    grad_output: &'a [T],
    grad_input: &'a mut [T],
}

impl<T: Real, F: Function> Kernel for Backward<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let operands = self.input.iter().zip(self.grad_output);
        for (grad_input, (&input, &grad_output)) in self.grad_input.iter_mut().zip(operands) {
            *grad_input = grad_output * self.function.derivative(isa, input);
        }
    }
}
