//! Files that a data set leaves out, and why.

use std::collections::BTreeMap;
use std::fmt;

/// Why a file, or a record of a binary file, is not part of the data set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// The file has no bytes.
    #[error("empty file")]
    Empty,
    /// The image ends before its end marker, or the record before its last byte.
    #[error("truncated")]
    Truncated,
    /// The content is not an image, whatever the name says.
    #[error("not an image")]
    NotAnImage,
    /// The content is an image of a format other than JPEG and PNG.
    #[error("unsupported format {found}")]
    UnsupportedFormat {
        /// The format found.
        found: String,
    },
    /// More pixels than are ever decoded, or a file too large to be read.
    #[error("too large: {width}×{height} pixels, {bytes} bytes")]
    TooLarge {
        /// Width in pixels, 0 if unknown.
        width: u32,
        /// Height in pixels, 0 if unknown.
        height: u32,
        /// Size of the file.
        bytes: u64,
    },
    /// The decoder found damage.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The file could not be read.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// A hidden file, or one that an operating system leaves in folders and archives.
    #[error("hidden or system file")]
    System,
    /// The name in an archive points outside of it.
    #[error("unsafe name")]
    UnsafeName,
    /// The file lies beside the class folders, not in one.
    #[error("outside of the class folders")]
    OutsideClasses,
    /// The label of a record is not below the number of classes.
    #[error("label {label} of {classes} classes")]
    BadLabel {
        /// The label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
}

impl SkipReason {
    /// The kind of reason, without details: what [`SkipSummary`] counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty file",
            Self::Truncated => "truncated",
            Self::NotAnImage => "not an image",
            Self::UnsupportedFormat { .. } => "unsupported format",
            Self::TooLarge { .. } => "too large",
            Self::Damaged(_) => "damaged",
            Self::Unreadable(_) => "unreadable",
            Self::System => "hidden or system file",
            Self::UnsafeName => "unsafe name",
            Self::OutsideClasses => "outside of the class folders",
            Self::BadLabel { .. } => "bad label",
        }
    }
}

/// A file or record left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its path below the data set's root, with `/` between folders.
    pub name: String,
    /// Why it was left out.
    pub reason: SkipReason,
}

/// Number of files left out for each kind of reason; prints as `3 skipped: 2 truncated, 1 empty file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipSummary {
    /// Counts by [`SkipReason::kind`].
    pub counts: BTreeMap<&'static str, usize>,
}

impl SkipSummary {
    /// Counts `skipped` by kind.
    pub fn new(skipped: &[Skipped]) -> Self {
        let mut counts = BTreeMap::new();
        for skip in skipped {
            *counts.entry(skip.reason.kind()).or_insert(0) += 1;
        }
        Self { counts }
    }

    /// The number of files left out.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }
}

impl fmt::Display for SkipSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} skipped", self.total())?;
        for (number, (kind, count)) in self.counts.iter().enumerate() {
            write!(f, "{} {count} {kind}", if number == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
