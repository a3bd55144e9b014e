//! Optimiser steps on the processor.

use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{AdamMoments, AdamStep, OptimizerOp, SgdStep, Update};
use crate::device::{Cpu, Result, Span, SpanMut};
use crate::nn::VALUES_PER_TASK;
use crate::nn::step_status::gradient_factor;

impl OptimizerOp for Cpu {
    fn adam_step_kernel(
        &self,
        step: &AdamStep,
        moments: AdamMoments<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()> {
        let Update { step_status, grads, decay, params } = update;
        let Some(gradient_factor) = gradient_factor(step_status) else { return Ok(()) };
        params
            .into_slice()
            .par_chunks_mut(VALUES_PER_TASK)
            .zip(moments.first.into_slice().par_chunks_mut(VALUES_PER_TASK))
            .zip(moments.second.into_slice().par_chunks_mut(VALUES_PER_TASK))
            .zip(grads.as_slice().par_chunks(VALUES_PER_TASK))
            .zip(decay.as_slice().par_chunks(VALUES_PER_TASK))
            .for_each(|((((params, first_moment), second_moment), grads), decay)| {
                dispatch(Adam { step, gradient_factor, grads, decay, first_moment, second_moment, params });
            });
        Ok(())
    }

    fn sgd_step_kernel(
        &self,
        step: &SgdStep,
        velocity: SpanMut<'_, Self>,
        update: Update<'_, Self>,
    ) -> Result<()> {
        let Update { step_status, grads, decay, params } = update;
        let Some(gradient_factor) = gradient_factor(step_status) else { return Ok(()) };
        params
            .into_slice()
            .par_chunks_mut(VALUES_PER_TASK)
            .zip(velocity.into_slice().par_chunks_mut(VALUES_PER_TASK))
            .zip(grads.as_slice().par_chunks(VALUES_PER_TASK))
            .zip(decay.as_slice().par_chunks(VALUES_PER_TASK))
            .for_each(|(((params, velocity), grads), decay)| {
                dispatch(Sgd { step, gradient_factor, grads, decay, velocity, params });
            });
        Ok(())
    }

    fn average_step_kernel(
        &self,
        weight: f32,
        step_status: Span<'_, Self>,
        params: Span<'_, Self>,
        average: SpanMut<'_, Self>,
    ) -> Result<()> {
        if gradient_factor(step_status).is_none() {
            return Ok(());
        }
        average
            .into_slice()
            .par_chunks_mut(VALUES_PER_TASK)
            .zip(params.as_slice().par_chunks(VALUES_PER_TASK))
            .for_each(|(average, params)| dispatch(Average { weight, params, average }));
        Ok(())
    }
}

struct Adam<'a> {
    step: &'a AdamStep,
    gradient_factor: f32,
    grads: &'a [f32],
    decay: &'a [f32],
    first_moment: &'a mut [f32],
    second_moment: &'a mut [f32],
    params: &'a mut [f32],
}

impl Kernel for Adam<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let AdamStep { beta_1, beta_2, epsilon, .. } = *self.step;
        let size = self.step.learning_rate / self.step.correction_1;
        let root_correction = self.step.correction_2.sqrt().recip();
        let (coupled, decoupled) = self.step.decays();
        let moments = self.first_moment.iter_mut().zip(self.second_moment);
        let operands = self.grads.iter().zip(self.decay);
        for ((p, (m, v)), (&grad, &decay)) in self.params.iter_mut().zip(moments).zip(operands) {
            let g = isa.mul_add(self.gradient_factor, grad, coupled * decay * *p);
            *m = isa.mul_add(beta_1, *m, (1.0 - beta_1) * g);
            *v = isa.mul_add(beta_2, *v, (1.0 - beta_2) * g * g);
            let root = isa.mul_add(v.sqrt(), root_correction, epsilon);
            *p = isa.mul_add(-decoupled * decay, *p, *p) - size * *m / root;
        }
    }
}

struct Sgd<'a> {
    step: &'a SgdStep,
    gradient_factor: f32,
    grads: &'a [f32],
    decay: &'a [f32],
    velocity: &'a mut [f32],
    params: &'a mut [f32],
}

impl Kernel for Sgd<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let SgdStep { learning_rate, momentum, weight_decay } = *self.step;
        let operands = self.grads.iter().zip(self.decay);
        for ((p, v), (&grad, &decay)) in self.params.iter_mut().zip(self.velocity).zip(operands) {
            let g = isa.mul_add(self.gradient_factor, grad, weight_decay * decay * *p);
            *v = isa.mul_add(momentum, *v, g);
            *p = isa.mul_add(-learning_rate, *v, *p);
        }
    }
}

struct Average<'a> {
    weight: f32,
    params: &'a [f32],
    average: &'a mut [f32],
}

impl Kernel for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (average, &param) in self.average.iter_mut().zip(self.params) {
            *average = isa.mul_add(self.weight, param - *average, *average);
        }
    }
}
