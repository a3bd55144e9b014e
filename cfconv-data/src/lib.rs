//! Labelled images for training: reading, caching, splits, augmentation and batches.
//!
//! [`load_dataset`] reads what a [`DataConfig`] names: a folder or a zip archive of JPEG and PNG images in class
//! folders, CIFAR or IDX files, or, without a path, the [`embedded_dataset`]. It decodes images in parallel and
//! keeps them in memory as bytes in a [`Dataset`]; [`Dataset::skipped`] lists whatever cannot be used.
//! A [`Loader`] then gives augmented, normalised batches in the layout `[C, H, W, B]`.
//!
//! A file format is one file in `src/formats` and one entry of the list there.
//!
//! # Examples
//! ```
//! use std::sync::Arc;
//!
//! use cfconv_data::{DataConfig, Loader, Normalization, Split, load_dataset};
//!
//! let config = DataConfig { size: 16, embedded_images: 120, ..DataConfig::default() };
//! let dataset = Arc::new(load_dataset(&config, &|_done, _total| ())?);
//! let normalization = Normalization::from_config(&config, &dataset)?;
//! let loader = Loader::evaluation(dataset, Split::Test, 8, normalization)?;
//! assert_eq!(loader.batches_per_epoch(), 2, "12 images, 8 at once");
//! # Ok::<(), cfconv_data::DataError>(())
//! ```

mod augment;
mod batch;
mod config;
mod dataset;
mod decode;
mod embedded;
mod error;
mod floor_to_i32;
mod formats;
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
pub use decode::{load_image, save_image};
pub use embedded::{EmbeddedConfig, EmbeddedTask, embedded_dataset};
pub use error::{DataError, Result};
pub use formats::expected_formats;
pub use load::{ProgressCallback, load_dataset, load_for_evaluation};
pub use loader::{Batch, Batches, Loader};
pub use order::{EpochOrder, LastBatch};
pub use skipped::{SkipReason, SkipSummary, Skipped};
pub use split::{Split, Splits};
