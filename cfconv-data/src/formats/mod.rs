//! The formats that data sets are read from, one file each.
//!
//! A new format is one file with a type that implements [`Format`], and one entry of [`FORMATS`].

mod cifar;
mod class_folders;
mod idx;

use std::sync::LazyLock;

use image::RgbImage;

use crate::error::{DataError, Result};
use crate::skipped::{SkipReason, Skipped};
use crate::source::Source;
use crate::split::Split;

/// All formats, in the order in which they are tried.
const FORMATS: [&dyn Format; 3] = [&cifar::Cifar, &idx::Idx, &class_folders::ClassFolders];

/// A way to keep labelled images in files.
pub(crate) trait Format: Sync {
    /// What the files look like, as a part of the sentence of [`expected_formats`].
    fn expected(&self) -> &'static str;

    /// Finds the images of `source`; `None` if no file of it has this format.
    ///
    /// # Errors
    /// If files of this format are there and cannot be used.
    fn read<'a>(&self, source: &'a Source) -> Result<Option<Contents<'a>>>;
}

/// The images that a source holds.
pub(crate) struct Contents<'a> {
    /// One name for each class.
    pub(crate) class_names: Vec<String>,
    pub(crate) items: Vec<Item>,
    /// What is left out before any image is decoded.
    pub(crate) skipped: Vec<Skipped>,
    /// Decodes the image of an item, which it takes by its index.
    pub(crate) decode: Box<dyn Fn(usize) -> std::result::Result<RgbImage, SkipReason> + Sync + 'a>,
}

/// An image that is not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    /// Its place in the split is a hash of this text.
    pub(crate) key: String,
    pub(crate) label: u32,
    /// The part that the data puts it into, if the data has parts.
    pub(crate) split: Option<Split>,
}

impl Item {
    /// Record `number` of a file that holds many images.
    fn of_record(file: &str, number: usize, label: u32, split: Option<Split>) -> Self {
        let name = record_name(file, number);
        Self { key: name.clone(), name, label, split }
    }
}

/// The name under which a record of a file is listed.
fn record_name(file: &str, number: usize) -> String {
    format!("{file}#{number:06}")
}

/// Finds the images of `source` in the first format that recognises a file.
///
/// # Errors
/// As for [`Format::read`], and [`DataError::NoImages`] if no format recognises a file.
pub(crate) fn read(source: &Source) -> Result<Contents<'_>> {
    for format in FORMATS {
        if let Some(contents) = format.read(source)? {
            return Ok(contents);
        }
    }
    let (path, files) = (source.root.clone(), source.entries.len());
    Err(DataError::NoImages { path, files, expected: expected_formats() })
}

/// What can be read as a data set, in one sentence without its full stop.
///
/// # Examples
/// ```
/// assert!(cfconv_data::expected_formats().ends_with("CIFAR-10 or CIFAR-100, or IDX files"));
/// ```
pub fn expected_formats() -> &'static str {
    static SENTENCE: LazyLock<String> = LazyLock::new(|| {
        let [others @ .., last, class_folders] = FORMATS.map(Format::expected);
        let others: String = others.iter().map(|other| format!("{other}, ")).collect();
        format!("{class_folders}, a zip archive of them, {others}or {last}")
    });
    &SENTENCE
}
