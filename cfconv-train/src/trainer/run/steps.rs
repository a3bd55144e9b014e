//! Steps: started one after another, looked at in groups.

use std::time::Instant;

use super::Trainer;
use crate::data::Batch;
use crate::device::Device;
use crate::metrics::{Event, StepEvent};
use crate::networks::BatchLoss;
use crate::nn::StepSums;
use crate::signatures::not_finite::{self, MAX_UNDONE};
use crate::trainer::error::{Result, TrainError};
use crate::trainer::observer::Observer;

/// A step that the device has been given and whose outcome the host has not looked at.
pub(super) struct StartedStep {
    /// Kept for the case that an earlier step fails and this one has to be done again.
    batch: Batch,
    learning_rate: f64,
}

impl<D: Device> Trainer<D> {
    /// The learning rate of step number `step`, from 0: configuration, schedule, undone steps.
    pub(super) fn learning_rate(&self, step: usize) -> f64 {
        let total = (self.training.batches_per_epoch() * self.config.train.epochs) as u64;
        self.config.optimizer.learning_rate
            * self.config.schedule.factor(step as u64, total)
            * not_finite::learning_rate_factor(self.progress.undone_steps)
    }

    /// Starts a step without waiting for it. If its loss or gradient is not a number, the device itself undoes it and
    /// all steps behind it.
    pub(super) fn start_step(&mut self, batch: Batch) -> Result<()> {
        let step = self.progress.step + self.started.len();
        let learning_rate = self.learning_rate(step);
        let smoothing = self.config.train.label_smoothing;
        self.network.begin_step(step as u64)?;
        self.network.forward(batch.len(), &batch.images)?;
        self.network.enqueue_loss(&batch.labels, smoothing, &mut self.monitor)?;
        self.network.backward()?;
        self.optimizer.enqueue_step(&mut self.network, learning_rate, &mut self.monitor)?;
        if let Some(average) = &mut self.average {
            average.update(&self.network, &self.monitor)?;
        }
        self.network.rollback_step_if_failed(&self.monitor)?;
        self.started.push(StartedStep { batch, learning_rate });
        Ok(())
    }

    /// Waits for the steps that were started since `begun`, tells what they did and gives their batches back.
    ///
    /// After a step that failed the steps behind it are started once more, as they would have been had the host looked
    /// at each step before the next.
    pub(super) fn sync(
        &mut self,
        mut begun: Instant,
        observer: &mut dyn Observer,
        recycle: &dyn Fn(Batch),
    ) -> Result<()> {
        while !self.started.is_empty() {
            let sums = self.monitor.sync(self.network.device())?;
            let step_ms = begun.elapsed().as_secs_f64() * 1e3 / sums.len() as f64;
            let mut failed = None;
            let mut started = std::mem::take(&mut self.started).into_iter().zip(&sums).enumerate();
            for (number, (step, sums)) in started.by_ref() {
                if sums.is_finite() {
                    self.finish_step(&step, sums, step_ms, observer)?;
                    recycle(step.batch);
                } else {
                    failed = Some((number, step.batch, sums));
                    break;
                }
            }
            let Some((number, batch, failed_sums)) = failed else { break };
            let changed_nothing = sums.len() - number;
            self.network.drop_last_steps(changed_nothing);
            self.optimizer.drop_last_steps(changed_nothing);
            if let Some(average) = &mut self.average {
                average.forget_failed_updates(changed_nothing);
            }
            self.skip_batch(failed_sums, batch.len(), observer)?;
            recycle(batch);
            begun = Instant::now();
            for (_, (step, _)) in started {
                self.start_step(step.batch)?;
            }
        }
        Ok(())
    }

    /// Takes in a step that counts.
    fn finish_step(
        &mut self,
        step: &StartedStep,
        sums: &StepSums,
        step_ms: f64,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let loss = BatchLoss::from_sums(sums, step.batch.len());
        let progress = &mut self.progress;
        progress.step += 1;
        progress.batch += 1;
        progress.totals.loss += loss.sum;
        progress.totals.correct += loss.correct as u64;
        progress.totals.images += loss.images as u64;
        progress.watch.step(&loss);
        let event = StepEvent {
            step: progress.step,
            epoch: progress.epoch,
            loss: loss.mean(),
            learning_rate: step.learning_rate,
            grad_norm: sums.grad_norm(),
            step_ms,
        };
        if event.step.is_multiple_of(self.config.train.log_every) {
            self.history.step_ms.push(step_ms);
            self.metrics.write(&Event::Step(event.clone()))?;
        }
        observer.step(&event);
        Ok(())
    }

    /// Passes over the images of a step that was undone and lowers the learning rate; stops the run if that has been
    /// done often enough.
    ///
    /// The batch is skipped, so it cannot stop the run a second time.
    fn skip_batch(&mut self, sums: &StepSums, images: usize, observer: &mut dyn Observer) -> Result<()> {
        let (what, value) = if sums.loss.is_finite() {
            ("gradient norm", sums.grad_norm())
        } else {
            ("loss", sums.loss / images as f64)
        };
        let step = self.progress.step;
        if self.progress.undone_steps >= MAX_UNDONE {
            self.metrics.sync()?;
            return Err(TrainError::NotFinite {
                step: step + 1,
                what,
                value,
                undone: self.progress.undone_steps,
                checkpoint: Some(self.folder.checkpoint()).filter(|path| path.exists()),
            });
        }
        self.progress.undone_steps += 1;
        self.progress.step += 1;
        self.progress.batch += 1;
        let (undone, epoch) = (self.progress.undone_steps, self.progress.epoch);
        let signature = not_finite::signature(step, epoch, what, value, undone, self.learning_rate(step));
        self.progress.watch.record(signature.clone());
        self.report(&signature, observer)
    }
}
