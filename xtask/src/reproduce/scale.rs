//! How much of an experiment is run.

use serde::{Deserialize, Serialize};

/// How much of an experiment is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    /// One epoch of a few images: seconds. Shows that everything works together; its figures mean nothing.
    Smoke,
    /// Few epochs of small images: minutes on two cores. Shows the direction.
    Quick,
    /// The configuration files as they stand.
    Full,
}

impl Scale {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}
