//! IDX files, the format of MNIST and its relatives.
//!
//! # Source
//! Y. LeCun, C. Cortes, C. Burges, "The MNIST database", description of the file format: two zero bytes, the type
//! (8: unsigned bytes), the number of dimensions, each dimension as a big-endian 32-bit integer, then the values.
//! The files are usually distributed in gzip form, which is read too.

use std::collections::BTreeSet;

use flate2::read::MultiGzDecoder;
use image::{Rgb, RgbImage};

use super::{Contents, Format, Item, record_name};
use crate::error::{DataError, Result};
use crate::skipped::{SkipReason, Skipped};
use crate::source::{Entry, Source, read_limited};
use crate::split::Split;

/// Largest file that is read, after decompression.
const MAX_BYTES: u64 = 4 << 30;
/// Largest side of an image.
const MAX_SIDE: usize = 1 << 14;

/// A parsed header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    dims: Vec<usize>,
    /// Where the values start.
    offset: usize,
}

/// Parses the header of unsigned bytes with `rank` dimensions; on failure returns (expected, found).
fn parse_header(bytes: &[u8], rank: usize) -> std::result::Result<Header, (String, String)> {
    let Some(&[zero, also_zero, kind, found_rank]) = bytes.get(..4) else {
        return Err(("a header of 4 bytes".into(), format!("{} bytes", bytes.len())));
    };
    if [zero, also_zero] != [0, 0] {
        return Err(("two zero bytes at the start".into(), format!("{zero:#04x} {also_zero:#04x}")));
    }
    if kind != 8 {
        return Err(("type 0x08 (unsigned bytes)".into(), format!("type {kind:#04x}")));
    }
    if usize::from(found_rank) != rank {
        return Err((format!("{rank} dimensions"), format!("{found_rank} dimensions")));
    }
    let offset = 4 + 4 * rank;
    let Some(sizes) = bytes.get(4..offset) else {
        return Err((format!("a header of {offset} bytes"), format!("{} bytes", bytes.len())));
    };
    let dims = sizes
        .chunks_exact(4)
        .map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize)
        .collect();
    Ok(Header { dims, offset })
}

/// The name of the labels' file that belongs to the images' file `name`, if `name` is one (without `.gz`).
fn labels_name(name: &str) -> Option<String> {
    let is_images = name.contains("images") && name.ends_with("idx3-ubyte");
    is_images.then(|| name.replace("images", "labels").replace("idx3-ubyte", "idx1-ubyte"))
}

fn without_gz(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

fn split_of(name: &str) -> Option<Split> {
    let lower = name.to_ascii_lowercase();
    let found =
        [("train", Split::Train), ("t10k", Split::Test), ("test", Split::Test), ("val", Split::Validation)];
    found.into_iter().find(|(word, _)| lower.contains(word)).map(|(_, split)| split)
}

/// The format.
pub(super) struct Idx;

impl Format for Idx {
    fn expected(&self) -> &'static str {
        "IDX files"
    }

    /// Classes are the label values that occur.
    fn read<'a>(&self, source: &'a Source) -> Result<Option<Contents<'a>>> {
        let mut files = Files::default();
        let mut seen = BTreeSet::new();
        for entry in &source.entries {
            let name = without_gz(entry.file_name());
            let Some(partner) = labels_name(name) else { continue };
            // A file and its gzip form side by side are one file.
            if !seen.insert((entry.folder(), name)) {
                continue;
            }
            let labels = source
                .entries
                .iter()
                .find(|other| other.folder() == entry.folder() && without_gz(other.file_name()) == partner)
                .ok_or_else(|| DataError::MissingPath {
                    path: source.root.join(entry.folder().join("/")).join(&partner),
                    expected: "the labels of the images beside it, as an IDX file",
                })?;
            files.add(
                &entry.name(),
                read_file(source, entry)?,
                &labels.name(),
                &read_file(source, labels)?,
                split_of(name),
            )?;
        }
        if files.images.is_empty() {
            return Ok(None);
        }
        let (mut items, skipped) = (std::mem::take(&mut files.items), std::mem::take(&mut files.skipped));
        let values: BTreeSet<u32> = items.iter().map(|item| item.label).collect();
        let values: Vec<u32> = values.into_iter().collect();
        for item in &mut items {
            item.label = values.partition_point(|&value| value < item.label) as u32;
        }
        let class_names = values.iter().map(u32::to_string).collect();
        let decode = Box::new(move |item| Ok(files.image(item)));
        Ok(Some(Contents { class_names, items, skipped, decode }))
    }
}

/// A file of images.
#[derive(Debug)]
struct Images {
    bytes: Vec<u8>,
    /// Where the first pixel is.
    offset: usize,
    height: usize,
    width: usize,
}

/// All files of an IDX data set.
#[derive(Debug, Default)]
struct Files {
    images: Vec<Images>,
    /// The labels are still those of the files.
    items: Vec<Item>,
    /// The file of each item and its number there.
    places: Vec<(usize, usize)>,
    skipped: Vec<Skipped>,
}

fn read_file(source: &Source, entry: &Entry) -> Result<Vec<u8>> {
    let bytes = source.read_whole(entry, MAX_BYTES)?;
    if !entry.file_name().ends_with(".gz") {
        return Ok(bytes);
    }
    read_limited(MultiGzDecoder::new(bytes.as_slice()), MAX_BYTES)
        .map_err(|reason| source.unreadable(entry, &reason))
}

impl Files {
    fn add(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        labels_name: &str,
        labels: &[u8],
        split: Option<Split>,
    ) -> Result<()> {
        let malformed = |file: &str, (expected, found): (String, String)| DataError::Malformed {
            file: file.into(),
            format: "IDX",
            expected,
            found,
        };
        let header = parse_header(&bytes, 3).map_err(|reason| malformed(name, reason))?;
        let label_header = parse_header(labels, 1).map_err(|reason| malformed(labels_name, reason))?;
        let [count, height, width] = [header.dims[0], header.dims[1], header.dims[2]];
        if ![height, width].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            return Err(malformed(
                name,
                (format!("sides of 1 to {MAX_SIDE} pixels"), format!("{height}×{width} pixels")),
            ));
        }
        if label_header.dims[0] != count {
            let found = format!("{} labels", label_header.dims[0]);
            return Err(malformed(
                labels_name,
                (format!("{count} labels, one for each image of {name}"), found),
            ));
        }
        let complete =
            ((bytes.len() - header.offset) / (height * width)).min(labels.len() - label_header.offset);
        if complete < count {
            // One line for all: the count comes from the header and may be anything.
            let name = format!("{}…{}", record_name(name, complete), count - 1);
            self.skipped.push(Skipped { name, reason: SkipReason::Truncated });
        }
        let file = self.images.len();
        for (number, &label) in labels[label_header.offset..].iter().enumerate().take(complete.min(count)) {
            self.items.push(Item::of_record(name, number, u32::from(label), split));
            self.places.push((file, number));
        }
        self.images.push(Images { bytes, offset: header.offset, height, width });
        Ok(())
    }

    /// The image of an item, its grey values in all three channels.
    fn image(&self, item: usize) -> RgbImage {
        let (file, number) = self.places[item];
        let file = &self.images[file];
        let start = file.offset + number * file.height * file.width;
        RgbImage::from_fn(file.width as u32, file.height as u32, |x, y| {
            Rgb([file.bytes[start + y as usize * file.width + x as usize]; 3])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(dims: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
        bytes
    }

    #[test]
    fn header_is_parsed_and_faults_are_named() {
        assert_eq!(parse_header(&header(&[2, 3, 4]), 3).unwrap(), Header { dims: vec![2, 3, 4], offset: 16 });
        assert!(parse_header(&header(&[2]), 3).unwrap_err().1.contains("1 dimensions"));
        assert!(parse_header(&[0, 0, 13, 3], 3).unwrap_err().1.contains("0x0d"));
        assert!(parse_header(&[1, 0, 8, 3], 3).is_err());
        assert!(parse_header(&header(&[2, 3, 4])[..10], 3).is_err());
        assert!(parse_header(&[], 1).is_err());
    }

    #[test]
    fn partner_of_images_is_named() {
        assert_eq!(labels_name("train-images-idx3-ubyte").as_deref(), Some("train-labels-idx1-ubyte"));
        assert_eq!(labels_name("t10k-images.idx3-ubyte").as_deref(), Some("t10k-labels.idx1-ubyte"));
        assert_eq!(labels_name("train-labels-idx1-ubyte"), None);
    }

    #[test]
    fn a_header_that_promises_too_much_lists_one_line() {
        let mut images = header(&[u32::MAX, 2, 2]);
        images.extend([7; 9]);
        let mut labels = header(&[u32::MAX]);
        labels.extend([1; 5]);
        let mut files = Files::default();
        files.add("i", images, "l", &labels, None).unwrap();
        assert_eq!((files.items.len(), files.skipped.len()), (2, 1));
        assert_eq!(files.skipped[0].name, "i#000002…4294967294");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn random_bytes_never_panic(
            dims in proptest::array::uniform3(prop_oneof![0_u32..6, any::<u32>()]),
            count in prop_oneof![0_u32..6, any::<u32>()],
            images in proptest::collection::vec(any::<u8>(), 0..200),
            labels in proptest::collection::vec(any::<u8>(), 0..20),
            raw: bool,
        ) {
            let (images, labels) = match raw {
                true => (images, labels),
                false => ([header(&dims), images].concat(), [header(&[count]), labels].concat()),
            };
            let mut files = Files::default();
            if files.add("i", images, "l", &labels, None).is_ok() {
                for item in 0..files.items.len() {
                    let image = files.image(item);
                    prop_assert!(image.width() > 0 && image.height() > 0);
                }
            }
        }
    }
}
