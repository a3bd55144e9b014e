//! Checkpoints: the state of a run, or a model, in a safetensors file.

mod container;
mod error;

pub use container::{NamedTensor, TensorFile, Values, write_tensors};
pub use error::{CheckpointError, Result};
