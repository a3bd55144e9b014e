//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

use crate::data::DataError;
use crate::schedule::OutOfRange;

/// Errors of configuration files: each names the file, the line where it is known, and the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: {reason}")]
    Syntax {
        /// File and line.
        place: String,
        /// What the parser says.
        reason: String,
    },
    /// A key that means nothing.
    #[error("{place}: unknown key `{key}`{}", suggestion("key", valid, nearest.as_deref()))]
    UnknownKey {
        /// File and line.
        place: String,
        /// The whole path of the key.
        key: String,
        /// The keys that the table has.
        valid: Vec<String>,
        /// The most similar of them.
        nearest: Option<String>,
    },
    /// A name that is not one of the choices.
    #[error("{place}: `{key}` is \"{value}\"{}", suggestion("choice", allowed, nearest.as_deref()))]
    UnknownValue {
        /// File and line.
        place: String,
        /// The whole path of the key.
        key: String,
        /// The name given.
        value: String,
        /// The choices.
        allowed: Vec<String>,
        /// The most similar of them.
        nearest: Option<String>,
    },
    /// A required key is absent.
    #[error("{place}: the key `{key}` is missing")]
    MissingKey {
        /// File, and the line of the table.
        place: String,
        /// The whole path of the key.
        key: String,
    },
    /// A value of the wrong type or range.
    #[error("{place}: `{key}`: expected {expected}, found {found}")]
    WrongType {
        /// File and line.
        place: String,
        /// The whole path of the key.
        key: String,
        /// What is expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A value refused for another reason.
    #[error("{place}: `{key}`: {reason}")]
    Rejected {
        /// File and line.
        place: String,
        /// The whole path of the key.
        key: String,
        /// Why.
        reason: String,
    },
    /// An override of the form `key.path=value` that cannot be applied.
    #[error("override `{given}`: {reason}")]
    Override {
        /// The override as given.
        given: String,
        /// Why.
        reason: String,
    },
    /// A value outside its range.
    #[error("`{key}`: expected {expected}, got {got}")]
    OutOfRange {
        /// The whole path of the key.
        key: &'static str,
        /// The range.
        expected: &'static str,
        /// The value.
        got: String,
    },
    /// A value of the tables about data is outside its range.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A value of the tables about optimiser, schedule and average is outside its range.
    #[error(transparent)]
    Training(#[from] OutOfRange),
    /// An error of a file that was read.
    #[error("{path}: {source}")]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: Box<ConfigError>,
    },
    /// A configuration that cannot be written.
    #[error("the configuration cannot be written as TOML: {reason}")]
    Unwritable {
        /// Why.
        reason: String,
    },
}

fn suggestion(kind: &str, names: &[String], nearest: Option<&str>) -> String {
    let list = names.join(", ");
    match (nearest, names.len()) {
        (_, 0) => format!("; no {kind} is allowed here"),
        (Some(nearest), _) => format!("; the nearest valid {kind} is `{nearest}` (all: {list})"),
        (None, _) => format!("; valid here: {list}"),
    }
}
