//! Cross-entropy on the processor. Logits are few: the code is serial, in `f64` inside.

use cfconv_fft::Real;

use super::CrossEntropyOp;
use crate::device::{Cpu, IndexBuffer, Result, Span, SpanMut, check_len};

impl CrossEntropyOp for Cpu {
    fn cross_entropy(
        &self,
        batch: usize,
        smoothing: f32,
        logits: Span<'_, Self>,
        labels: &IndexBuffer<Self>,
        losses: SpanMut<'_, Self>,
        correct: SpanMut<'_, Self>,
        grad_logits: Option<SpanMut<'_, Self>>,
    ) -> Result<()> {
        const OP: &str = "cross_entropy";
        check_len(OP, "labels", batch, labels.len().min(batch))?;
        losses.expect_len(OP, "losses", batch)?;
        correct.expect_len(OP, "correct", batch)?;
        if let Some(grad_logits) = &grad_logits {
            grad_logits.expect_len(OP, "grad_logits", logits.len())?;
        }
        cross_entropy(
            batch,
            smoothing,
            logits.as_slice(),
            &labels[..batch],
            losses.into_slice(),
            correct.into_slice(),
            grad_logits.map(SpanMut::into_slice),
        );
        Ok(())
    }

    fn softmax(&self, batch: usize, logits: Span<'_, Self>, probabilities: SpanMut<'_, Self>) -> Result<()> {
        probabilities.expect_len("softmax", "probabilities", logits.len())?;
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
pub(crate) fn cross_entropy<T: Real>(
    batch: usize,
    smoothing: f32,
    logits: &[T],
    labels: &[u32],
    losses: &mut [T],
    correct: &mut [T],
    mut grad_logits: Option<&mut [T]>,
) {
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
            cross_entropy(batch, smoothing, &logits, &labels, &mut losses, &mut correct, Some(&mut grad));
            let mean = |logits: &[f64]| {
                let (mut losses, mut correct) = (vec![f64::NAN; batch], vec![f64::NAN; batch]);
                cross_entropy(batch, smoothing, logits, &labels, &mut losses, &mut correct, None);
                losses.iter().sum::<f64>() / batch as f64
            };
            assert_gradient(mean, &logits, &grad);
        }
    }
}
