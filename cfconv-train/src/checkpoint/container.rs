//! Named tensors and one text in a safetensors file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, View};
use safetensors::{SafeTensorError, SafeTensors, serialize_to_file};

use super::error::{CheckpointError, Result};

/// The entry of the file's metadata that holds the text. A single entry keeps files reproducible: the order of
/// several would change from run to run.
const TEXT_KEY: &str = "cfconv";

/// Values of a tensor in host memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<'a> {
    /// Real numbers.
    F32(Cow<'a, [f32]>),
    /// Counters.
    U32(Cow<'a, [u32]>),
}

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor<'a> {
    /// Its unique name.
    pub name: String,
    /// Its sizes; their product is the number of values.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Values<'a>,
}

impl<'a> NamedTensor<'a> {
    /// A tensor of real numbers.
    pub fn new(name: impl Into<String>, shape: &[usize], values: impl Into<Cow<'a, [f32]>>) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), values: Values::F32(values.into()) }
    }

    /// A tensor of counters.
    pub fn counters(name: impl Into<String>, shape: &[usize], values: impl Into<Cow<'a, [u32]>>) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), values: Values::U32(values.into()) }
    }

    fn bytes(&self) -> &[u8] {
        match &self.values {
            Values::F32(values) => bytemuck::cast_slice(values),
            Values::U32(values) => bytemuck::cast_slice(values),
        }
    }
}

impl View for &NamedTensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::F32(_) => Dtype::F32,
            Values::U32(_) => Dtype::U32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
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
pub fn write_tensors(path: &Path, text: String, tensors: &[NamedTensor<'_>]) -> Result<()> {
    let io = |source| CheckpointError::Io { action: "write", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".checkpoint-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(io)?
        .into_temp_path();
    serialize_to_file(
        tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)),
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

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The real numbers of a tensor.
    ///
    /// # Errors
    /// [`CheckpointError::MissingTensor`], [`CheckpointError::NumberType`], [`CheckpointError::Shape`] if it is
    /// not as expected, [`CheckpointError::NotFinite`] if it holds infinities or what is not a number.
    pub fn f32(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
        let values: Vec<f32> =
            bytemuck::pod_collect_to_vec(self.tensor(name, expected, Dtype::F32, "F32")?);
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(CheckpointError::NotFinite {
                path: self.path.clone(),
                tensor: name.to_owned(),
                index,
                found: values[index],
            }),
        }
    }

    /// The counters of a tensor.
    ///
    /// # Errors
    /// As [`f32`](Self::f32).
    pub fn u32(&self, name: &str, expected: &[usize]) -> Result<Vec<u32>> {
        Ok(bytemuck::pod_collect_to_vec(self.tensor(name, expected, Dtype::U32, "U32")?))
    }

    fn tensor(&self, name: &str, expected: &[usize], dtype: Dtype, type_name: &'static str) -> Result<&[u8]> {
        let (path, tensor) = (self.path.clone(), name.to_owned());
        let Some(info) = self.metadata.info(name) else {
            return Err(CheckpointError::MissingTensor { path, tensor, expected: expected.to_vec() });
        };
        if info.dtype != dtype {
            let found = format!("{:?}", info.dtype);
            return Err(CheckpointError::NumberType { path, tensor, expected: type_name, found });
        }
        if info.shape != expected {
            let (expected, found) = (expected.to_vec(), info.shape.clone());
            return Err(CheckpointError::Shape { path, tensor, expected, found });
        }
        let (start, end) = info.data_offsets;
        Ok(&self.bytes[self.data_start + start..self.data_start + end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Vec<NamedTensor<'static>> {
        vec![
            NamedTensor::new("b/weight", &[2, 3], vec![1.0, -2.5, 3.0, f32::MIN_POSITIVE, 0.1, -0.0]),
            NamedTensor::counters("a/steps", &[2], vec![7, u32::MAX]),
            NamedTensor::new("c/scalar", &[], vec![0.3]),
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
        assert_eq!(file.names(), ["a/steps", "b/weight", "c/scalar"]);
        let weight = file.f32("b/weight", &[2, 3]).unwrap();
        let Values::F32(expected) = &tensors()[0].values else { panic!() };
        assert!(weight.iter().zip(expected.iter()).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(file.u32("a/steps", &[2]).unwrap(), [7, u32::MAX]);
        assert_eq!(file.f32("c/scalar", &[]).unwrap(), [0.3]);
        let first = fs::read(&path).unwrap();
        write_tensors(&path, "the text".into(), &tensors()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are left over");
    }

    #[test]
    fn mismatches_name_file_tensor_expected_and_found() {
        let (_folder, path) = written();
        let file = TensorFile::read(&path).unwrap();
        let shape = file.f32("b/weight", &[3, 2]).unwrap_err().to_string();
        assert!(
            shape.ends_with("x.safetensors: tensor `b/weight` has shape [2, 3], expected [3, 2]"),
            "{shape}"
        );
        let kind = file.f32("a/steps", &[2]).unwrap_err().to_string();
        assert!(kind.ends_with("tensor `a/steps` holds U32, expected F32"), "{kind}");
        let missing = file.f32("d", &[1]).unwrap_err().to_string();
        assert!(missing.ends_with("tensor `d` of shape [1] is missing"), "{missing}");
        write_tensors(&path, String::new(), &[NamedTensor::new("n", &[2], vec![1.0, f32::NAN])]).unwrap();
        let nan = TensorFile::read(&path).unwrap().f32("n", &[2]).unwrap_err().to_string();
        assert!(nan.ends_with("tensor `n` holds NaN at index 1"), "{nan}");
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
}
