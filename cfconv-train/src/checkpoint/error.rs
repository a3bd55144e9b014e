//! What can go wrong with checkpoint files.

use std::io;
use std::path::PathBuf;

use crate::networks::NetworkError;

/// Errors of checkpoint files: each names the file and, where there is one, the tensor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("cannot {action} checkpoint {path}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a safetensors file, or it is cut short or damaged.
    #[error("{path} is not a whole safetensors file: it is damaged or cut short ({reason})")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// A safetensors file of some other program.
    #[error("{path} is a safetensors file, but not a checkpoint of cfconv: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is missing or unreadable.
        reason: String,
    },
    /// A checkpoint of another version of the format.
    #[error("{path} has checkpoint version {found}, this program reads version {supported}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// The file holds a model, where the whole state of a run is needed.
    #[error("{path} holds a model only; to resume a run, use a checkpoint that holds the training state")]
    ModelOnly {
        /// The file.
        path: PathBuf,
    },
    /// The network that the checkpoint describes cannot be built, or a tensor is absent or does not fit it.
    #[error("{path}: {source}")]
    Network {
        /// The file.
        path: PathBuf,
        /// What does not fit: the layer or tensor, expected and found.
        source: Box<NetworkError>,
    },
    /// A tensor that the network does not have.
    #[error("{path}: tensor `{tensor}` does not belong to the network that the checkpoint describes")]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor of numbers of a type that no part of a network has.
    #[error("{path}: tensor `{tensor}` holds {found}, expected F32, F64 or U64")]
    NumberType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type in the file.
        found: String,
    },
    /// A tensor with a value that is not finite.
    #[error("{path}: tensor `{tensor}` holds {found} at index {index}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Where.
        index: usize,
        /// The value.
        found: f64,
    },
}

/// Results of checkpoint files.
pub type Result<T> = std::result::Result<T, CheckpointError>;
