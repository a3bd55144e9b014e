//! The binary versions of CIFAR-10 and CIFAR-100.
//!
//! # Source
//! A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the format described with the
//! data: records of one label byte (CIFAR-10) or two (CIFAR-100: coarse, fine; the fine one is used here), then
//! 3·32·32 bytes `[C, H, W]`.

use image::RgbImage;

use super::{Contents, Format, Item, record_name};
use crate::dataset::CHANNELS;
use crate::error::{DataError, Result};
use crate::skipped::{SkipReason, Skipped};
use crate::source::{Entry, Source};
use crate::split::Split;

/// Side of the images.
const SIDE: usize = 32;
const PIXEL_BYTES: usize = CHANNELS * SIDE * SIDE;
/// Largest file that is read: about seven times CIFAR-100's training file.
const MAX_BYTES: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Ten,
    Hundred,
}

impl Version {
    fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    fn names_file(self) -> &'static str {
        match self {
            Self::Ten => "batches.meta.txt",
            Self::Hundred => "fine_label_names.txt",
        }
    }

    fn default_names(self) -> Vec<String> {
        match self {
            Self::Ten => {
                ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
                    .map(String::from)
                    .to_vec()
            }
            Self::Hundred => (0..100).map(|class| class.to_string()).collect(),
        }
    }
}

/// The version and part that a file's name stands for.
fn recognise(name: &str) -> Option<(Version, Split)> {
    match name {
        "test_batch.bin" => Some((Version::Ten, Split::Test)),
        "train.bin" => Some((Version::Hundred, Split::Train)),
        "test.bin" => Some((Version::Hundred, Split::Test)),
        _ => {
            let number = name.strip_prefix("data_batch_")?.strip_suffix(".bin")?;
            (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
                .then_some((Version::Ten, Split::Train))
        }
    }
}

/// The format.
pub(super) struct Cifar;

impl Format for Cifar {
    fn expected(&self) -> &'static str {
        "the binary version of CIFAR-10 or CIFAR-100"
    }

    /// All files must lie in the folder of the first one.
    fn read<'a>(&self, source: &'a Source) -> Result<Option<Contents<'a>>> {
        let Some((first, version)) =
            source.entries.iter().find_map(|entry| Some((entry, recognise(entry.file_name())?.0)))
        else {
            return Ok(None);
        };
        let in_folder = |entry: &&Entry| entry.folder() == first.folder();
        let mut class_names = version.default_names();
        let mut files = Files::default();
        for entry in source.entries.iter().filter(in_folder) {
            if entry.file_name() == version.names_file() {
                class_names = read_class_names(&source.read_whole(entry, 1 << 20)?, version, &entry.name())?;
            } else if let Some((_, split)) = recognise(entry.file_name()).filter(|found| found.0 == version) {
                files.add(&entry.name(), source.read_whole(entry, MAX_BYTES)?, version, split);
            }
        }
        if files.items.is_empty() {
            let (file, found) = (first.name(), "no complete record".to_string());
            let expected = format!("records of {} bytes", version.label_bytes() + PIXEL_BYTES);
            return Err(DataError::Malformed { file, format: "CIFAR", expected, found });
        }
        let (items, skipped) = (std::mem::take(&mut files.items), std::mem::take(&mut files.skipped));
        let decode = Box::new(move |item| Ok(files.image(item)));
        Ok(Some(Contents { class_names, items, skipped, decode }))
    }
}

/// All files of a CIFAR data set.
#[derive(Debug, Default)]
struct Files {
    bytes: Vec<Vec<u8>>,
    items: Vec<Item>,
    /// The file of each item and where its pixels begin there.
    places: Vec<(usize, usize)>,
    skipped: Vec<Skipped>,
}

fn read_class_names(text: &[u8], version: Version, file: &str) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(text);
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() == version.classes() {
        return Ok(names);
    }
    Err(DataError::Malformed {
        file: file.into(),
        format: "CIFAR class names",
        expected: format!("{} lines", version.classes()),
        found: format!("{} lines", names.len()),
    })
}

impl Files {
    fn add(&mut self, name: &str, bytes: Vec<u8>, version: Version, split: Split) {
        let length = version.label_bytes() + PIXEL_BYTES;
        let file = self.bytes.len();
        for (number, record) in bytes.chunks(length).enumerate() {
            let skip = |reason| Skipped { name: record_name(name, number), reason };
            if record.len() < length {
                self.skipped.push(skip(SkipReason::Truncated));
                continue;
            }
            let label = u32::from(record[version.label_bytes() - 1]);
            if label as usize >= version.classes() {
                self.skipped.push(skip(SkipReason::BadLabel { label, classes: version.classes() }));
                continue;
            }
            let offset = number * length + version.label_bytes();
            self.items.push(Item::of_record(name, number, label, Some(split)));
            self.places.push((file, offset));
        }
        self.bytes.push(bytes);
    }

    fn image(&self, item: usize) -> RgbImage {
        let (file, offset) = self.places[item];
        let planes = &self.bytes[file][offset..offset + PIXEL_BYTES];
        RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
            let place = y as usize * SIDE + x as usize;
            image::Rgb(std::array::from_fn(|channel| planes[channel * SIDE * SIDE + place]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_files_are_recognised() {
        assert_eq!(recognise("data_batch_3.bin"), Some((Version::Ten, Split::Train)));
        assert_eq!(recognise("test.bin"), Some((Version::Hundred, Split::Test)));
        for other in ["data_batch_.bin", "data_batch_x.bin", "data_batch_1", "other.bin", ""] {
            assert_eq!(recognise(other), None, "{other}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..10_000), hundred: bool) {
            let version = if hundred { Version::Hundred } else { Version::Ten };
            let mut files = Files::default();
            let length = version.label_bytes() + PIXEL_BYTES;
            let pieces = bytes.len().div_ceil(length);
            files.add("f", bytes, version, Split::Train);
            prop_assert_eq!(files.items.len() + files.skipped.len(), pieces);
            for (index, item) in files.items.iter().enumerate() {
                prop_assert!((item.label as usize) < version.classes());
                files.image(index);
            }
        }
    }
}
