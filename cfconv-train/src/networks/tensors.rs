//! Everything a network must remember, as named tensors for checkpoints.

use super::error::{NetworkError, Result};
use super::network::Network;
use super::plan::PlannedLayer;
use crate::device::{Buffer, Device, Span, SpanMut};
use crate::nn::CfConv2dState;

/// What the names of the states of a layer with a kernel network end in.
pub(crate) const KERNEL_STATE: &str = ".kernel_state";
pub(crate) const REFRESH_HISTORY: &str = ".refresh_history";
const OUTPUT_SCALE: &str = ".output_scale";

/// The values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorValues {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Unsigned integers.
    U64(Vec<u64>),
}

impl TensorValues {
    fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::U64(_) => "u64",
        }
    }
}

/// A tensor with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The name, unique within a network.
    pub name: String,
    /// The shape, last index contiguous.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub values: TensorValues,
}

impl NamedTensor {
    fn mismatch(&self, expected: String) -> NetworkError {
        NetworkError::TensorMismatch {
            name: self.name.clone(),
            expected,
            got: format!("{} {:?}", self.values.kind(), self.shape),
        }
    }
}

impl<D: Device> Network<D> {
    /// The values of a buffer that has one value for each parameter (parameters, moments of an optimiser,
    /// averages), cut into its segments. Names are `{prefix}{segment}`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn export_segments(&self, prefix: &str, buffer: &Buffer<D>) -> Result<Vec<NamedTensor>> {
        let host = self.device.to_host(Span::new(buffer, 0..self.plan.num_parameters()))?;
        Ok(self
            .plan
            .segments()
            .iter()
            .map(|segment| NamedTensor {
                name: format!("{prefix}{}", segment.name),
                shape: segment.shape.clone(),
                values: TensorValues::F32(host[segment.range.clone()].to_vec()),
            })
            .collect())
    }

    /// Fills a buffer from what [`export_segments`](Self::export_segments) gave; other tensors are passed over.
    ///
    /// # Errors
    /// [`NetworkError::MissingTensor`], [`NetworkError::TensorMismatch`].
    pub fn import_segments(
        &self,
        prefix: &str,
        tensors: &[NamedTensor],
        buffer: &mut Buffer<D>,
    ) -> Result<()> {
        let mut host = vec![0.0; self.plan.num_parameters()];
        for segment in self.plan.segments() {
            let values = find_f32(tensors, &format!("{prefix}{}", segment.name), &segment.shape)?;
            host[segment.range.clone()].copy_from_slice(values);
        }
        let len = host.len();
        Ok(self.device.upload(&host, SpanMut::new(buffer, 0..len))?)
    }

    /// The parameters.
    ///
    /// # Errors
    /// What the device reports.
    pub fn export_parameters(&self) -> Result<Vec<NamedTensor>> {
        self.export_segments("", &self.params)
    }

    /// Restores the parameters.
    ///
    /// # Errors
    /// As for [`import_segments`](Self::import_segments).
    pub fn import_parameters(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let mut params = self.device.alloc(self.plan.num_parameters())?;
        self.import_segments("", tensors, &mut params)?;
        self.params = params;
        Ok(())
    }

    /// Whether the parameters or the states of the network have a tensor of this name.
    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        let is_state = |layer: &PlannedLayer| {
            let Some(rest) = name.strip_prefix(&layer.name) else { return false };
            let kernel = [KERNEL_STATE, REFRESH_HISTORY, OUTPUT_SCALE];
            layer.kernel.is_some() && kernel.contains(&rest)
                || layer.running_blocks.iter().any(|block| rest.strip_prefix('.') == Some(block.name))
        };
        self.plan.segments().iter().any(|segment| segment.name == name)
            || self.plan.layers.iter().any(is_state)
    }

    /// Everything but the parameters: running statistics as `{layer}.running_mean`, `.running_var` and, for complex
    /// values, `.running_cov`; kernel states as `{layer}.kernel_state` (complex values as pairs), `.refresh_history`
    /// and `.output_scale`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn export_states(&self) -> Result<Vec<NamedTensor>> {
        let mut tensors = self.export_running("", &self.running)?;
        for layer in &self.layers {
            let name = &layer.plan.name;
            if let Some(cf_conv) = layer.cf_conv() {
                let state = cf_conv.state().map_err(|source| Self::layer_error(&layer.plan, source))?;
                tensors.push(NamedTensor {
                    name: format!("{name}{KERNEL_STATE}"),
                    shape: vec![state.values.len() / 2, 2],
                    values: TensorValues::F32(state.values),
                });
                tensors.push(NamedTensor {
                    name: format!("{name}{REFRESH_HISTORY}"),
                    shape: vec![state.history.len()],
                    values: TensorValues::U64(state.history),
                });
                tensors.push(NamedTensor {
                    name: format!("{name}{OUTPUT_SCALE}"),
                    shape: vec![1],
                    values: TensorValues::F64(vec![state.output_scale]),
                });
            }
        }
        Ok(tensors)
    }

    /// Restores what [`export_states`](Self::export_states) gave.
    ///
    /// # Errors
    /// [`NetworkError::MissingTensor`], [`NetworkError::TensorMismatch`], or what a layer reports.
    pub fn import_states(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let mut running = self.device.alloc(self.plan.running_len)?;
        self.import_running("", tensors, &mut running)?;
        self.running = running;
        for layer in &mut self.layers {
            let name = layer.plan.name.clone();
            let Some(cf_conv) = layer.cf_conv_mut() else { continue };
            let shape = [cf_conv.num_positions(), 2];
            let values = find_f32(tensors, &format!("{name}{KERNEL_STATE}"), &shape)?.to_vec();
            let history = find(tensors, &format!("{name}{REFRESH_HISTORY}"))?;
            let TensorValues::U64(words) = &history.values else {
                return Err(history.mismatch("u64".to_owned()));
            };
            let scale = find(tensors, &format!("{name}{OUTPUT_SCALE}"))?;
            let output_scale = match &scale.values {
                TensorValues::F64(values) if values.len() == 1 => values[0],
                _ => return Err(scale.mismatch("f64 [1]".to_owned())),
            };
            let state = CfConv2dState { values, history: words.clone(), output_scale };
            let outcome = cf_conv.load_state(&state);
            outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
        }
        self.forget_phase();
        Ok(())
    }

    /// Running statistics, or averages of them, as named tensors.
    ///
    /// # Errors
    /// What the device reports.
    pub fn export_running(&self, prefix: &str, buffer: &Buffer<D>) -> Result<Vec<NamedTensor>> {
        let host = self.device.to_host(Span::new(buffer, 0..self.plan.running_len))?;
        let mut tensors = Vec::new();
        for layer in &self.layers {
            let mut rest = &host[layer.plan.running.clone()];
            for block in &layer.plan.running_blocks {
                let (values, after) = rest.split_at(block.len);
                rest = after;
                tensors.push(NamedTensor {
                    name: format!("{prefix}{}.{}", layer.plan.name, block.name),
                    shape: vec![block.len],
                    values: TensorValues::F32(values.to_vec()),
                });
            }
        }
        Ok(tensors)
    }

    /// Fills a buffer from what [`export_running`](Self::export_running) gave.
    ///
    /// # Errors
    /// [`NetworkError::MissingTensor`], [`NetworkError::TensorMismatch`].
    pub fn import_running(
        &self,
        prefix: &str,
        tensors: &[NamedTensor],
        buffer: &mut Buffer<D>,
    ) -> Result<()> {
        let mut host = vec![0.0; self.plan.running_len];
        for layer in &self.layers {
            let mut rest = &mut host[layer.plan.running.clone()];
            for block in &layer.plan.running_blocks {
                let (target, after) = rest.split_at_mut(block.len);
                rest = after;
                let name = format!("{prefix}{}.{}", layer.plan.name, block.name);
                target.copy_from_slice(find_f32(tensors, &name, &[block.len])?);
            }
        }
        let len = host.len();
        Ok(self.device.upload(&host, SpanMut::new(buffer, 0..len))?)
    }
}

fn find<'a>(tensors: &'a [NamedTensor], name: &str) -> Result<&'a NamedTensor> {
    tensors
        .iter()
        .find(|tensor| tensor.name == name)
        .ok_or_else(|| NetworkError::MissingTensor { name: name.to_owned() })
}

fn find_f32<'a>(tensors: &'a [NamedTensor], name: &str, shape: &[usize]) -> Result<&'a [f32]> {
    let tensor = find(tensors, name)?;
    match &tensor.values {
        TensorValues::F32(values)
            if tensor.shape == shape && values.len() == shape.iter().product::<usize>() =>
        {
            Ok(values)
        }
        _ => Err(tensor.mismatch(format!("f32 {shape:?}"))),
    }
}
