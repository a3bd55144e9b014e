//! Activations on the processor.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::function::{Function, with_function};
use super::{Activation, ActivationOp};
use crate::device::{Cpu, Result, Span};
use crate::nn::slices::ForwardSlices;
use crate::nn::{Forward, VALUES_PER_TASK};

impl ActivationOp for Cpu {
    fn activation_kernel(&self, function: Activation, io: Forward<'_, Self>) -> Result<()> {
        let ForwardSlices { input, output, .. } = io.into_slices();
        let tasks = output.par_chunks_mut(VALUES_PER_TASK).zip(input.par_chunks(VALUES_PER_TASK));
        tasks.for_each(|(output, input)| {
            with_function!(Some(function), function => dispatch(Values { function, input, output }));
        });
        Ok(())
    }

    fn activation_vjp_kernel(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let ForwardSlices { input: grad_output, output: grad_input, .. } = io.into_slices();
        let tasks = grad_input
            .par_chunks_mut(VALUES_PER_TASK)
            .zip(input.as_slice().par_chunks(VALUES_PER_TASK))
            .zip(grad_output.par_chunks(VALUES_PER_TASK));
        tasks.for_each(|((grad_input, input), grad_output)| {
            with_function!(Some(function), function => {
                dispatch(Gradients { function, input, grad_output, grad_input });
            });
        });
        Ok(())
    }
}

struct Values<'a, T, F> {
    function: F,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Real, F: Function> Kernel for Values<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (output, &input) in self.output.iter_mut().zip(self.input) {
            *output = self.function.value(isa, input);
        }
    }
}

struct Gradients<'a, T, F> {
    function: F,
    input: &'a [T],
    grad_output: &'a [T],
    grad_input: &'a mut [T],
}

impl<T: Real, F: Function> Kernel for Gradients<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let operands = self.input.iter().zip(self.grad_output);
        for (grad_input, (&input, &grad_output)) in self.grad_input.iter_mut().zip(operands) {
            *grad_input = grad_output * self.function.derivative(isa, input);
        }
    }
}
