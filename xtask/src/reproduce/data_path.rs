//! From what `--data` names to what the program reads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::experiment::{Experiment, Images};

/// Finds the images of `experiment` in `given`, a folder or an archive. `None` when it makes its own.
///
/// # Errors
/// Says what was looked for when the path is missing or holds no images in a known layout.
pub(crate) fn find(experiment: &Experiment, given: Option<&Path>) -> Result<Option<PathBuf>> {
    let Images::Given { archives, folders } = experiment.images else { return Ok(None) };
    let Some(given) = given else {
        bail!("`{}` needs its images: give their folder or .zip with --data", experiment.name);
    };
    let given = std::path::absolute(given).with_context(|| format!("--data {}", given.display()))?;
    if given.is_file() {
        if given.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            return Ok(Some(given));
        }
        bail!("--data {}: a file must be a .zip archive of image folders", given.display());
    }
    if !given.is_dir() {
        bail!("--data {}: there is no such folder or file", given.display());
    }
    for name in archives {
        if given.join(name).is_file() {
            return Ok(Some(given.join(name)));
        }
    }
    let subfolders = subfolders(&given)?;
    if subfolders.len() >= 2 || folders.iter().any(|name| given.join(name).is_dir()) {
        return Ok(Some(given));
    }
    bail!(
        "--data {}: found neither {} nor {} nor a folder for each class in it",
        given.display(),
        archives.join(", "),
        folders.join("/, ")
    )
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::experiment::choose;
    use super::*;

    fn find_in(folder: &Path) -> Result<Option<PathBuf>> {
        find(choose(Some("cats-vs-dogs"), true).unwrap(), Some(folder))
    }

    #[test]
    fn archive_in_a_folder_is_found_before_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("PetImages/Cat")).unwrap();
        assert_eq!(find_in(folder.path()).unwrap().unwrap(), folder.path());
        let archive = folder.path().join("cats_vs_dogs_64.zip");
        std::fs::write(&archive, "").unwrap();
        assert_eq!(find_in(folder.path()).unwrap().unwrap(), archive);
        assert_eq!(find_in(&archive).unwrap().unwrap(), archive);
    }

    #[test]
    fn class_folders_are_taken_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("cats")).unwrap();
        assert!(find_in(folder.path()).is_err(), "one class is no data set");
        std::fs::create_dir_all(folder.path().join("dogs")).unwrap();
        assert_eq!(find_in(folder.path()).unwrap().unwrap(), folder.path());
    }

    #[test]
    fn missing_images_are_clear_errors() {
        let folder = tempfile::tempdir().unwrap();
        let message = |result: Result<Option<PathBuf>>| result.unwrap_err().to_string();
        assert!(message(find_in(&folder.path().join("absent"))).contains("no such folder or file"));
        assert!(message(find_in(folder.path())).contains("cats_vs_dogs_64.zip"));
        std::fs::write(folder.path().join("a.tar"), "").unwrap();
        assert!(message(find_in(&folder.path().join("a.tar"))).contains("must be a .zip"));
        let without = find(choose(Some("cats-vs-dogs"), false).unwrap(), None);
        assert!(message(without).contains("--data"));
    }

    #[test]
    fn embedded_images_need_no_path() {
        assert_eq!(find(choose(None, false).unwrap(), None).unwrap(), None);
    }
}
