//! Undoing a training step whose loss or gradient is no number.

use super::error::Result;
use super::network::Network;
use crate::device::{Device, Span, SpanMut};
use crate::nn::CfConv2d;

impl<D: Device> Network<D> {
    /// Keeps what [`undo_step`](Self::undo_step) needs from now on.
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

    /// Makes kernel states and running statistics what they were before the last [`begin_step`](Self::begin_step),
    /// bit for bit. The parameters are the caller's to leave alone.
    ///
    /// # Errors
    /// If steps are not [kept undoable](Self::keep_undo), or none has begun since the last was undone.
    pub fn undo_step(&mut self) -> Result<()> {
        self.forget_phase();
        for layer in &mut self.layers {
            if let Some(cf_conv) = layer.cf_conv_mut() {
                let outcome = cf_conv.undo_step();
                outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            }
        }
        if let Some(before) = &self.undo_running {
            let range = 0..self.plan.running_len;
            self.device.copy(Span::new(before, range.clone()), SpanMut::new(&mut self.running, range))?;
        }
        Ok(())
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
