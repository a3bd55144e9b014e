//! Rolling back a training step whose loss or gradient is not finite.

use super::error::Result;
use super::network::Network;
use crate::device::{Device, Span, SpanMut};
use crate::nn::StepMonitor;

impl<D: Device> Network<D> {
    /// Keeps what [`rollback_step_if_failed`](Self::rollback_step_if_failed) needs from now on.
    ///
    /// It costs one more value for each position that a step visits, which are read once in each step, and a copy of
    /// the running statistics. Parameters and moments need no copy: an optimiser changes them after everything that
    /// can go wrong.
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn enable_rollback(&mut self) -> Result<()> {
        self.running_before_step = Some(self.device.alloc(self.plan.running_len)?);
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                cf_conv.enable_rollback(true);
            }
        }
        Ok(())
    }

    /// Ends a step that `monitor` has checked: if it failed, makes kernel states and running statistics what they were
    /// before the last [`begin_step`](Self::begin_step), bit for bit. The device decides; the host does not wait.
    ///
    /// # Errors
    /// Unless rolling back is [enabled](Self::enable_rollback), or what the device reports.
    pub fn rollback_step_if_failed(&mut self, monitor: &StepMonitor<D>) -> Result<()> {
        self.forget_phase();
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                let outcome = cf_conv.rollback_step_if_failed(monitor.step_status());
                outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            }
        }
        if let Some(before) = &self.running_before_step {
            let range = 0..self.plan.running_len;
            let (before, running) =
                (Span::new(before, range.clone()), SpanMut::new(&mut self.running, range));
            self.device.copy_if_failed(monitor.step_status(), before, running)?;
        }
        Ok(())
    }

    /// Takes the last `steps` steps, of which [`StepMonitor::sync`] has shown the first to have failed, out of the
    /// layers' histories.
    pub fn drop_last_steps(&mut self, steps: usize) {
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                cf_conv.drop_last_steps(steps);
            }
        }
    }

    /// Keeps the running statistics, if steps can be rolled back.
    pub(super) fn record_running(&mut self) -> Result<()> {
        if let Some(before) = &mut self.running_before_step {
            let range = 0..self.plan.running_len;
            self.device.copy(Span::new(&self.running, range.clone()), SpanMut::new(before, range))?;
        }
        Ok(())
    }
}
