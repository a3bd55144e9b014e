//! The folder of a run and the files in it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What can be wrong with the folder of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderError {
    /// A file or the folder cannot be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// `read`, `write` or `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A new run would replace an old one.
    #[error("{path} already holds a run ({file}); continue it with --resume, or choose another folder")]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// The file that shows it.
        file: &'static str,
    },
    /// There is no run to go on with.
    #[error("{path} holds no run to resume: {file} is missing")]
    NothingToResume {
        /// The folder.
        path: PathBuf,
        /// The missing file.
        file: &'static str,
    },
}

/// The folder of a run.
///
/// | file | content |
/// |---|---|
/// | `config.toml` | the complete configuration |
/// | `metrics.jsonl` | one [`Event`](crate::metrics::Event) a line |
/// | `checkpoint.safetensors` | the latest state, from which a run resumes |
/// | `best.safetensors` | the model of the best validation accuracy |
/// | `summary.json` | the result |
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINT: &str = "checkpoint.safetensors";
const BEST: &str = "best.safetensors";
const SUMMARY: &str = "summary.json";

impl RunFolder {
    /// A folder for a new run, created if need be.
    ///
    /// # Errors
    /// [`RunFolderError::Occupied`] if a run is there already, [`RunFolderError::Io`] if it cannot be created.
    pub fn create(path: &Path) -> Result<Self, RunFolderError> {
        for file in [CHECKPOINT, METRICS, BEST, SUMMARY, CONFIG] {
            if path.join(file).exists() {
                return Err(RunFolderError::Occupied { path: path.to_owned(), file });
            }
        }
        fs::create_dir_all(path).map_err(|source| RunFolderError::Io {
            action: "create",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { path: path.to_owned() })
    }

    /// The folder of a run that is to go on.
    ///
    /// # Errors
    /// [`RunFolderError::NothingToResume`] if there is none.
    pub fn resume(path: &Path) -> Result<Self, RunFolderError> {
        for file in [CHECKPOINT, METRICS, CONFIG] {
            if !path.join(file).exists() {
                return Err(RunFolderError::NothingToResume { path: path.to_owned(), file });
            }
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// `checkpoint.safetensors`.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// `best.safetensors`.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// `summary.json`.
    pub fn summary(&self) -> PathBuf {
        self.path.join(SUMMARY)
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    /// [`RunFolderError::Io`].
    pub fn write_config(&self, text: &str) -> Result<(), RunFolderError> {
        self.replace(&self.config(), text.as_bytes())
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// [`RunFolderError::Io`].
    pub fn write_summary(&self, summary: &impl Serialize) -> Result<(), RunFolderError> {
        let path = self.summary();
        let text = serde_json::to_string_pretty(summary).map_err(|error| RunFolderError::Io {
            action: "write",
            path: path.clone(),
            source: io::Error::from(error),
        })?;
        self.replace(&path, (text + "\n").as_bytes())
    }

    /// Replaces a file by way of a temporary one, so that readers never see half of it.
    fn replace(&self, path: &Path, content: &[u8]) -> Result<(), RunFolderError> {
        let write = || -> io::Result<()> {
            let temporary = path.with_extension("tmp");
            let mut file = fs::File::create(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(|source| RunFolderError::Io { action: "write", path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_neither_overwritten_nor_invented() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/run");
        assert!(matches!(RunFolder::resume(&path), Err(RunFolderError::NothingToResume { .. })));
        let folder = RunFolder::create(&path).unwrap();
        RunFolder::create(&path).unwrap();
        folder.write_config("seed = 1\n").unwrap();
        let error = RunFolder::create(&path).unwrap_err();
        assert!(
            error.to_string().contains("config.toml") && error.to_string().contains("--resume"),
            "{error}"
        );
        assert!(matches!(
            RunFolder::resume(&path),
            Err(RunFolderError::NothingToResume { file: "checkpoint.safetensors", .. })
        ));
        assert_eq!(fs::read_to_string(folder.config()).unwrap(), "seed = 1\n");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }
}
