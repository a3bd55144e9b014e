//! From the names of files to classes and parts: which folder is a class, which a split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{DataError, Result};
use crate::skipped::{SkipReason, Skipped};
use crate::source::{EXPECTED, Entry};
use crate::split::Split;

/// An image file with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Index into the entries.
    pub(crate) entry: usize,
    pub(crate) label: u32,
    /// The part its folder belongs to, if the layout has parts.
    pub(crate) split: Option<Split>,
    /// The path from the class folder on: what the split's hash sees.
    pub(crate) key: String,
}

/// The classes of a folder tree and the image files in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) class_names: Vec<String>,
    pub(crate) images: Vec<Placed>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Endings that name an image; of these, only JPEG and PNG content is decoded.
const IMAGE_ENDINGS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "webp", "tif", "tiff", "avif", "heic", "ppm", "pgm"];

pub(crate) fn is_image_name(name: &str) -> bool {
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

/// Finds the classes.
///
/// Folders that merely wrap everything are entered. Then, if a folder is named like a part and holds images in
/// subfolders only, the layout has parts, and classes are the folders below them; otherwise classes are the folders
/// right here. Images deeper inside a class folder belong to the class.
pub(crate) fn class_folders(
    root: &Path,
    entries: &[Entry],
    folders: &BTreeSet<Vec<String>>,
    single_class_allowed: bool,
) -> Result<Layout> {
    let images: Vec<&Entry> = entries.iter().filter(|entry| is_image_name(entry.file_name())).collect();
    if images.is_empty() {
        return Err(DataError::NoImages { path: root.into(), files: entries.len(), expected: EXPECTED });
    }
    let top = wrapper(&images);
    let depth = top.len();
    let below_top = |parts: &[String]| parts.len() > depth && parts[..depth] == top[..];
    // For each child folder: whether images lie directly in it.
    let mut children: BTreeMap<&str, bool> = BTreeMap::new();
    for image in images.iter().filter(|image| below_top(image.folder())) {
        *children.entry(&image.parts[depth]).or_default() |= image.folder().len() == depth + 1;
    }
    if children.is_empty() {
        return Err(DataError::NoClasses { path: root.into(), found: images.len(), expected: EXPECTED });
    }
    let parts: BTreeMap<&str, Split> = children
        .iter()
        .filter(|&(_, &direct)| !direct)
        .filter_map(|(&name, _)| split_of(name).map(|split| (name, split)))
        .collect();

    // A class folder is `depth + level` folders deep.
    let level = if parts.is_empty() { 1 } else { 2 };
    let class_of = |folder: &[String]| -> Option<(Option<Split>, String)> {
        if folder.len() < depth + level || !below_top(folder) {
            return None;
        }
        let split = match level {
            1 => None,
            _ => Some(*parts.get(folder[depth].as_str())?),
        };
        Some((split, folder[depth + level - 1].clone()))
    };

    let mut layout = Layout::default();
    let mut found: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    let mut filled: BTreeSet<&[String]> = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let reason = match class_of(entry.folder()) {
            Some((split, class)) if is_image_name(entry.file_name()) => {
                filled.insert(&entry.parts[..depth + level]);
                let key = entry.parts[depth + level - 1..].join("/");
                found.entry(class).or_default().push(Placed { entry: index, label: 0, split, key });
                continue;
            }
            Some(_) => SkipReason::NotAnImage,
            None => SkipReason::OutsideClasses,
        };
        layout.skipped.push(Skipped { name: entry.name(), reason });
    }
    for folder in folders.iter().filter(|folder| folder.len() == depth + level) {
        if class_of(folder).is_some() && !filled.contains(folder.as_slice()) {
            return Err(DataError::EmptyClass { path: root.into(), class: folder[depth..].join("/") });
        }
    }
    if !single_class_allowed && found.len() == 1 {
        let class = found.into_keys().next().unwrap_or_default();
        return Err(DataError::SingleClass { path: root.into(), class });
    }
    if parts.values().any(|&split| split == Split::Train) {
        let untrained = |placed: &[Placed]| placed.iter().all(|image| image.split != Some(Split::Train));
        let classes: Vec<String> =
            found.iter().filter(|(_, p)| untrained(p)).map(|(class, _)| class.clone()).collect();
        if !classes.is_empty() {
            return Err(DataError::UntrainedClasses { path: root.into(), classes });
        }
    }
    for (label, (class, placed)) in found.into_iter().enumerate() {
        layout.class_names.push(class);
        layout.images.extend(placed.into_iter().map(|image| Placed { label: label as u32, ..image }));
    }
    layout.images.sort_by_key(|image| image.entry);
    Ok(layout)
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
