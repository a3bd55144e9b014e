//! `fluctuation`: training loss or validation accuracy jump by more than chance explains.

use serde::{Deserialize, Serialize};

use super::watch::EpochView;
use super::{Signature, SignatureKind};
use crate::metrics::Score;
use crate::networks::BatchLoss;

/// Jumps of the loss from step to step, in variances of what the choice of images explains, that are too large.
pub const JUMP_RATIO: f64 = 4.0;

/// Epochs in a row with such jumps.
pub const EPOCHS: usize = 2;

/// Fewest jumps of an epoch that are judged.
pub const LEAST_JUMPS: u64 = 8;

/// Evaluations among which falls are counted.
pub const EVALUATIONS: usize = 5;

/// Falls of the accuracy from one evaluation to the next that are too many.
pub const FALLS: usize = 2;

/// A fall of the accuracy counts from this size on, and from this many standard deviations.
pub const FALL: f64 = 0.1;

/// Standard deviations of the difference of two accuracies, from which on a fall counts.
pub const DEVIATIONS: f64 = 4.0;

/// The loss may jump by this share of itself whatever the images: rounding, and images that are all alike.
const TOLERATED: f64 = 1e-2;

/// Jumps of the loss within an epoch, and what the choice of images explains of them.
///
/// The batch loss L is a mean over B images with variance s², so from step to step it varies by s²/B though nothing
/// else changes. The variance of its jumps, Σ(L_t − L_{t−1})²/2n, is about as large in a healthy run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossJumps {
    previous: Option<f64>,
    squares: f64,
    jumps: u64,
    explained: f64,
    losses: f64,
    steps: u64,
}

impl LossJumps {
    /// Takes in a step.
    pub fn add(&mut self, loss: &BatchLoss) {
        let Some(explained) = loss.sampling_variance() else { return };
        let mean = loss.mean();
        if let Some(previous) = self.previous.replace(mean) {
            self.squares += (mean - previous).powi(2);
            self.jumps += 1;
        }
        self.explained += explained;
        self.losses += mean;
        self.steps += 1;
    }

    /// The variance of the jumps over the variance that the choice of images explains; `None` for fewer than eight
    /// jumps.
    pub fn ratio(&self) -> Option<f64> {
        if self.jumps < LEAST_JUMPS {
            return None;
        }
        let steps = self.steps as f64;
        let explained = self.explained / steps + (TOLERATED * self.losses / steps).powi(2);
        Some(self.squares / (2.0 * self.jumps as f64) / explained).filter(|ratio| ratio.is_finite())
    }
}

/// The signature of jumps of the loss: `ratios` has the epochs' ratios, the last epoch last.
pub(super) fn find_jumps(view: &EpochView<'_>, ratios: &[Option<f64>]) -> Option<Signature> {
    let recent = &ratios[ratios.len().checked_sub(EPOCHS)?..];
    let least = recent.iter().copied().collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)?;
    if least < JUMP_RATIO {
        return None;
    }
    let seen = format!(
        "for {EPOCHS} epochs the training loss has jumped from step to step with at least {least:.1} times \
         the variance that sampling noise explains"
    );
    let signature =
        Signature::new(SignatureKind::Fluctuation, view.step, view.epoch, seen).with("jump_ratio", least);
    Some(advised(view, signature))
}

/// The signature of falls of the validation accuracy: `scores` has the evaluations, the last one last.
///
/// With accuracies p and q of n images each, the difference has the standard deviation √((p(1 − p) + q(1 − q))/n).
pub(super) fn find_falls(view: &EpochView<'_>, scores: &[Score]) -> Option<Signature> {
    let recent = &scores[scores.len().saturating_sub(EVALUATIONS)..];
    let falls: Vec<f64> = recent
        .windows(2)
        .filter_map(|pair| {
            let fall = pair[0].accuracy - pair[1].accuracy;
            let variance: f64 = pair
                .iter()
                .map(|score| score.accuracy * (1.0 - score.accuracy) / score.images.max(1) as f64)
                .sum();
            (fall >= FALL && fall > DEVIATIONS * variance.sqrt()).then_some(fall)
        })
        .collect();
    if falls.len() < FALLS {
        return None;
    }
    let largest = falls.iter().copied().fold(0.0, f64::max);
    let seen = format!(
        "in the last {} evaluations the validation accuracy fell {} times by more than chance explains",
        recent.len(),
        falls.len()
    );
    let signature = Signature::new(SignatureKind::Fluctuation, view.step, view.epoch, seen)
        .with("falls", falls.len() as f64)
        .with("largest_fall", largest);
    Some(advised(view, signature))
}

fn advised(view: &EpochView<'_>, signature: Signature) -> Signature {
    let advice = "an optimizer.learning_rate three times smaller, optimizer.clip_norm, or a larger \
         train.batch_size; [average] steadies the weights that are evaluated"
        .to_owned()
        + &view.kernel_advice();
    view.with_kernels(signature).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> EpochView<'static> {
        EpochView { step: 100, epoch: 9, planned_epochs: 10, classes: 2, validation: None, kernels: &[] }
    }

    /// A batch of two images with the losses `mean ± spread`.
    fn batch(mean: f64, spread: f64) -> BatchLoss {
        let losses = [mean - spread, mean + spread];
        BatchLoss {
            sum: losses.iter().sum(),
            sum_of_squares: losses.iter().map(|loss| loss * loss).sum(),
            correct: 0,
            images: 2,
        }
    }

    #[test]
    fn ratio_matches_hand_computation() {
        let mut jumps = LossJumps::default();
        for step in 0..11 {
            // Jumps of 0.4: variance 0.08. Image losses mean ± 0.2: s² = 0.08, of a mean of two 0.04.
            jumps.add(&batch(if step % 2 == 0 { 1.0 } else { 1.4 }, 0.2));
        }
        let mean: f64 = (6.0 + 5.0 * 1.4) / 11.0;
        let expected = 0.08 / (0.04 + (0.01 * mean).powi(2));
        assert!((jumps.ratio().unwrap() - expected).abs() < 1e-9, "{:?}", jumps.ratio());
        let mut few = LossJumps::default();
        (0..8).for_each(|_| few.add(&batch(1.0, 0.1)));
        assert_eq!(few.ratio(), None);
    }

    #[test]
    fn jumps_count_when_they_last() {
        assert!(find_jumps(&view(), &[Some(9.0)]).is_none());
        assert!(find_jumps(&view(), &[Some(9.0), Some(1.0), Some(9.0)]).is_none());
        assert!(find_jumps(&view(), &[Some(9.0), None]).is_none());
        let found = find_jumps(&view(), &[Some(1.0), Some(9.0), Some(5.0)]).unwrap();
        assert_eq!(found.evidence["jump_ratio"], 5.0);
    }

    #[test]
    fn falls_count_when_chance_does_not_explain_them() {
        let scores = |accuracies: &[f64], images| -> Vec<Score> {
            accuracies.iter().map(|&accuracy| Score { loss: 1.0, accuracy, images }).collect()
        };
        assert!(find_falls(&view(), &scores(&[0.6, 0.4, 0.7, 0.5], 500)).is_some());
        assert!(find_falls(&view(), &scores(&[0.6, 0.4, 0.7, 0.65], 500)).is_none(), "one fall");
        assert!(find_falls(&view(), &scores(&[0.6, 0.4, 0.7, 0.5], 20)).is_none(), "chance");
        assert!(
            find_falls(&view(), &scores(&[0.6, 0.4, 0.5, 0.6, 0.6, 0.6, 0.4], 500)).is_none(),
            "long ago"
        );
    }
}
