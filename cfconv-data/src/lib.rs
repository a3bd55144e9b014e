//! Data sets: reading, caching, splitting, augmenting and batching of images.
//!
//! [`load_dataset`] reads what a [`DataConfig`] names: a folder or a zip archive of JPEG and PNG images in class
//! folders, CIFAR or IDX files, or, without a path, the [`embedded_dataset`]. Images are decoded in parallel and
//! kept in memory as bytes in a [`Dataset`]; whatever cannot be used is listed in [`Dataset::skipped`].
//! [`Loader`] then gives augmented, normalised batches in the engine's layout `[C, H, W, B]`.

mod augment;
mod batch;
mod cifar;
mod config;
mod dataset;
mod decode;
mod embedded;
mod error;
mod floor;
mod idx;
mod layout;
mod load;
mod loader;
mod order;
mod random;
mod skipped;
mod source;
mod split;

pub use batch::BatchAssembler;
pub use config::{AugmentConfig, DataConfig, FillMode, MAX_SIZE, ResizePolicy};
pub use dataset::{CHANNELS, Dataset, DatasetParts, Normalization};
pub use decode::load_image;
pub use embedded::{EmbeddedConfig, embedded_dataset};
pub use error::{DataError, Result};
pub use load::{Progress, load_dataset, load_for_evaluation};
pub use loader::{Batch, Batches, Loader};
pub use order::{EpochOrder, LastBatch};
pub use skipped::{SkipReason, SkipSummary, Skipped};
pub use split::{Split, Splits};
