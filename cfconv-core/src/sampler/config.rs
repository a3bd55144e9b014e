//! How a sampler is configured.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::check_lattice_size;
use crate::error::{CoreError, Result, check_size};

/// How many positions a step visits: a number, a share of them such as `0.25`, `"all"` or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum NumPositions {
    /// This many; a number at or above the size of the kernel means all.
    Count(usize),
    /// This share of them, above 0 and at most 1.
    Share(f64),
    /// Every position.
    All,
    /// Four fifths of them: after equally many steps this gives 99 % of the accuracy of all positions, for kernels of
    /// 9,000 to 560,000 alike. See `cargo xtask reproduce positions-law` and `docs/experiments.md`.
    #[default]
    Auto,
}

/// The share that [`NumPositions::Auto`] means.
const AUTO_SHARE: f64 = 0.8;

impl NumPositions {
    /// The number of positions out of `population`.
    ///
    /// # Examples
    /// ```
    /// use cfconv_core::NumPositions;
    ///
    /// assert_eq!(NumPositions::Count(100).resolve(240), 100);
    /// assert_eq!(NumPositions::Count(1000).resolve(240), 240);
    /// assert_eq!(NumPositions::All.resolve(240), 240);
    /// assert_eq!(NumPositions::Share(0.1).resolve(240), 24);
    /// assert_eq!(NumPositions::Auto.resolve(240), 192);
    /// ```
    pub fn resolve(self, population: usize) -> usize {
        match self {
            Self::Count(count) => count.min(population),
            Self::All => population,
            Self::Share(share) => ((share * population as f64).round() as usize).clamp(1, population),
            Self::Auto => Self::Share(AUTO_SHARE).resolve(population),
        }
    }
}

impl Serialize for NumPositions {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match *self {
            Self::Count(count) => serializer.serialize_u64(count as u64),
            Self::Share(share) => serializer.serialize_f64(share),
            Self::All => serializer.serialize_str("all"),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for NumPositions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct NumberOrWord;
        impl Visitor<'_> for NumberOrWord {
            type Value = NumPositions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a number of positions, at least 1, a share of them below 1.0, \"all\" or \"auto\"",
                )
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> std::result::Result<NumPositions, E> {
                match usize::try_from(count) {
                    Ok(count) if count > 0 => Ok(NumPositions::Count(count)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(count), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> std::result::Result<NumPositions, E> {
                match u64::try_from(count) {
                    Ok(count) => self.visit_u64(count),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(count), &self)),
                }
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> std::result::Result<NumPositions, E> {
                if share > 0.0 && share <= 1.0 {
                    return Ok(NumPositions::Share(share));
                }
                Err(E::invalid_value(de::Unexpected::Float(share), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<NumPositions, E> {
                match text {
                    "all" => Ok(NumPositions::All),
                    "auto" => Ok(NumPositions::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(NumberOrWord)
    }
}

/// Which positions of the kernel a training step visits.
///
/// A *position* is one complex value of the kernel: `u = ((h·Wr + w)·Cin + i)·Cout + o`. In a configuration
/// file the variant is the key `kind`:
///
/// ```toml
/// [sampler]
/// kind = "stratified"
/// num_positions = 32768
/// ```
///
/// # Examples
/// ```
/// use cfconv_core::{NumPositions, SamplerConfig};
///
/// let sampler: SamplerConfig = toml::from_str("kind = 'uniform'\nnum_positions = 4096")?;
/// assert_eq!(
///     sampler,
///     SamplerConfig::Uniform { num_positions: NumPositions::Count(4096), replacement: false }
/// );
/// assert!(toml::from_str::<SamplerConfig>("kind = 'all'\nnum_positions = 5").is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SamplerConfig {
    /// Positions drawn uniformly.
    Uniform {
        /// How many; default [`Auto`](NumPositions::Auto).
        #[serde(default)]
        num_positions: NumPositions,
        /// Draw with replacement: `num_positions` independent draws, of which each distinct position counts
        /// once (a set, so fewer positions than draws). Default `false`: exactly `num_positions` positions.
        #[serde(default)]
        replacement: bool,
    },
    /// One position drawn from each of `num_positions` equal runs of consecutive positions (of sizes that
    /// differ by at most one): every frequency gets its share in every step.
    Stratified {
        /// How many; default [`Auto`](NumPositions::Auto).
        #[serde(default)]
        num_positions: NumPositions,
    },
    /// The next positions of a walk that keeps them evenly apart and visits every position once before any comes
    /// again: nothing in the kernel state grows old.
    LowDiscrepancy {
        /// How many; default [`Auto`](NumPositions::Auto).
        #[serde(default)]
        num_positions: NumPositions,
    },
    /// Positions drawn more often where the kernel state was last seen to lag behind Φ: half of them uniformly, half
    /// in proportion to the root mean square of |Φ − K̃| in 64 bands of frequencies, which every sixteenth step
    /// measures at its positions.
    GapWeighted {
        /// How many; default [`Auto`](NumPositions::Auto).
        #[serde(default)]
        num_positions: NumPositions,
    },
    /// Whole frequencies (h, w) drawn uniformly, each with all its channel pairs.
    FrequencyBlocks {
        /// How many positions, rounded up to whole frequencies; default [`Auto`](NumPositions::Auto).
        #[serde(default)]
        num_positions: NumPositions,
    },
    /// Whole channel pairs (i, o) drawn uniformly, each with all its frequencies.
    ChannelBlocks {
        /// How many positions, rounded up to whole channel pairs; default [`Auto`](NumPositions::Auto).
        #[serde(default)]
        num_positions: NumPositions,
    },
    /// The `size`×`size` lattice of frequencies that determines a kernel whose spatial support is
    /// `size`×`size`: every position of the lattice in every step. `size` is odd, so that no row or column
    /// lies on the Nyquist frequency.
    Lattice {
        /// Rows and columns of the spatial support.
        size: usize,
    },
    /// Every position in every step: the dense method.
    All {},
}

impl Default for SamplerConfig {
    /// [`SamplerConfig::Uniform`], [`NumPositions::Auto`] without replacement.
    fn default() -> Self {
        Self::Uniform { num_positions: NumPositions::default(), replacement: false }
    }
}

impl SamplerConfig {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// [`CoreError::InvalidSetting`](crate::CoreError::InvalidSetting) for zero positions and for a lattice
    /// that is empty or even.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Uniform { num_positions, .. }
            | Self::Stratified { num_positions }
            | Self::LowDiscrepancy { num_positions }
            | Self::GapWeighted { num_positions }
            | Self::FrequencyBlocks { num_positions }
            | Self::ChannelBlocks { num_positions } => match num_positions {
                NumPositions::Count(count) => check_size("sampler.num_positions", count),
                NumPositions::Share(share) if !(share > 0.0 && share <= 1.0) => {
                    Err(CoreError::InvalidSetting {
                        setting: "sampler.num_positions",
                        expected: "a share above 0.0 and at most 1.0",
                        got: share.to_string(),
                    })
                }
                NumPositions::Share(_) | NumPositions::All | NumPositions::Auto => Ok(()),
            },
            Self::Lattice { size } => check_lattice_size(size),
            Self::All {} => Ok(()),
        }
    }

    /// The name of the variant in configuration files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Uniform { .. } => "uniform",
            Self::Stratified { .. } => "stratified",
            Self::LowDiscrepancy { .. } => "low-discrepancy",
            Self::GapWeighted { .. } => "gap-weighted",
            Self::FrequencyBlocks { .. } => "frequency-blocks",
            Self::ChannelBlocks { .. } => "channel-blocks",
            Self::Lattice { .. } => "lattice",
            Self::All {} => "all",
        }
    }
}
