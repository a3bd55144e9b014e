//! What can go wrong with data sets.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// Errors of this crate: each names the path or field and what was expected there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing exists at the path.
    #[error("data path {path} does not exist (expected {expected})")]
    MissingPath {
        /// The path that was asked for.
        path: PathBuf,
        /// What could stand there.
        expected: &'static str,
    },
    /// The operating system refused to list or read something.
    #[error("cannot read {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system refused to write something.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file with the extension `.zip` is not a readable archive.
    #[error("{path} is not a readable zip archive")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: zip::result::ZipError,
    },
    /// The path is a file of a kind that holds no data set.
    #[error("{path}: unsupported data format {found}, expected {expected}")]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What is supported.
        expected: &'static str,
    },
    /// No image lies anywhere below the path.
    #[error("{path}: no images found among {files} files, expected {expected}")]
    NoImages {
        /// The folder or archive.
        path: PathBuf,
        /// How many files were seen.
        files: usize,
        /// The supported layouts.
        expected: &'static str,
    },
    /// There are images, but not in one folder for each class.
    #[error("{path}: found {found} images outside class folders, expected {expected}")]
    NoClasses {
        /// The folder or archive.
        path: PathBuf,
        /// How many images lie beside the place of class folders.
        found: usize,
        /// The supported layouts.
        expected: &'static str,
    },
    /// Training needs at least two classes.
    #[error("{path}: found a single class, {class:?}, expected at least two class folders")]
    SingleClass {
        /// The folder or archive.
        path: PathBuf,
        /// The only class.
        class: String,
    },
    /// A class folder holds no image file.
    #[error("{path}: class {class:?} is empty, expected at least one JPEG or PNG image")]
    EmptyClass {
        /// The folder or archive.
        path: PathBuf,
        /// The class, with the split's folder if there is one.
        class: String,
    },
    /// A class folder holds image files, and none of them could be used.
    #[error("{path}: all {skipped} images of class {class:?} were skipped; the first, {first}: {reason}")]
    AllDamaged {
        /// The folder or archive.
        path: PathBuf,
        /// The class.
        class: String,
        /// How many images it holds.
        skipped: usize,
        /// The first one's name.
        first: String,
        /// Why the first one was skipped.
        reason: String,
    },
    /// A class occurs in a validation or test folder and not in the training folder.
    #[error("{path}: classes {classes:?} have no folder in the training folder")]
    UntrainedClasses {
        /// The folder or archive.
        path: PathBuf,
        /// The classes without training images.
        classes: Vec<String>,
    },
    /// A binary file (CIFAR, IDX) does not have the structure of its format.
    #[error("{file}: not a valid {format} file: expected {expected}, found {found}")]
    Malformed {
        /// The file.
        file: String,
        /// The format.
        format: &'static str,
        /// What the format prescribes.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// The decoded images would not fit into the configured memory.
    #[error(
        "{images} images of {size}×{size} pixels need {needed_mib} MiB, more than data.cache_limit_mib = \
         {limit_mib}; lower data.size, set data.max_images_per_class or raise the limit"
    )]
    CacheLimit {
        /// The number of images.
        images: usize,
        /// Their side in pixels.
        size: usize,
        /// The memory they need.
        needed_mib: u64,
        /// The memory allowed.
        limit_mib: usize,
    },
    /// A field of the configuration is out of range.
    #[error("{field}: expected {expected}, got {got}")]
    Config {
        /// The field with its table, such as `data.size`.
        field: &'static str,
        /// The allowed range.
        expected: Cow<'static, str>,
        /// The value.
        got: String,
    },
    /// The data has classes that the model was not trained on.
    #[error("the data has classes {unknown:?} that the model does not know; it knows {known:?}")]
    UnknownClasses {
        /// Classes of the data without a partner.
        unknown: Vec<String>,
        /// Classes of the model.
        known: Vec<String>,
    },
    /// An image given on its own cannot be used.
    #[error("{path}: {reason}")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: crate::SkipReason,
    },
    /// A buffer or list has the wrong length.
    #[error("{op}: {operand} has length {got}, expected {expected}")]
    LengthMismatch {
        /// The operation.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The length it should have.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// An index, or a label, is not below its bound.
    #[error("{op}: {operand} {got} is not below {bound}")]
    OutOfRange {
        /// The operation.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The bound.
        bound: usize,
        /// The value.
        got: usize,
    },
    /// A split that is needed holds no images.
    #[error("the {split} split of {origin} is empty")]
    EmptySplit {
        /// The split.
        split: crate::Split,
        /// Where the data came from.
        origin: String,
    },
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, DataError>;
