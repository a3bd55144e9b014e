//! How much of an experiment or benchmark runs.

use serde::{Deserialize, Serialize};

use crate::build::Profile;

/// How much of an experiment or benchmark runs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    /// Seconds: tiny sizes that show that everything works together. The figures mean nothing.
    Smoke,
    /// Minutes on two cores: fewer steps and smaller sizes that show the direction.
    Quick,
    /// Everything, as the configuration files say.
    #[default]
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

    /// Smoke runs use the build of the tests; everything else is measured and needs speed.
    pub(crate) fn profile(self) -> Profile {
        if self == Self::Smoke { Profile::Dev } else { Profile::Release }
    }
}
