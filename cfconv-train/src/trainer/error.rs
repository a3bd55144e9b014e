//! What can stop a run.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::metrics::MetricsError;
use crate::networks::NetworkError;
use crate::optim::OptimError;
use crate::run_folder::RunFolderError;
use crate::signatures::MemoryRefusal;

/// Errors of training and evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// The data.
    #[error(transparent)]
    Data(Box<DataError>),
    /// The network.
    #[error(transparent)]
    Network(Box<NetworkError>),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The optimiser.
    #[error(transparent)]
    Optimizer(Box<OptimError>),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file of metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The folder of the run.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The run needs more memory than it may have.
    #[error("{0}")]
    Memory(Box<MemoryRefusal>),
    /// A loss or gradient is not finite, and undoing steps did not help.
    #[error(
        "not-finite: step {step}: the {what} is {value}, after {undone} undone steps that each halved the learning rate; {}",
        kept(checkpoint.as_ref())
    )]
    NotFinite {
        /// The step, from 1.
        step: usize,
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// Its value.
        value: f64,
        /// Steps undone before.
        undone: u32,
        /// The last checkpoint before it, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// A run is to go on with another configuration.
    #[error("cannot resume {path} with a changed configuration: {}", differences.join("; "))]
    ConfigChanged {
        /// The checkpoint.
        path: PathBuf,
        /// `key: old → new` for each difference.
        differences: Vec<String>,
    },
    /// A run is to go on with other data.
    #[error("cannot resume {path} with other data: {what} was {old}, is {new}")]
    DataChanged {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// At the checkpoint.
        old: String,
        /// Now.
        new: String,
    },
}

/// Results of training and evaluation.
pub type Result<T> = std::result::Result<T, TrainError>;

/// Large errors are boxed, so that a result without one stays small.
macro_rules! boxed {
    ($($variant:ident($error:ty)),+) => {
        $(impl From<$error> for TrainError {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })+
    };
}

boxed!(Config(ConfigError), Data(DataError), Network(NetworkError), Optimizer(OptimError));

fn kept(checkpoint: Option<&PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!(
            "the last checkpoint, {}, is kept. A lower learning rate or optimizer.clip_norm may help",
            path.display()
        ),
        None => {
            "there is no checkpoint yet. A lower learning rate or optimizer.clip_norm may help".to_owned()
        }
    }
}
