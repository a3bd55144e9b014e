//! Operands and results of one step in a file, for a peer that computes the results again.

use std::path::Path;

use anyhow::{Result, ensure};
use cfconv_train::checkpoint::write_tensors;
use cfconv_train::networks::{NamedTensor, TensorValues};
use num_complex::Complex;

/// Named tensors of one step. Layouts are those of the engine: activations `[C, H, W, B]`, complex values as
/// pairs along a last axis.
#[derive(Debug, Default)]
pub struct Dump(Vec<NamedTensor>);

impl Dump {
    pub(crate) fn real(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        self.push(name, shape, TensorValues::F32(values.to_vec()));
    }

    pub(crate) fn complex(&mut self, name: &str, shape: &[usize], values: &[Complex<f32>]) {
        let pairs = values.iter().flat_map(|value| [value.re, value.im]).collect();
        self.push(name, &[shape, &[2]].concat(), TensorValues::F32(pairs));
    }

    pub(crate) fn indices(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let values: Vec<u64> = values.collect();
        self.push(name, &[values.len()], TensorValues::U64(values));
    }

    pub(crate) fn scalar(&mut self, name: &str, value: f64) {
        self.push(name, &[1], TensorValues::F64(vec![value]));
    }

    /// Takes tensors in, with `prefix` before their names.
    pub(crate) fn extend(&mut self, prefix: &str, tensors: &[NamedTensor]) {
        let named =
            |tensor: &NamedTensor| NamedTensor { name: format!("{prefix}{}", tensor.name), ..tensor.clone() };
        // The refresh history tells how to draw positions again; the positions themselves are here.
        self.0.extend(tensors.iter().filter(|t| !t.name.ends_with("refresh_history")).map(named));
    }

    fn push(&mut self, name: &str, shape: &[usize], values: TensorValues) {
        self.0.push(NamedTensor { name: name.to_owned(), shape: shape.to_vec(), values });
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    /// There is nothing to write, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        ensure!(!self.0.is_empty(), "{}: there is nothing to write", path.display());
        Ok(write_tensors(path, env!("CARGO_PKG_VERSION").to_owned(), &self.0)?)
    }
}
