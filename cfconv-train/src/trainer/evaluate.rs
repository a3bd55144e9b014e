//! Accuracy of a network on images.

use super::error::Result;
use crate::data::Loader;
use crate::device::Device;
use crate::metrics::Score;
use crate::networks::Network;

/// Right answers within one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// Images of the class.
    pub images: usize,
    /// Those whose likeliest class is this one.
    pub correct: usize,
}

/// What a network answers for one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The image's place in the data set.
    pub image: usize,
    /// Its class.
    pub label: usize,
    /// The likeliest class; of equally likely ones the first.
    pub predicted: usize,
    /// The probability that the network gives to `predicted`; not a number if its logits are not finite.
    pub probability: f64,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Over all images.
    pub score: Score,
    /// One for each class.
    pub classes: Vec<ClassCount>,
}

/// Evaluates a network, prepared with [`Network::begin_evaluation`], on the images of `loader`.
///
/// Every image counts once, whatever the batch size. Losses are without label smoothing.
///
/// # Errors
/// What the network reports.
pub fn evaluate<D: Device>(network: &mut Network<D>, loader: &Loader) -> Result<Evaluation> {
    evaluate_each(network, loader, |_| ())
}

/// As [`evaluate`], and hands on the answer for each image, in the order of `loader`.
///
/// # Errors
/// What the network reports.
pub fn evaluate_each<D: Device>(
    network: &mut Network<D>,
    loader: &Loader,
    mut hand_on: impl FnMut(Answer),
) -> Result<Evaluation> {
    let classes = network.plan().classes();
    let mut counts = vec![ClassCount::default(); classes];
    let mut loss = 0.0;
    let mut batches = loader.epoch(0, 0);
    while let Some(batch) = batches.next() {
        network.forward(batch.len(), &batch.images)?;
        let logits = network.logits()?;
        for (column, (&label, &image)) in batch.labels.iter().zip(&batch.indices).enumerate() {
            let row = Column { logits: &logits, batch: batch.len(), image: column };
            let label = label as usize;
            loss += row.cross_entropy(label, classes);
            let predicted = row.likeliest(classes);
            let count = &mut counts[label];
            count.images += 1;
            count.correct += usize::from(predicted == label);
            let probability = (-row.cross_entropy(predicted, classes)).exp();
            hand_on(Answer { image, label, predicted, probability });
        }
        batches.recycle(batch);
    }
    let images: usize = counts.iter().map(|count| count.images).sum();
    let correct: usize = counts.iter().map(|count| count.correct).sum();
    let per_image = 1.0 / images.max(1) as f64;
    let score = Score { loss: loss * per_image, accuracy: correct as f64 * per_image, images };
    Ok(Evaluation { score, classes: counts })
}

/// Probabilities of every class for each of `batch` images.
///
/// # Shapes
/// `images`: `[C, H, W, B]`; the result: `[B][classes]`.
///
/// # Errors
/// What the network reports.
pub fn probabilities<D: Device>(
    network: &mut Network<D>,
    images: &[f32],
    batch: usize,
) -> Result<Vec<Vec<f32>>> {
    let classes = network.plan().classes();
    network.forward(batch, images)?;
    let logits = network.logits()?;
    let rows = (0..batch).map(|image| {
        let row = Column { logits: &logits, batch, image };
        let log_sum = row.log_sum_exp(classes);
        (0..classes).map(|class| (row.get(class) - log_sum).exp() as f32).collect()
    });
    Ok(rows.collect())
}

/// The logits of one image within `[classes, B]`.
struct Column<'a> {
    logits: &'a [f32],
    batch: usize,
    image: usize,
}

impl Column<'_> {
    fn get(&self, class: usize) -> f64 {
        f64::from(self.logits[class * self.batch + self.image])
    }

    /// Of equal logits the first counts as the largest.
    fn likeliest(&self, classes: usize) -> usize {
        (1..classes).fold(0, |best, class| if self.get(class) > self.get(best) { class } else { best })
    }

    fn log_sum_exp(&self, classes: usize) -> f64 {
        let largest = self.get(self.likeliest(classes));
        largest + (0..classes).map(|class| (self.get(class) - largest).exp()).sum::<f64>().ln()
    }

    fn cross_entropy(&self, label: usize, classes: usize) -> f64 {
        self.log_sum_exp(classes) - self.get(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_match_hand_computation() {
        // Two classes, two images: logits (0, ln 3) and (5, 5).
        let logits = [0.0, 5.0, 3.0_f32.ln(), 5.0];
        let first = Column { logits: &logits, batch: 2, image: 0 };
        assert_eq!(first.likeliest(2), 1);
        assert!((first.cross_entropy(0, 2) - 4.0_f64.ln()).abs() < 1e-6);
        assert!((first.cross_entropy(1, 2) - (4.0_f64 / 3.0).ln()).abs() < 1e-6);
        let tie = Column { logits: &logits, batch: 2, image: 1 };
        assert_eq!(tie.likeliest(2), 0);
        let huge = [1000.0, -1000.0_f32];
        let huge = Column { logits: &huge, batch: 1, image: 0 };
        assert_eq!(huge.cross_entropy(1, 2), 2000.0);
    }
}
