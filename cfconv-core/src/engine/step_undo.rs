//! What it takes to undo a training step's refresh of the kernel state.

use cfconv_fft::{Complex, Real};

use super::CfConv2dEngine;
use crate::error::{CoreError, Result};
use crate::kernel_state::KernelState;
use crate::sampler::SampledPositions;

/// The kernel state's values at the positions of a step, as they were before it.
///
/// Off by default: it costs 8 bytes of `f32` for each position that a step visits, and reading them once.
#[derive(Debug, Clone, Default)]
pub(super) struct StepUndo<T> {
    kept: bool,
    /// In the order of the positions; empty where there is no step to undo.
    values: Vec<Complex<T>>,
}

impl<T: Real> StepUndo<T> {
    /// Keeps the values at `positions`, if any are to be kept.
    pub(super) fn record(&mut self, positions: &SampledPositions, state: &KernelState<T>) {
        if !self.kept {
            return;
        }
        self.values.clear();
        self.values.reserve_exact(positions.len());
        match positions.list() {
            None => self.values.extend_from_slice(state.values()),
            Some(list) => {
                self.values.extend(list.iter().map(|&position| state.values()[position as usize]));
            }
        }
    }

    /// The step is over: what came before it is gone.
    pub(super) fn forget(&mut self) {
        self.values.clear();
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Complex<T>>()
    }
}

impl<T: Real> CfConv2dEngine<T> {
    /// Says whether [`begin_step`](Self::begin_step) keeps what [`undo_step`](Self::undo_step) needs. By default
    /// it does not: it takes one more complex value for each position that a step visits.
    pub fn keep_undo(&mut self, kept: bool) {
        self.undo = StepUndo { kept, values: Vec::new() };
    }

    /// Takes back the last [`begin_step`](Self::begin_step): kernel state and history of refreshes are what they
    /// were, bit for bit. (Of a history that had to forget its oldest run to make room, that run stays forgotten.)
    ///
    /// # Errors
    /// [`CoreError::WrongOrder`] unless the step was begun with [`keep_undo`](Self::keep_undo) and neither undone
    /// yet nor followed by [`initialize`](Self::initialize) or [`load_state`](Self::load_state).
    pub fn undo_step(&mut self) -> Result<()> {
        if self.undo.values.is_empty() || self.undo.values.len() != self.positions.len() {
            let (op, needed) = ("CfConv2dEngine::undo_step", "keep_undo and begin_step");
            return Err(CoreError::WrongOrder { op, needed });
        }
        match self.positions.list() {
            None => self.state.values_mut().copy_from_slice(&self.undo.values),
            Some(list) => {
                for (&position, &value) in list.iter().zip(&self.undo.values) {
                    self.state.values_mut()[position as usize] = value;
                }
            }
        }
        self.history.pop();
        self.undo.forget();
        self.set_idle();
        Ok(())
    }
}
