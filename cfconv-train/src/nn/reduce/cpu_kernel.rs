//! Reductions on the processor.

use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::ReduceOp;
use crate::device::{Cpu, Result, Span};
use crate::nn::VALUES_PER_TASK;

impl ReduceOp for Cpu {
    fn sum_of_squares(&self, values: Span<'_, Self>) -> Result<f64> {
        // One partial sum a chunk, added in the order of the chunks.
        let partial: Vec<f64> = values
            .as_slice()
            .par_chunks(VALUES_PER_TASK)
            .map(|values| dispatch(SumOfSquares { values }))
            .collect();
        Ok(partial.iter().sum())
    }
}

struct SumOfSquares<'a> {
    values: &'a [f32],
}

impl Kernel for SumOfSquares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f64 {
        // In f64 throughout: squares of f32 neither overflow nor underflow there.
        const WIDE: usize = 16;
        let mut lanes = [0.0_f64; WIDE];
        let (full, rest) = self.values.as_chunks::<WIDE>();
        for values in full {
            for l in 0..WIDE {
                let value = f64::from(values[l]);
                lanes[l] = isa.mul_add(value, value, lanes[l]);
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(value) * f64::from(value);
        }
        lanes.iter().sum()
    }
}
