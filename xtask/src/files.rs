//! Files: every error names the path, and a file is replaced as a whole, never half written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::workspace;

/// Reads a text.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Reads a JSON value.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&read(path)?).with_context(|| format!("reading {}", path.display()))
}

/// Replaces the file at `path` in one step; makes its folder if there is none.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let write = || -> Result<()> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Replaces the file at `path` with a JSON value.
pub(crate) fn replace_json(path: &Path, value: &(impl Serialize + ?Sized)) -> Result<()> {
    replace(path, &(serde_json::to_string_pretty(value)? + "\n"))
}

/// The folder for results: the one that the user names, or `default` in the repository.
pub(crate) fn results_folder(given: Option<&Path>, default: &str) -> Result<PathBuf> {
    Ok(given.map(std::path::absolute).transpose()?.unwrap_or_else(|| workspace::root().join(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_writes_the_whole_text_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/report.json");
        replace(&path, "old and longer").unwrap();
        replace(&path, "new").unwrap();
        assert_eq!(read(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
