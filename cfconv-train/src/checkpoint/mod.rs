//! Checkpoints: the state of a run, or a model, in a safetensors file.
//!
//! Tensors are named after their layer, such as `layers.0.weight`; averages of them begin with `average.`, the
//! optimiser's moments with `optimizer.first.` and `optimizer.second.`. The file's metadata has one entry,
//! `cfconv`, which is the [`Metadata`] in JSON. Files are replaced atomically, and equal trainings write equal bytes.

mod container;
mod error;
mod metadata;
mod model;

pub use container::{TensorFile, write_tensors};
pub use error::{CheckpointError, Result};
pub use metadata::{Best, EpochTotals, Kind, Metadata, RunState, VERSION};
pub use model::{Model, export_model, input_shape, load_model, load_model_at};
pub(crate) use model::{install_model, load_training, save_model, save_training};
