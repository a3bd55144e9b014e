//! Cross-entropy on the processor. Logits are few: the code is serial, in `f64` inside.

use cfconv_fft::Real;

use super::{CrossEntropy, CrossEntropyOp};
use crate::device::{Cpu, Result, Span, SpanMut};

impl CrossEntropyOp for Cpu {
    fn cross_entropy_kernel(&self, operands: CrossEntropy<'_, Self>) -> Result<()> {
        let CrossEntropy { batch, smoothing, logits, labels, losses, correct, grad_logits } = operands;
        cross_entropy(
            smoothing,
            logits.as_slice(),
            &labels[..batch],
            losses.into_slice(),
            correct.into_slice(),
            grad_logits.map(SpanMut::into_slice),
        );
        Ok(())
    }

    fn softmax_kernel(
        &self,
        batch: usize,
        logits: Span<'_, Self>,
        probabilities: SpanMut<'_, Self>,
    ) -> Result<()> {
        let (logits, probabilities) = (logits.as_slice(), probabilities.into_slice());
        for image in 0..batch {
            let log_sum = log_sum_exp(logits, batch, image);
            for at in (image..logits.len()).step_by(batch) {
                probabilities[at] = (f64::from(logits[at]) - log_sum).exp() as f32;
            }
        }
        Ok(())
    }
}

/// See [`CrossEntropyOp::cross_entropy`].
fn cross_entropy<T: Real>(
    smoothing: f32,
    logits: &[T],
    labels: &[u32],
    losses: &mut [T],
    correct: &mut [T],
    mut grad_logits: Option<&mut [T]>,
) {
    let batch = labels.len();
    let classes = logits.len() / batch;
    let smoothing = f64::from(smoothing);
    for (image, &label) in labels.iter().enumerate() {
        let label = label as usize;
        let log_sum = log_sum_exp(logits, batch, image);
        let mut loss = 0.0;
        let mut largest = 0;
        for class in 0..classes {
            let at = class * batch + image;
            let target = smoothing / classes as f64 + if class == label { 1.0 - smoothing } else { 0.0 };
            let log_probability = logits[at].as_f64() - log_sum;
            // A class without a share of the target adds nothing, even at −∞.
            if target > 0.0 {
                loss -= target * log_probability;
            }
            if logits[at] > logits[largest * batch + image] {
                largest = class;
            }
            if let Some(grad_logits) = &mut grad_logits {
                grad_logits[at] = T::cast((log_probability.exp() - target) / batch as f64);
            }
        }
        losses[image] = T::cast(loss);
        correct[image] = if largest == label { T::ONE } else { T::ZERO };
    }
}

/// ln Σ exp over the classes of one image, without overflow.
fn log_sum_exp<T: Real>(logits: &[T], batch: usize, image: usize) -> f64 {
    let values = || logits.iter().skip(image).step_by(batch).map(|logit| logit.as_f64());
    let largest = values().fold(f64::NEG_INFINITY, f64::max);
    largest + values().map(|value| (value - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_gradient, noise};

    #[test]
    fn gradient_matches_central_differences() {
        for (classes, batch, smoothing) in [(2, 1, 0.0), (5, 17, 0.1), (3, 4, 0.3)] {
            let logits: Vec<f64> = noise(1, classes * batch).iter().map(|x| 6.0 * x).collect();
            let labels: Vec<u32> = (0..batch).map(|b| (b * 7 % classes) as u32).collect();
            let (mut losses, mut correct) = (vec![f64::NAN; batch], vec![f64::NAN; batch]);
            let mut grad = vec![f64::NAN; logits.len()];
            cross_entropy(smoothing, &logits, &labels, &mut losses, &mut correct, Some(&mut grad));
            let mean = |logits: &[f64]| {
                let (mut losses, mut correct) = (vec![f64::NAN; batch], vec![f64::NAN; batch]);
                cross_entropy(smoothing, logits, &labels, &mut losses, &mut correct, None);
                losses.iter().sum::<f64>() / batch as f64
            };
            assert_gradient(mean, &logits, &grad);
        }
    }
}
