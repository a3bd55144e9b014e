//! The operands of an operation on the processor: slices of any scalar type, so that tests can use `f64`.

use super::{Backward, Forward};
use crate::device::{Cpu, SpanMut};

/// [`Forward`] as slices.
pub(crate) struct ForwardSlices<'a, T> {
    pub(crate) batch: usize,
    pub(crate) input: &'a [T],
    pub(crate) params: &'a [T],
    pub(crate) output: &'a mut [T],
}

/// [`Backward`] as slices.
pub(crate) struct BackwardSlices<'a, T> {
    pub(crate) batch: usize,
    /// Empty where it is missing.
    pub(crate) input: &'a [T],
    pub(crate) params: &'a [T],
    pub(crate) grad_output: &'a [T],
    pub(crate) grad_input: Option<&'a mut [T]>,
    pub(crate) grad_params: &'a mut [T],
}

impl<'a> Forward<'a, Cpu> {
    pub(crate) fn into_slices(self) -> ForwardSlices<'a, f32> {
        ForwardSlices {
            batch: self.batch,
            input: self.input.as_slice(),
            params: self.params.as_slice(),
            output: self.output.into_slice(),
        }
    }
}

impl<'a> Backward<'a, Cpu> {
    pub(crate) fn into_slices(self) -> BackwardSlices<'a, f32> {
        BackwardSlices {
            batch: self.batch,
            input: self.input.map_or(&[], |input| input.as_slice()),
            params: self.params.as_slice(),
            grad_output: self.grad_output.as_slice(),
            grad_input: self.grad_input.map(SpanMut::into_slice),
            grad_params: self.grad_params.into_slice(),
        }
    }
}
