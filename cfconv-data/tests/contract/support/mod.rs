//! What the tests share: small image files and trees of them, as folder and as archive.

#[path = "../../../../tests/skip.rs"]
mod skip;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use cfconv_data::{DataConfig, DataError, Dataset, load_dataset};
use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;

/// A small image that differs with `seed`.
pub(crate) fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 7 + seed * 31) as u8, (y * 11 + seed * 17) as u8, (x * y + seed * 5) as u8])
    })
}

pub(crate) fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

pub(crate) fn png(seed: u32) -> Vec<u8> {
    encoded(&picture(12, 10, seed), ImageFormat::Png)
}

pub(crate) fn jpeg(seed: u32) -> Vec<u8> {
    encoded(&picture(12, 10, seed), ImageFormat::Jpeg)
}

/// A tree of files; a name that ends with `/` is an empty folder.
#[derive(Clone, Default)]
pub(crate) struct Tree(pub(crate) Vec<(String, Vec<u8>)>);

impl Tree {
    pub(crate) fn with(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.0.push((name.into(), bytes));
        self
    }

    /// Adds `count` images to a folder, JPEG and PNG in turn.
    pub(crate) fn images(mut self, folder: &str, count: u32) -> Self {
        for number in 0..count {
            let seed = number + 100 * self.0.len() as u32;
            let (bytes, ending) = if number % 2 == 0 { (jpeg(seed), "jpg") } else { (png(seed), "PNG") };
            self.0.push((format!("{folder}/{number}.{ending}"), bytes));
        }
        self
    }

    pub(crate) fn write_folder(&self, root: &Path) -> PathBuf {
        fs::create_dir_all(root).unwrap();
        for (name, bytes) in &self.0 {
            let path = root.join(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        root.into()
    }

    /// Writes the archive in reverse order, so that nothing can lean on the order of entries.
    pub(crate) fn write_zip(&self, path: &Path) -> PathBuf {
        let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, bytes) in self.0.iter().rev() {
            if let Some(folder) = name.strip_suffix('/') {
                zip.add_directory(folder, options).unwrap();
            } else {
                zip.start_file(name.as_str(), options).unwrap();
                zip.write_all(bytes).unwrap();
            }
        }
        zip.finish().unwrap();
        path.into()
    }

    /// Loads the tree as a folder and as an archive, checks that both agree, and returns the one.
    pub(crate) fn load(&self, config: &DataConfig) -> Result<Dataset, DataError> {
        let temp = TempDir::new().unwrap();
        let folder = load_path(&self.write_folder(&temp.path().join("tree")), config);
        let archive = load_path(&self.write_zip(&temp.path().join("tree.zip")), config);
        match (folder, archive) {
            (Ok(folder), Ok(archive)) => {
                assert_same(&folder, &archive);
                Ok(folder)
            }
            (Err(folder), Err(archive)) => {
                let plain = |error: &DataError| error.to_string().replace("tree.zip", "tree");
                assert_eq!(plain(&folder), plain(&archive));
                Err(folder)
            }
            (folder, archive) => panic!("folder: {folder:?}\narchive: {archive:?}"),
        }
    }

    /// The message of the error that the tree must give.
    pub(crate) fn load_error(&self, config: &DataConfig) -> String {
        self.load(config).expect_err("the tree is not usable").to_string()
    }
}

pub(crate) fn load_path(path: &Path, config: &DataConfig) -> Result<Dataset, DataError> {
    load_dataset(&DataConfig { path: Some(path.into()), ..config.clone() }, &|_, _| ())
}

/// Asserts that two data sets agree in everything but their origin.
pub(crate) fn assert_same(a: &Dataset, b: &Dataset) {
    use cfconv_data::Split;

    assert_eq!(a.names(), b.names());
    assert_eq!(a.labels(), b.labels());
    assert_eq!(a.class_names(), b.class_names());
    assert_eq!(a.skipped(), b.skipped());
    assert!(a.images() == b.images(), "the images differ");
    for split in [Split::Train, Split::Validation, Split::Test] {
        assert_eq!(a.indices(split), b.indices(split), "{split}");
    }
}

/// Configuration for images of 8×8 pixels.
pub(crate) fn small() -> DataConfig {
    DataConfig { size: 8, ..DataConfig::default() }
}

/// The folder with the real data sets, or nothing, which is reported as skipped.
pub(crate) fn real_data(file: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("CFCONV_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    skip::skip(format_args!("{file} is not in the folder that CFCONV_DATA names, nor in shared/data"));
    None
}
