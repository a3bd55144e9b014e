//! Training: steps, epochs, evaluations, checkpoints.
//!
//! A [`Trainer`] holds a network with its optimiser and average, and a [`RunFolder`](crate::run_folder::RunFolder).
//! [`Trainer::run`] trains to the end of the configured epochs, or until it is stopped; a run that was stopped goes
//! on from its checkpoint with [`Trainer::resume`], step by step as if it had never been stopped.

mod clock;
mod error;
mod evaluate;
mod observer;
mod run;
mod summary;

pub use error::{Result, TrainError};
pub use evaluate::{Answer, ClassCount, Evaluation, evaluate, evaluate_each, probabilities};
pub use observer::{Observer, Silent};
pub use run::{Limits, Outcome, Trainer};
pub use summary::Summary;
