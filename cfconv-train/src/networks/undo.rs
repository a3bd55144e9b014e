//! Undoing a training step whose loss or gradient is no number.

use super::error::Result;
use super::network::Network;
use crate::device::{Device, Span, SpanMut};
use crate::nn::{CfConv2d, StepLedger};

impl<D: Device> Network<D> {
    /// Keeps what [`undo_step_if_failed`](Self::undo_step_if_failed) needs from now on.
    ///
    /// It costs one more value for each position that a step visits, which are read once in each step, and a copy of
    /// the running statistics. Parameters and moments need no copy: an optimiser changes them after everything that
    /// can go wrong.
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn keep_undo(&mut self) -> Result<()> {
        self.undo_running = Some(self.device.alloc(self.plan.running_len)?);
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                cf_conv.keep_undo(true);
            }
        }
        Ok(())
    }

    /// Ends a step that `ledger` has judged: if it failed, makes kernel states and running statistics what they were
    /// before the last [`begin_step`](Self::begin_step), bit for bit. The device decides; the host does not wait.
    ///
    /// # Errors
    /// If steps are not [kept undoable](Self::keep_undo), or what the device reports.
    pub fn undo_step_if_failed(&mut self, ledger: &StepLedger<D>) -> Result<()> {
        self.forget_phase();
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                let outcome = cf_conv.undo_step_if_failed(ledger.verdict());
                outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            }
        }
        if let Some(before) = &self.undo_running {
            let range = 0..self.plan.running_len;
            let (before, running) =
                (Span::new(before, range.clone()), SpanMut::new(&mut self.running, range));
            self.device.copy_if_failed(ledger.verdict(), before, running)?;
        }
        Ok(())
    }

    /// Takes the last `steps` steps, of which [`StepLedger::settle`] has shown the first to have failed, out of the
    /// layers' histories.
    pub fn forget_failed_steps(&mut self, steps: usize) {
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                cf_conv.forget_failed_steps(steps);
            }
        }
    }

    /// Keeps the running statistics, where steps are kept undoable.
    pub(super) fn record_running(&mut self) -> Result<()> {
        if let Some(before) = &mut self.undo_running {
            let range = 0..self.plan.running_len;
            self.device.copy(Span::new(&self.running, range.clone()), SpanMut::new(before, range))?;
        }
        Ok(())
    }
}
