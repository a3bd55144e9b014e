//! `plateau`: the training loss no longer falls.

use serde::{Deserialize, Serialize};

use super::watch::EpochView;
use super::{Signature, SignatureKind};

/// Fewest epochs that are looked at together; a tenth of the run if that is more.
pub const WINDOW: usize = 5;

/// A loss that falls by less than this share of itself over the window, with the uncertainty added, does not fall.
pub const LEAST_DECLINE: f64 = 0.02;

/// Where this share of the training images is right, there is little left to learn.
pub const LEARNED: f64 = 0.95;

/// Epochs whose learning rate is below this share of the configured one are not judged: there the schedule ends the
/// run, or begins it.
pub const LEAST_FACTOR: f64 = 0.1;

/// What is remembered of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochPoint {
    /// Mean training loss.
    pub loss: f64,
    /// Share of training images that were right.
    pub accuracy: f64,
    /// The learning rate in the middle of the epoch over the configured one.
    pub factor: f64,
}

/// How much the straight line through equally spaced `values` falls from the first to the last, and the standard
/// error of that, both over the mean value. `None` for fewer than three values or a mean that is not positive.
///
/// # Source
/// Least squares: slope b = Σ(x − x̄)y/Σ(x − x̄)², its variance Σr²/(n − 2)/Σ(x − x̄)², r the residuals.
pub fn relative_decline(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 3 || !(mean > 0.0 && mean.is_finite()) {
        return None;
    }
    let centre = (count - 1.0) / 2.0;
    let offsets = || (0..values.len()).map(|at| at as f64 - centre);
    let spread: f64 = offsets().map(|x| x * x).sum();
    let slope = offsets().zip(values).map(|(x, y)| x * y).sum::<f64>() / spread;
    let residuals: f64 = offsets().zip(values).map(|(x, y)| (y - mean - slope * x).powi(2)).sum();
    let error = (residuals / (count - 2.0) / spread).sqrt();
    let length = count - 1.0;
    Some((-slope * length / mean, error * length / mean))
}

/// The signature, if the last of `epochs` end on a plateau.
///
/// Over the window (five epochs, or a tenth of the run) a straight line is fitted to the training loss. It is a
/// plateau if the line's decline plus two standard errors is below 2 % of the mean loss, while fewer than 95 % of the
/// training images are right and the learning rate is at least a tenth of the configured one.
pub(super) fn find(view: &EpochView<'_>, epochs: &[EpochPoint]) -> Option<Signature> {
    let window = WINDOW.max(view.planned_epochs / 10);
    let recent = &epochs[epochs.len().checked_sub(window)?..];
    let judged = recent.iter().all(|point| point.factor >= LEAST_FACTOR && point.accuracy < LEARNED);
    let losses: Vec<f64> = recent.iter().map(|point| point.loss).collect();
    let (decline, error) = relative_decline(&losses)?;
    if !judged || decline + 2.0 * error >= LEAST_DECLINE {
        return None;
    }
    let last = recent.last()?;
    let guessing = (view.classes as f64).ln();
    let nothing_learned = last.loss > 0.98 * guessing;
    let seen = format!("over {window} epochs the training loss fell by {:.1} %", 100.0 * decline);
    let mut advice = if nothing_learned {
        "the network has learned nothing yet: an optimizer.learning_rate ten times larger if the loss \
         hardly moves, ten times smaller if it jumps"
            .to_owned()
    } else {
        "an optimizer.learning_rate three times smaller, or fewer train.epochs, so that the schedule \
         lowers it earlier"
            .to_owned()
    };
    advice += &view.kernel_advice();
    let signature = Signature::new(SignatureKind::Plateau, view.step, view.epoch, seen)
        .with("decline", decline)
        .with("decline_error", error)
        .with("loss", last.loss)
        .with("loss_of_guessing", guessing)
        .with("train_accuracy", last.accuracy);
    Some(view.with_kernels(signature).advise(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(losses: &[f64]) -> Vec<EpochPoint> {
        losses.iter().map(|&loss| EpochPoint { loss, accuracy: 0.5, factor: 1.0 }).collect()
    }

    fn view() -> EpochView<'static> {
        EpochView { step: 100, epoch: 9, planned_epochs: 10, classes: 12, validation: None, kernels: &[] }
    }

    #[test]
    fn declines_match_hand_computation() {
        let (decline, error) = relative_decline(&[5.0, 4.0, 3.0]).unwrap();
        assert!((decline - 0.5).abs() < 1e-12 && error < 1e-12);
        // Slope 0, residuals ±1/3 and 2/3: variance of the slope (1/9 + 4/9 + 1/9)/1/2 = 1/3.
        let (decline, error) = relative_decline(&[3.0, 4.0, 3.0]).unwrap();
        assert!(decline.abs() < 1e-12);
        assert!((error - (1.0_f64 / 3.0).sqrt() * 2.0 / (10.0 / 3.0)).abs() < 1e-12);
        assert_eq!(relative_decline(&[1.0, 1.0]), None);
        assert_eq!(relative_decline(&[0.0; 5]), None);
    }

    #[test]
    fn flat_losses_are_a_plateau_and_falling_ones_are_not() {
        assert!(find(&view(), &epochs(&[2.5, 2.49, 2.5, 2.49, 2.5])).is_some());
        assert!(find(&view(), &epochs(&[2.0, 2.1, 2.2, 2.3, 2.4])).is_some(), "rising");
        assert!(find(&view(), &epochs(&[2.5, 2.49, 2.5, 2.49])).is_none(), "too few epochs");
        assert!(find(&view(), &epochs(&[1.0, 0.98, 0.96, 0.94, 0.92])).is_none(), "falling by 8 %");
        assert!(find(&view(), &epochs(&[1.0, 0.9, 1.1, 0.95, 1.05])).is_none(), "too noisy to tell");
        let mut learned = epochs(&[0.1; 5]);
        learned[2].accuracy = 0.96;
        assert!(find(&view(), &learned).is_none());
        let mut ending = epochs(&[0.8; 5]);
        ending[4].factor = 0.05;
        assert!(find(&view(), &ending).is_none());
        let long = EpochView { planned_epochs: 100, ..view() };
        assert!(find(&long, &epochs(&[2.5; 9])).is_none());
        assert!(find(&long, &epochs(&[2.5; 10])).is_some());
    }
}
