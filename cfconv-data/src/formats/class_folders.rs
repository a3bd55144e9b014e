//! JPEG and PNG images in one folder for each class, with or without folders for parts above them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contents, Format, Item, expected_formats};
use crate::decode::{MAX_FILE_BYTES, decode};
use crate::error::{DataError, Result};
use crate::skipped::{SkipReason, Skipped};
use crate::source::{Entry, Source};
use crate::split::Split;

/// The format.
pub(super) struct ClassFolders;

impl Format for ClassFolders {
    fn expected(&self) -> &'static str {
        "class folders of JPEG or PNG images (CLASS/…, PetImages/CLASS/… or train|val|test/CLASS/…)"
    }

    fn read<'a>(&self, source: &'a Source) -> Result<Option<Contents<'a>>> {
        let Source { root, entries, .. } = source;
        let images: Vec<&Entry> = entries.iter().filter(|entry| is_image_name(entry.file_name())).collect();
        if images.is_empty() {
            return Ok(None);
        }
        let Some(layout) = Layout::of(&images) else {
            return Err(DataError::NoClasses {
                path: root.clone(),
                found: images.len(),
                expected: expected_formats(),
            });
        };
        let mut skipped = Vec::new();
        // The images of each class, with their indices among the entries.
        let mut found: BTreeMap<String, Vec<(usize, Item)>> = BTreeMap::new();
        let mut filled: BTreeSet<&[String]> = BTreeSet::new();
        for (index, entry) in entries.iter().enumerate() {
            let name = entry.name();
            let reason = match layout.class_of(entry.folder()) {
                Some((split, class)) if is_image_name(entry.file_name()) => {
                    filled.insert(&entry.parts[..layout.class_depth]);
                    // From the class folder on: folders that wrap it do not change the split.
                    let key = entry.parts[layout.class_depth - 1..].join("/");
                    found.entry(class).or_default().push((index, Item { name, key, label: 0, split }));
                    continue;
                }
                Some(_) => SkipReason::NotAnImage,
                None => SkipReason::OutsideClasses,
            };
            skipped.push(Skipped { name, reason });
        }
        for folder in source.folders.iter().filter(|folder| folder.len() == layout.class_depth) {
            if layout.class_of(folder).is_some() && !filled.contains(folder.as_slice()) {
                let class = folder[layout.top.len()..].join("/");
                return Err(DataError::EmptyClass { path: root.clone(), class });
            }
        }
        if layout.parts.values().any(|&split| split == Split::Train) {
            let untrained =
                |images: &[(usize, Item)]| images.iter().all(|(_, item)| item.split != Some(Split::Train));
            let classes: Vec<String> = found
                .iter()
                .filter(|(_, images)| untrained(images))
                .map(|(class, _)| class.clone())
                .collect();
            if !classes.is_empty() {
                return Err(DataError::UntrainedClasses { path: root.clone(), classes });
            }
        }
        let class_names = found.keys().cloned().collect();
        let mut images: Vec<(usize, Item)> = found
            .into_values()
            .zip(0..)
            .flat_map(|(images, label)| {
                images.into_iter().map(move |(entry, item)| (entry, Item { label, ..item }))
            })
            .collect();
        images.sort_by_key(|&(entry, _)| entry);
        let (places, items): (Vec<usize>, Vec<Item>) = images.into_iter().unzip();
        let decode = Box::new(move |item| decode(&source.read(&entries[places[item]], MAX_FILE_BYTES)?));
        Ok(Some(Contents { class_names, items, skipped, decode }))
    }
}

/// Where the class folders are.
///
/// Folders that merely wrap everything are entered. Then, if a folder is named like a part and holds images in
/// subfolders only, the layout has parts, and classes are the folders below them; otherwise classes are the folders
/// right here. Images deeper inside a class folder belong to the class.
struct Layout {
    /// The folders that wrap everything.
    top: Vec<String>,
    /// Folders of parts; without them the data has no parts.
    parts: BTreeMap<String, Split>,
    /// A class folder is this many folders deep.
    class_depth: usize,
}

impl Layout {
    /// Finds the class folders of `images`, of which there is at least one; `None` if no image lies in a folder.
    fn of(images: &[&Entry]) -> Option<Self> {
        let top = wrapper(images);
        let depth = top.len();
        // For each child folder: whether images lie directly in it.
        let mut children: BTreeMap<&str, bool> = BTreeMap::new();
        for image in images.iter().filter(|image| is_below(&top, image.folder())) {
            *children.entry(&image.parts[depth]).or_default() |= image.folder().len() == depth + 1;
        }
        if children.is_empty() {
            return None;
        }
        let parts: BTreeMap<String, Split> = children
            .iter()
            .filter(|&(_, &direct)| !direct)
            .filter_map(|(&name, _)| split_of(name).map(|split| (name.to_owned(), split)))
            .collect();
        let class_depth = depth + if parts.is_empty() { 1 } else { 2 };
        Some(Self { top, parts, class_depth })
    }

    /// The part and the class of the files in `folder`.
    fn class_of(&self, folder: &[String]) -> Option<(Option<Split>, String)> {
        if folder.len() < self.class_depth || !is_below(&self.top, folder) {
            return None;
        }
        let split = match self.parts.is_empty() {
            true => None,
            false => Some(*self.parts.get(&folder[self.top.len()])?),
        };
        Some((split, folder[self.class_depth - 1].clone()))
    }
}

fn is_below(top: &[String], folder: &[String]) -> bool {
    folder.len() > top.len() && folder.starts_with(top)
}

/// Endings that name an image; of these, only JPEG and PNG content is decoded.
const IMAGE_ENDINGS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "webp", "tif", "tiff", "avif", "heic", "ppm", "pgm"];

fn is_image_name(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| IMAGE_ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

fn split_of(folder: &str) -> Option<Split> {
    match folder.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// The folders that wrap all images: entered as long as there is one folder with images, no image lies beside it,
/// and it holds images in subfolders only.
fn wrapper(images: &[&Entry]) -> Vec<String> {
    let mut top: Vec<String> = Vec::new();
    loop {
        let depth = top.len();
        let Some(first) = images[0].parts.get(depth) else { return top };
        let wraps = images.iter().all(|image| image.parts.len() > depth + 2 && &image.parts[depth] == first);
        if !wraps {
            return top;
        }
        top.push(first.clone());
    }
}
