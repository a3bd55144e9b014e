//! Where files come from: a folder or a zip archive, seen the same way.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use crate::error::{DataError, Result};
use crate::formats::expected_formats;
use crate::skipped::{SkipReason, Skipped};

/// A file of a source.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The path below the root, folder by folder.
    pub(crate) parts: Vec<String>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    Archived(usize),
}

impl Entry {
    /// The path with `/` between folders.
    pub(crate) fn name(&self) -> String {
        self.parts.join("/")
    }

    /// The last part of the path.
    pub(crate) fn file_name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &[String] {
        &self.parts[..self.parts.len().saturating_sub(1)]
    }
}

/// All usable files and folders below a root, sorted by path so that a folder and an archive of it agree.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) root: PathBuf,
    pub(crate) entries: Vec<Entry>,
    pub(crate) folders: BTreeSet<Vec<String>>,
    pub(crate) skipped: Vec<Skipped>,
    archive: Option<ZipArchive<ReopenedFile>>,
}

impl Source {
    /// Lists what lies at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                DataError::MissingPath { path: path.into(), expected: expected_formats() }
            }
            _ => DataError::Io { path: path.into(), source },
        })?;
        let mut source = Self {
            root: path.into(),
            entries: Vec::new(),
            folders: BTreeSet::new(),
            skipped: Vec::new(),
            archive: None,
        };
        if metadata.is_dir() {
            let mut ancestors = Vec::new();
            source.walk(path, &mut Vec::new(), &mut ancestors)?;
        } else {
            source.list_archive(path)?;
        }
        source.entries.sort_by(|a, b| a.parts.cmp(&b.parts));
        Ok(source)
    }

    fn walk(&mut self, folder: &Path, parts: &mut Vec<String>, ancestors: &mut Vec<PathBuf>) -> Result<()> {
        let failed = |source| DataError::Io { path: folder.into(), source };
        let real = folder.canonicalize().map_err(failed)?;
        // A link back to a folder that contains it would never end.
        if ancestors.contains(&real) {
            return Ok(());
        }
        ancestors.push(real);
        for item in fs::read_dir(folder).map_err(failed)? {
            let path = item.map_err(failed)?.path();
            parts.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    if !is_system(parts) {
                        self.folders.insert(parts.clone());
                    }
                    self.walk(&path, parts, ancestors)?;
                }
                Ok(metadata) if metadata.is_file() => self.add(parts.clone(), Place::Path(path)),
                Ok(_) => self.skip(parts.join("/"), SkipReason::Unreadable("not a regular file".into())),
                Err(error) => self.skip(parts.join("/"), SkipReason::Unreadable(error.to_string())),
            }
            parts.pop();
        }
        ancestors.pop();
        Ok(())
    }

    fn list_archive(&mut self, path: &Path) -> Result<()> {
        let mut file = ReopenedFile::new(path);
        let mut magic = Vec::new();
        file.by_ref()
            .take(16)
            .read_to_end(&mut magic)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        let named_zip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
        if !named_zip && !magic.starts_with(b"PK") {
            let found = match image::guess_format(&magic) {
                Ok(format) => format!("a single {format:?} image"),
                Err(_) => match path.extension() {
                    Some(extension) => format!("a .{} file", extension.to_string_lossy()),
                    None => "a file".to_string(),
                },
            };
            return Err(DataError::UnsupportedFormat {
                path: path.into(),
                found,
                expected: expected_formats(),
            });
        }
        let archive =
            ZipArchive::new(file).map_err(|source| DataError::Archive { path: path.into(), source })?;
        for index in 0..archive.len() {
            let Some(Ok(name)) = archive.name_for_index(index) else {
                self.skip(format!("entry {index}"), SkipReason::UnsafeName);
                continue;
            };
            let name = name.replace('\\', "/");
            let is_folder = name.ends_with('/');
            let Some(parts) = safe_parts(&name) else {
                self.skip(name, SkipReason::UnsafeName);
                continue;
            };
            let folder_length = parts.len() - usize::from(!is_folder);
            for length in 1..=folder_length {
                if !is_system(&parts[..length]) {
                    self.folders.insert(parts[..length].to_vec());
                }
            }
            if !is_folder {
                self.add(parts, Place::Archived(index));
            }
        }
        self.archive = Some(archive);
        Ok(())
    }

    fn add(&mut self, parts: Vec<String>, place: Place) {
        if is_system(&parts) {
            self.skip(parts.join("/"), SkipReason::System);
        } else {
            self.entries.push(Entry { parts, place });
        }
    }

    fn skip(&mut self, name: String, reason: SkipReason) {
        self.skipped.push(Skipped { name, reason });
    }

    /// Reads a file of at most `limit` bytes.
    pub(crate) fn read(&self, entry: &Entry, limit: u64) -> std::result::Result<Vec<u8>, SkipReason> {
        let unreadable = |error: &dyn std::fmt::Display| SkipReason::Unreadable(error.to_string());
        match (&entry.place, &self.archive) {
            (Place::Path(path), _) => {
                read_limited(File::open(path).map_err(|error| unreadable(&error))?, limit)
            }
            (Place::Archived(index), Some(archive)) => {
                // A clone shares the directory and opens the file again: threads read independently.
                let mut archive = archive.clone();
                let file = archive.by_index(*index).map_err(|error| unreadable(&error))?;
                read_limited(file, limit)
            }
            (Place::Archived(_), None) => Err(SkipReason::Unreadable("the archive is not open".into())),
        }
    }

    /// Reads a file without which the data set cannot be used.
    pub(crate) fn read_whole(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>> {
        self.read(entry, limit).map_err(|reason| self.unreadable(entry, &reason))
    }

    /// The error for a file without which the data set cannot be used.
    pub(crate) fn unreadable(&self, entry: &Entry, reason: &SkipReason) -> DataError {
        let source = io::Error::other(reason.to_string());
        DataError::Io { path: self.root.join(entry.name()), source }
    }
}

/// Reads to the end, at most `limit` bytes; what a header claims about the size is not trusted.
pub(crate) fn read_limited(reader: impl Read, limit: u64) -> std::result::Result<Vec<u8>, SkipReason> {
    let mut bytes = Vec::new();
    let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| SkipReason::Unreadable(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(SkipReason::TooLarge { width: 0, height: 0, bytes: bytes.len() as u64 });
    }
    Ok(bytes)
}

/// Splits an archived name into folders, or refuses one that points outside.
fn safe_parts(name: &str) -> Option<Vec<String>> {
    if name.starts_with('/') || name.contains('\0') {
        return None;
    }
    let parts: Vec<String> =
        name.split('/').filter(|part| !part.is_empty() && *part != ".").map(String::from).collect();
    let drive = parts.first().is_some_and(|part| part.len() == 2 && part.ends_with(':'));
    let unsafe_name = parts.is_empty() || drive || parts.iter().any(|part| part == "..");
    (!unsafe_name).then_some(parts)
}

/// Whether a path is hidden or an operating system's own.
fn is_system(parts: &[String]) -> bool {
    parts.iter().any(|part| {
        let lower = part.to_ascii_lowercase();
        part.starts_with('.')
            || part == "__MACOSX"
            || ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"].contains(&lower.as_str())
    })
}

/// A file that is opened again by each clone, so that every clone has a position of its own.
#[derive(Debug)]
struct ReopenedFile {
    path: Arc<Path>,
    file: Option<File>,
}

impl ReopenedFile {
    fn new(path: &Path) -> Self {
        Self { path: path.into(), file: None }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Clone for ReopenedFile {
    fn clone(&self) -> Self {
        Self { path: Arc::clone(&self.path), file: None }
    }
}

impl Read for ReopenedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file()?.read(buffer)
    }
}

impl Seek for ReopenedFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file()?.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_leave_the_archive_are_refused() {
        for name in ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "C:/a.jpg", "", "./", "a\0b"] {
            assert_eq!(safe_parts(name), None, "{name:?}");
        }
        assert_eq!(safe_parts("./a//b.jpg"), Some(vec!["a".to_string(), "b.jpg".to_string()]));
    }

    #[test]
    fn system_files_are_recognised() {
        let parts = |name: &str| name.split('/').map(String::from).collect::<Vec<_>>();
        for name in ["Cat/Thumbs.db", "__MACOSX/Cat/._1.jpg", ".git/x.png", "Cat/.hidden.jpg", "Desktop.ini"]
        {
            assert!(is_system(&parts(name)), "{name}");
        }
        assert!(!is_system(&parts("Cat/1.jpg")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_name_is_safe_or_refused(name in "[a.:/]{0,12}") {
            if let Some(parts) = safe_parts(&name) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|part| part != ".." && part != "." && !part.is_empty()));
            }
        }
    }
}
