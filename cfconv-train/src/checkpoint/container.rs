//! Named tensors and one text in a safetensors file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, View};
use safetensors::{SafeTensorError, SafeTensors, serialize_to_file};

use super::error::{CheckpointError, Result};
use crate::networks::{NamedTensor, TensorValues};

/// The entry of the file's metadata that holds the text. A single entry keeps files reproducible: the order of
/// several would change from run to run.
const TEXT_KEY: &str = "cfconv";

/// How the file stores a tensor.
struct Stored<'a>(&'a NamedTensor);

impl Stored<'_> {
    fn bytes(&self) -> &[u8] {
        match &self.0.values {
            TensorValues::F32(values) => bytemuck::cast_slice(values),
            TensorValues::F64(values) => bytemuck::cast_slice(values),
            TensorValues::U64(values) => bytemuck::cast_slice(values),
        }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.values {
            TensorValues::F32(_) => Dtype::F32,
            TensorValues::F64(_) => Dtype::F64,
            TensorValues::U64(_) => Dtype::U64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.bytes())
    }

    fn data_len(&self) -> usize {
        self.bytes().len()
    }
}

/// Writes `tensors` and `text` to `path`, atomically: a temporary file in the same folder is written, forced to
/// the disc and renamed. Whatever happens, `path` holds the old or the new content, whole.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn write_tensors(path: &Path, text: String, tensors: &[NamedTensor]) -> Result<()> {
    let io = |source| CheckpointError::Io { action: "write", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".checkpoint-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(io)?
        .into_temp_path();
    serialize_to_file(
        tensors.iter().map(|tensor| (tensor.name.as_str(), Stored(tensor))),
        Some(HashMap::from([(TEXT_KEY.to_owned(), text)])),
        &temporary,
    )
    .map_err(|error| match error {
        SafeTensorError::IoError(source) => io(source),
        other => io(std::io::Error::other(other.to_string())),
    })?;
    File::options().write(true).open(&temporary).and_then(|file| file.sync_all()).map_err(io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Temporary files are private; checkpoints are like any other file.
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o644)).map_err(io)?;
    }
    temporary.persist(path).map_err(|error| io(error.error))?;
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(())
}

/// A safetensors file in memory, its header checked.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
    metadata: Metadata,
    data_start: usize,
}

impl TensorFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] and [`CheckpointError::Damaged`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| CheckpointError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(path, bytes)
    }

    /// Takes a file's content; `path` names it in messages.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let damaged = |error: SafeTensorError| CheckpointError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        // This form also checks that the data is all there.
        SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        Ok(Self { path: path.to_owned(), data_start: header + size_of::<u64>(), bytes, metadata })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text written beside the tensors.
    ///
    /// # Errors
    /// [`CheckpointError::Foreign`] if there is none.
    pub fn text(&self) -> Result<&str> {
        self.metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(TEXT_KEY))
            .map(String::as_str)
            .ok_or_else(|| CheckpointError::Foreign {
                path: self.path.clone(),
                reason: format!("its metadata has no entry `{TEXT_KEY}`"),
            })
    }

    /// All tensors, sorted by name.
    ///
    /// # Errors
    /// [`CheckpointError::NumberType`] for a type that no tensor of a network has,
    /// [`CheckpointError::NotFinite`] for infinities and what is not a number.
    pub fn tensors(&self) -> Result<Vec<NamedTensor>> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names.into_iter().filter_map(|name| self.tensor(name).transpose()).collect()
    }

    fn tensor(&self, name: String) -> Result<Option<NamedTensor>> {
        let Some(info) = self.metadata.info(&name) else { return Ok(None) };
        let (start, end) = info.data_offsets;
        let bytes = &self.bytes[self.data_start + start..self.data_start + end];
        let values = match info.dtype {
            Dtype::F32 => TensorValues::F32(bytemuck::pod_collect_to_vec(bytes)),
            Dtype::F64 => TensorValues::F64(bytemuck::pod_collect_to_vec(bytes)),
            Dtype::U64 => TensorValues::U64(bytemuck::pod_collect_to_vec(bytes)),
            other => {
                return Err(CheckpointError::NumberType {
                    path: self.path.clone(),
                    tensor: name,
                    found: format!("{other:?}"),
                });
            }
        };
        let wrong = match &values {
            TensorValues::F32(values) => values
                .iter()
                .position(|value| !value.is_finite())
                .map(|index| (index, f64::from(values[index]))),
            TensorValues::F64(values) => {
                values.iter().position(|value| !value.is_finite()).map(|index| (index, values[index]))
            }
            TensorValues::U64(_) => None,
        };
        match wrong {
            None => Ok(Some(NamedTensor { name, shape: info.shape.clone(), values })),
            Some((index, found)) => {
                Err(CheckpointError::NotFinite { path: self.path.clone(), tensor: name, index, found })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], values: TensorValues) -> NamedTensor {
        NamedTensor { name: name.into(), shape: shape.to_vec(), values }
    }

    /// Sorted by name.
    fn tensors() -> Vec<NamedTensor> {
        vec![
            tensor("a.steps", &[2], TensorValues::U64(vec![7, u64::MAX])),
            tensor(
                "b.weight",
                &[2, 3],
                TensorValues::F32(vec![1.0, -2.5, 3.0, f32::MIN_POSITIVE, 0.1, -0.0]),
            ),
            tensor("c.scale", &[], TensorValues::F64(vec![0.3])),
        ]
    }

    fn written() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        write_tensors(&path, "the text".into(), &tensors()).unwrap();
        (folder, path)
    }

    #[test]
    fn tensors_and_text_survive_and_files_are_reproducible() {
        let (folder, path) = written();
        let file = TensorFile::read(&path).unwrap();
        assert_eq!(file.text().unwrap(), "the text");
        // Debug formatting tells −0 from 0.
        assert_eq!(format!("{:?}", file.tensors().unwrap()), format!("{:?}", tensors()));
        let first = fs::read(&path).unwrap();
        write_tensors(&path, "the text".into(), &tensors()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are left over");
    }

    #[test]
    fn values_that_are_not_finite_are_named() {
        let (_folder, path) = written();
        let bad = tensor("n", &[2], TensorValues::F32(vec![1.0, f32::NAN]));
        write_tensors(&path, String::new(), &[bad]).unwrap();
        let nan = TensorFile::read(&path).unwrap().tensors().unwrap_err().to_string();
        assert!(nan.ends_with("x.safetensors: tensor `n` holds NaN at index 1"), "{nan}");
    }

    #[test]
    fn every_truncation_is_refused() {
        let (_folder, path) = written();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            let error = TensorFile::from_bytes(&path, whole[..length].to_vec()).unwrap_err();
            assert!(matches!(error, CheckpointError::Damaged { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn failed_write_keeps_the_old_file() {
        let (folder, path) = written();
        let before = fs::read(&path).unwrap();
        let nowhere = folder.path().join("missing/x.safetensors");
        assert!(matches!(
            write_tensors(&nowhere, String::new(), &tensors()),
            Err(CheckpointError::Io { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        /// Damage anywhere gives an error or a file, never a panic.
        #[test]
        fn damaged_bytes_never_panic(place in 0_usize..4096, byte: u8) {
            let (_folder, path) = written();
            let mut bytes = fs::read(&path).unwrap();
            let place = place % bytes.len();
            bytes[place] = byte;
            if let Ok(file) = TensorFile::from_bytes(&path, bytes) {
                let _ = (file.text().map(str::len), file.tensors());
            }
        }
    }
}
