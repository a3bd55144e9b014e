//! How long a run has taken.

use std::time::Instant;

use crate::metrics::History;

/// The time of a run over all its parts.
pub(super) struct Clock {
    begun: Instant,
    /// Seconds of the run before this part.
    before: f64,
    /// Elapsed seconds at the last lap.
    last_lap: f64,
}

impl Clock {
    pub(super) fn resumed(history: &History) -> Self {
        let before = history.elapsed_seconds + history.open_epoch_seconds;
        Self { begun: Instant::now(), before, last_lap: history.elapsed_seconds }
    }

    pub(super) fn elapsed(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    /// Seconds since the last lap, and in all.
    pub(super) fn lap(&mut self) -> (f64, f64) {
        let elapsed = self.elapsed();
        let seconds = elapsed - self.last_lap;
        self.last_lap = elapsed;
        (seconds, elapsed)
    }
}
