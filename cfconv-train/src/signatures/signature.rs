//! What was seen, the numbers that show it, and what to change.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of failure that a run recognises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureKind {
    /// The run needs nearly as much memory as it may have.
    Memory,
    /// The training loss no longer falls.
    Plateau,
    /// Training loss or validation accuracy jump.
    Fluctuation,
    /// Learned kernels oscillate far from their centre.
    Ringing,
    /// A loss or a gradient was no finite number; the step was undone.
    NotFinite,
}

impl SignatureKind {
    /// The stable name, as in `metrics.jsonl` and `summary.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Plateau => "plateau",
            Self::Fluctuation => "fluctuation",
            Self::Ringing => "ringing",
            Self::NotFinite => "not-finite",
        }
    }
}

/// A failure that was recognised.
///
/// # Examples
/// ```
/// use cfconv_train::signatures::{Signature, SignatureKind};
///
/// let signature = Signature::new(SignatureKind::Plateau, 40, 4, "the loss no longer falls")
///     .with("loss", 0.5)
///     .advise("lower optimizer.learning_rate");
/// assert_eq!(
///     signature.to_string(),
///     "plateau at step 40: the loss no longer falls (loss 0.5). What to change: lower optimizer.learning_rate."
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// What kind of failure.
    pub kind: SignatureKind,
    /// Steps done when it was seen.
    pub step: usize,
    /// The epoch, from 0.
    pub epoch: usize,
    /// What was seen, in words.
    pub seen: String,
    /// The numbers that show it, all finite.
    pub evidence: BTreeMap<String, f64>,
    /// What to change.
    pub advice: String,
}

impl Signature {
    /// A signature without evidence and advice.
    pub fn new(kind: SignatureKind, step: usize, epoch: usize, seen: impl Into<String>) -> Self {
        Self { kind, step, epoch, seen: seen.into(), evidence: BTreeMap::new(), advice: String::new() }
    }

    /// Adds a number; one that is not finite, which a line of JSON could not hold, is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        if value.is_finite() {
            self.evidence.insert(name.to_owned(), value);
        }
        self
    }

    /// Says what to change.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at step {}: {}", self.kind.name(), self.step, self.seen)?;
        for (number, (name, value)) in self.evidence.iter().enumerate() {
            let opening = if number == 0 { " (" } else { ", " };
            write!(f, "{opening}{} {}", name.replace('_', " "), short(*value))?;
        }
        if !self.evidence.is_empty() {
            f.write_str(")")?;
        }
        write!(f, ". What to change: {}.", self.advice)
    }
}

/// Four significant digits, without zeros at the end.
fn short(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        let digits = 3 - value.abs().max(1e-3).log10().floor() as i32;
        let scale = 10.0_f64.powi(digits);
        format!("{}", (value * scale).round() / scale)
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_files() {
        use SignatureKind::{Fluctuation, Memory, NotFinite, Plateau, Ringing};
        for kind in [Memory, Plateau, Fluctuation, Ringing, NotFinite] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn numbers_are_short_and_only_finite_ones_are_kept() {
        let texts = [0.0, 1.0, 0.123_456, 123_456.7, 1e-9, -2.5, 1e9].map(short);
        assert_eq!(texts, ["0", "1", "0.1235", "123500", "1.000e-9", "-2.5", "1.000e9"]);
        let signature =
            Signature::new(SignatureKind::NotFinite, 1, 0, "x").with("a", f64::NAN).with("b", f64::INFINITY);
        assert!(signature.evidence.is_empty());
    }
}
