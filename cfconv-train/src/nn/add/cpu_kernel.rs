//! Addition on the processor.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::AddOp;
use crate::device::{Cpu, Result, Span, SpanMut};
use crate::nn::VALUES_PER_TASK;

impl AddOp for Cpu {
    fn add_kernel(&self, a: Span<'_, Self>, b: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()> {
        output
            .into_slice()
            .par_chunks_mut(VALUES_PER_TASK)
            .zip(a.as_slice().par_chunks(VALUES_PER_TASK))
            .zip(b.as_slice().par_chunks(VALUES_PER_TASK))
            .for_each(|((output, a), b)| dispatch(Add { a, b, output }));
        Ok(())
    }

    fn add_assign_kernel(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        target
            .into_slice()
            .par_chunks_mut(VALUES_PER_TASK)
            .zip(source.as_slice().par_chunks(VALUES_PER_TASK))
            .for_each(|(target, source)| dispatch(AddAssign { source, target }));
        Ok(())
    }
}

struct Add<'a, T> {
    a: &'a [T],
    b: &'a [T],
    output: &'a mut [T],
}

impl<T: Real> Kernel for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        for (output, (&a, &b)) in self.output.iter_mut().zip(self.a.iter().zip(self.b)) {
            *output = a + b;
        }
    }
}

struct AddAssign<'a, T> {
    source: &'a [T],
    target: &'a mut [T],
}

impl<T: Real> Kernel for AddAssign<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        for (target, &source) in self.target.iter_mut().zip(self.source) {
            *target += source;
        }
    }
}
