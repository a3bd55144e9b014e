//! Rolling back a training step's refresh of the kernel state.

use super::backend::{EngineBackend, Outcome};
use super::cf_conv2d::Engine;
use crate::error::CoreError;
use crate::sampler::SampledPositions;

/// The kernel state's values at the positions of a step, as they were before it.
///
/// Off by default: it costs one complex number for each position that a step visits, and reading them once.
#[derive(Debug, Clone, Default)]
pub(super) struct Rollback<V> {
    enabled: bool,
    /// Whether the values are those of a step that can still be rolled back.
    ready: bool,
    /// In the order of the positions.
    values: V,
}

impl<V> Rollback<V> {
    /// Keeps the values at `positions`, if any are to be kept.
    pub(super) fn record<B: EngineBackend<Values = V>>(
        &mut self,
        backend: &B,
        state: &V,
        positions: &SampledPositions,
    ) -> Outcome<B> {
        if self.enabled {
            backend.resize(&mut self.values, positions.len())?;
            backend.gather(state, positions, &mut self.values)?;
            self.ready = true;
        }
        Ok(())
    }

    /// The step is over: what came before it is gone.
    pub(super) fn forget(&mut self) {
        self.ready = false;
    }

    pub(super) fn values(&self) -> &V {
        &self.values
    }
}

impl<B: EngineBackend> Engine<B> {
    /// Says whether [`begin_step`](Self::begin_step) keeps what it takes to roll the step back. By default it does
    /// not.
    pub fn enable_rollback(&mut self, enabled: bool) {
        self.rollback = Rollback { enabled, ready: false, values: B::Values::default() };
    }

    /// Takes back the last [`begin_step`](Self::begin_step): kernel state and history of refreshes are what they
    /// were, bit for bit. (If the history had to forget its oldest run to make room, that run stays forgotten.)
    ///
    /// # Errors
    /// [`CoreError::WrongOrder`] unless the step was begun with [`enable_rollback`](Self::enable_rollback) and neither
    /// rolled back yet nor followed by [`initialize`](Self::initialize) or [`load_state`](Self::load_state).
    pub fn rollback_step(&mut self) -> Outcome<B> {
        self.restore("CfConv2dEngine::rollback_step", None)?;
        self.drop_last_steps(1);
        Ok(())
    }

    /// Ends a step: if the first value of `step_status` is not zero, the kernel state becomes what it was before the
    /// last [`begin_step`](Self::begin_step), bit for bit. The device decides; the host learns later that the step
    /// failed, and then calls [`drop_last_steps`](Self::drop_last_steps).
    ///
    /// # Errors
    /// As for [`rollback_step`](Self::rollback_step).
    pub fn rollback_step_if_failed(&mut self, step_status: B::Slice<'_>) -> Outcome<B> {
        self.restore("CfConv2dEngine::rollback_step_if_failed", Some(step_status))
    }

    /// Takes the last `steps` steps, all rolled back, out of the history of refreshes.
    pub fn drop_last_steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.history.pop();
        }
    }

    fn restore(&mut self, op: &'static str, step_status: Option<B::Slice<'_>>) -> Outcome<B> {
        if !self.rollback.ready {
            return Err(CoreError::WrongOrder { op, needed: "enable_rollback and begin_step" }.into());
        }
        self.backend.scatter(self.rollback.values(), &self.positions, &mut self.state, step_status)?;
        self.rollback.forget();
        self.set_idle();
        Ok(())
    }
}
