//! Step statuses on the processor.

use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{StepStatusOp, StepSums, clip_factor};
use crate::device::{Cpu, Result, Span, SpanMut};
use crate::nn::VALUES_PER_TASK;

impl StepStatusOp for Cpu {
    fn sum_losses_kernel(
        &self,
        losses: Span<'_, Self>,
        correct: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()> {
        let losses = || losses.as_slice().iter().map(|&loss| f64::from(loss));
        let sums = sums.into_slice();
        write_double(sums, 0, losses().sum());
        write_double(sums, 1, losses().map(|loss| loss * loss).sum());
        write_double(sums, 2, correct.as_slice().iter().map(|&correct| f64::from(correct)).sum());
        Ok(())
    }

    fn check_finite_kernel(
        &self,
        clip_norm: f64,
        grads: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
        step_status: SpanMut<'_, Self>,
    ) -> Result<()> {
        let values = sums.into_slice();
        write_double(values, 3, sum_of_squares(grads.as_slice()));
        let sums = StepSums::from_values(values.as_array().expect("the length was checked"));
        let step_status = step_status.into_slice();
        if !sums.is_finite() {
            step_status[0] = 1.0;
        }
        step_status[1] = clip_factor(clip_norm, sums.grad_norm()) as f32;
        Ok(())
    }

    fn copy_if_failed_kernel(
        &self,
        step_status: Span<'_, Self>,
        source: Span<'_, Self>,
        target: SpanMut<'_, Self>,
    ) -> Result<()> {
        if gradient_factor(step_status).is_none() {
            target.into_slice().copy_from_slice(source.as_slice());
        }
        Ok(())
    }
}

/// The factor for gradients; `None` if the step has failed.
pub(crate) fn gradient_factor(step_status: Span<'_, Cpu>) -> Option<f32> {
    let step_status = step_status.as_slice();
    (step_status[0] == 0.0).then_some(step_status[1])
}

/// Writes double number `at` as the device's memory holds it.
fn write_double(values: &mut [f32], at: usize, double: f64) {
    let bits = double.to_bits();
    values[2 * at] = f32::from_bits(bits as u32);
    values[2 * at + 1] = f32::from_bits((bits >> 32) as u32);
}

fn sum_of_squares(values: &[f32]) -> f64 {
    // One partial sum a chunk, added in the order of the chunks.
    let partial: Vec<f64> =
        values.par_chunks(VALUES_PER_TASK).map(|values| dispatch(SumOfSquares { values })).collect();
    partial.iter().sum()
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
