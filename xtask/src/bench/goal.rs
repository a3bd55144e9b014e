//! Goals, and whether a ratio reaches them.

use serde::{Deserialize, Serialize};

/// What the time of an opponent over ours should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    /// We are at least so many times as fast.
    TimesAsFast(f64),
    /// We take at most so many times the opponent's time.
    TimeAtMost(f64),
}

impl Goal {
    /// Whether `ratio`, the opponent's time over ours, reaches the goal.
    pub(crate) fn is_reached(self, ratio: f64) -> bool {
        match self {
            Self::TimesAsFast(least) => ratio >= least,
            Self::TimeAtMost(most) => 1.0 <= most * ratio,
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::TimesAsFast(least) => format!("≥ {least}×"),
            Self::TimeAtMost(most) => format!("≤ {most}× its time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_reached_from_their_bound_on() {
        assert!(Goal::TimesAsFast(7.0).is_reached(7.0) && !Goal::TimesAsFast(7.0).is_reached(6.99));
        // Twice its time is a ratio of 0.5.
        assert!(Goal::TimeAtMost(2.0).is_reached(0.5) && !Goal::TimeAtMost(2.0).is_reached(0.49));
    }

    #[test]
    fn a_ratio_that_is_no_number_reaches_nothing() {
        assert!(!Goal::TimesAsFast(1.0).is_reached(f64::NAN) && !Goal::TimeAtMost(9.0).is_reached(f64::NAN));
    }
}
