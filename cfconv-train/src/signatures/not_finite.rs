//! `not-finite`: a loss or gradient that is infinite or not a number. The step is undone.

use super::{Signature, SignatureKind};

/// Steps of a run that are undone before it stops.
pub const MAX_UNDONE: u32 = 3;

/// What each undone step multiplies the learning rate by, for the rest of the run.
pub const LEARNING_RATE_FACTOR: f64 = 0.5;

/// The factor of the learning rate after `undone` undone steps.
pub fn learning_rate_factor(undone: u32) -> f64 {
    LEARNING_RATE_FACTOR.powi(undone as i32)
}

/// The signature of step number `step`, of which `what` is `value`, after `undone` undone steps, this one included.
pub(crate) fn signature(
    step: usize,
    epoch: usize,
    what: &str,
    value: f64,
    undone: u32,
    next_rate: f64,
) -> Signature {
    let seen = format!(
        "the {what} of step {} is {value}; the step is undone, its images are skipped and the learning \
         rate is halved",
        step + 1
    );
    Signature::new(SignatureKind::NotFinite, step, epoch, seen)
        .with("undone_steps", f64::from(undone))
        .with("learning_rate", next_rate)
        .advise(
            "a smaller optimizer.learning_rate, optimizer.clip_norm, or schedule.warmup_steps; if the \
             learning rate is already small, check data.std and the images",
        )
}
