//! Who watches a run.

use crate::metrics::{EndEvent, EpochEvent, StartEvent, StepEvent};
use crate::signatures::Signature;

/// Is told what happens in a run, for instance to show progress.
pub trait Observer {
    /// The run begins, or goes on after `steps_done` steps.
    fn started(&mut self, start: &StartEvent, steps_done: usize);

    /// A step is done.
    fn step(&mut self, step: &StepEvent);

    /// An epoch is done.
    fn epoch(&mut self, epoch: &EpochEvent);

    /// A failure was recognised.
    fn signature(&mut self, signature: &Signature);

    /// The run is done.
    fn ended(&mut self, end: &EndEvent);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn started(&mut self, _: &StartEvent, _: usize) {}

    fn step(&mut self, _: &StepEvent) {}

    fn epoch(&mut self, _: &EpochEvent) {}

    fn signature(&mut self, _: &Signature) {}

    fn ended(&mut self, _: &EndEvent) {}
}
