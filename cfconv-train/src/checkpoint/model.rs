//! Networks as files.

use std::path::Path;

use super::container::{TensorFile, write_tensors};
use super::error::{CheckpointError, Result};
use super::metadata::{Kind, Metadata};

use crate::averaging::WeightAverage;
use crate::data::CHANNELS;
use crate::device::Device;
use crate::networks::{
    InputShape, KERNEL_STATE, NamedTensor, Network, NetworkError, REFRESH_HISTORY, TensorValues,
};
use crate::nn::KernelSource;
use crate::optim::{OptimError, Optimizer};

const AVERAGE: &str = "average.";
const OPTIMIZER: &str = "optimizer.";

/// A network ready to be evaluated, and what its file says about it.
pub struct Model<D: Device> {
    /// What the file says.
    pub metadata: Metadata,
    /// The network, after [`Network::begin_evaluation`].
    pub network: Network<D>,
    /// The kernels that the evaluation was begun with.
    pub kernels: KernelSource,
}

/// Reads the network of a checkpoint of either kind and prepares it for evaluating batches of up to `max_batch`
/// images.
///
/// Of a run with averaged weights the averages are taken. A file without kernel states, which averages do not
/// need, evaluates Φ at every position.
///
/// # Errors
/// A [`CheckpointError`] that names the file and what is wrong with it.
pub fn load_model<D: Device>(device: D, path: &Path, max_batch: usize) -> Result<Model<D>> {
    let file = TensorFile::read(path)?;
    let metadata = Metadata::read(&file)?;
    model_of(device, file, metadata, max_batch)
}

/// The network of a file whose metadata has been read.
fn model_of<D: Device>(
    device: D,
    file: TensorFile,
    metadata: Metadata,
    max_batch: usize,
) -> Result<Model<D>> {
    let path = file.path().to_owned();
    let broken = |source| network_error(&path, source);
    let input = input_shape(&metadata);
    let classes = metadata.class_names.len();
    let mut network =
        Network::try_new(device, &metadata.config.network, input, classes, max_batch).map_err(broken)?;
    let kernels = install_model(&mut network, &metadata, file)?;
    Ok(Model { metadata, network, kernels })
}

/// As [`load_model`], for images of `size` rows and columns in place of those of the training; the same size loads
/// the network as it is.
///
/// # Errors
/// As [`load_model`], and for layers that cannot take other sizes.
pub fn load_model_at<D: Device + Clone>(
    device: D,
    path: &Path,
    max_batch: usize,
    size: usize,
) -> Result<Model<D>> {
    let file = TensorFile::read(path)?;
    let metadata = Metadata::read(&file)?;
    let old = metadata.config.data.size;
    if size == old {
        return model_of(device, file, metadata, max_batch);
    }
    // Of the network as it was trained only weights and kernels are wanted: it sees no images.
    let trained = model_of(device.clone(), file, metadata, 1)?;
    let broken = |source| network_error(path, source);
    let config = trained.metadata.config.network.resized(old, size).map_err(broken)?;
    let input = InputShape { channels: CHANNELS, height: size, width: size };
    let classes = trained.metadata.class_names.len();
    let mut network = Network::try_new(device, &config, input, classes, max_batch).map_err(broken)?;
    network.begin_transferred_evaluation(&trained.network).map_err(broken)?;
    Ok(Model { network, ..trained })
}

/// The images that a checkpoint's network takes.
pub fn input_shape(metadata: &Metadata) -> InputShape {
    let size = metadata.config.data.size;
    InputShape { channels: CHANNELS, height: size, width: size }
}

/// Puts the weights of `file`, whose metadata is `metadata`, into a network of the same shape and begins an
/// evaluation.
///
/// # Errors
/// [`CheckpointError::Network`] and [`CheckpointError::UnexpectedTensor`].
pub(crate) fn install_model<D: Device>(
    network: &mut Network<D>,
    metadata: &Metadata,
    file: TensorFile,
) -> Result<KernelSource> {
    let path = file.path().to_owned();
    let broken = |source| network_error(&path, source);
    let mut tensors = file.tensors()?;
    drop(file);
    tensors.retain(|tensor| !tensor.name.starts_with(OPTIMIZER));
    let averaged = tensors.iter().any(|tensor| tensor.name.starts_with(AVERAGE));
    if averaged {
        let replaced: Vec<String> = tensors
            .iter()
            .filter_map(|tensor| tensor.name.strip_prefix(AVERAGE).map(str::to_owned))
            .collect();
        tensors.retain(|tensor| !replaced.contains(&tensor.name) && tensor.name != "average.updates");
        for tensor in &mut tensors {
            if let Some(name) = tensor.name.strip_prefix(AVERAGE) {
                tensor.name = name.to_owned();
            }
        }
    }
    if let Some(unknown) = tensors.iter().find(|tensor| !network.has_tensor(&tensor.name)) {
        return Err(CheckpointError::UnexpectedTensor { path, tensor: unknown.name.clone() });
    }
    let no_state = add_missing_states(network, &mut tensors);
    network.import_parameters(&tensors).map_err(broken)?;
    network.import_states(&tensors).map_err(broken)?;
    let other = averaged || metadata.averaged || no_state;
    let kernels = if other { KernelSource::Dense } else { KernelSource::Configured };
    network.begin_evaluation(kernels).map_err(broken)?;
    Ok(kernels)
}

/// Stands in for kernel states that the file leaves out; says whether it left out any.
fn add_missing_states<D: Device>(network: &Network<D>, tensors: &mut Vec<NamedTensor>) -> bool {
    let mut missing = false;
    for (layer, num_positions) in network.plan().kernels() {
        let (name, history) = (format!("{layer}{KERNEL_STATE}"), format!("{layer}{REFRESH_HISTORY}"));
        if tensors.iter().any(|tensor| tensor.name == name) {
            continue;
        }
        missing = true;
        tensors.retain(|tensor| tensor.name != history);
        let values = TensorValues::F32(vec![0.0; 2 * num_positions]);
        tensors.push(NamedTensor { name, shape: vec![num_positions, 2], values });
        tensors.push(NamedTensor { name: history, shape: vec![0], values: TensorValues::U64(Vec::new()) });
    }
    missing
}

/// Writes the weights that evaluations use as a model.
///
/// # Errors
/// [`CheckpointError::Io`], or what the network reports.
pub(crate) fn save_model<D: Device>(
    path: &Path,
    metadata: &Metadata,
    network: &mut Network<D>,
    average: Option<&mut WeightAverage<D>>,
) -> Result<()> {
    let broken = |source| network_error(path, source);
    let export = |network: &Network<D>| {
        let mut tensors = network.export_parameters()?;
        tensors.extend(network.export_states()?);
        Ok(tensors)
    };
    let tensors = match average {
        Some(average) => {
            average.swap(network);
            let exported = export(network);
            average.swap(network);
            let mut tensors = exported.map_err(broken)?;
            // The states belong to the trained weights, not to their average.
            remove_kernel_states(&mut tensors);
            tensors
        }
        None => export(network).map_err(broken)?,
    };
    write_tensors(path, text(path, metadata)?, &tensors)
}

fn remove_kernel_states(tensors: &mut Vec<NamedTensor>) {
    tensors.retain(|tensor| !tensor.name.ends_with(KERNEL_STATE) && !tensor.name.ends_with(REFRESH_HISTORY));
}

/// Writes the weights that evaluations of the checkpoint `path` use as a model to pass on. Returns what the new file
/// says about itself. The file holds no kernel states, because loading evaluates Φ again, and not the place of the
/// training's images.
///
/// # Errors
/// As [`load_model`], and [`CheckpointError::Io`].
pub fn export_model<D: Device>(device: D, path: &Path, out: &Path) -> Result<Metadata> {
    let Model { mut metadata, network, .. } = load_model(device, path, 1)?;
    let broken = |source| network_error(path, source);
    let mut tensors = network.export_parameters().map_err(broken)?;
    tensors.extend(network.export_states().map_err(broken)?);
    remove_kernel_states(&mut tensors);
    metadata.averaged |= metadata.kind == Kind::Training && metadata.config.average.is_some();
    if let Some(progress) = metadata.progress.take() {
        metadata.validation = progress.validation;
    }
    metadata.kind = Kind::Model;
    metadata.config.data.path = None;
    write_tensors(out, text(out, &metadata)?, &tensors)?;
    Ok(metadata)
}

/// Writes the whole state of a run.
///
/// # Errors
/// [`CheckpointError::Io`], or what the network reports.
pub(crate) fn save_training<D: Device>(
    path: &Path,
    metadata: &Metadata,
    network: &Network<D>,
    optimizer: &Optimizer<D>,
    average: Option<&WeightAverage<D>>,
) -> Result<()> {
    let broken = |source| network_error(path, source);
    let mut tensors = network.export_parameters().map_err(broken)?;
    tensors.extend(network.export_states().map_err(broken)?);
    tensors.extend(optimizer.export(network).map_err(|error| optimizer_error(path, error))?);
    if let Some(average) = average {
        tensors.extend(average.export(network).map_err(broken)?);
    }
    write_tensors(path, text(path, metadata)?, &tensors)
}

/// Restores the whole state of a run.
///
/// # Errors
/// [`CheckpointError::ModelOnly`] and [`CheckpointError::Network`].
pub(crate) fn load_training<D: Device>(
    file: TensorFile,
    metadata: &Metadata,
    network: &mut Network<D>,
    optimizer: &mut Optimizer<D>,
    average: Option<&mut WeightAverage<D>>,
) -> Result<()> {
    let path = file.path().to_owned();
    if metadata.kind != Kind::Training || metadata.progress.is_none() {
        return Err(CheckpointError::ModelOnly { path });
    }
    let broken = |source| network_error(&path, source);
    let tensors = file.tensors()?;
    drop(file);
    network.import_parameters(&tensors).map_err(broken)?;
    network.import_states(&tensors).map_err(broken)?;
    optimizer.import(network, &tensors).map_err(|error| optimizer_error(&path, error))?;
    if let Some(average) = average {
        average.import(network, &tensors).map_err(broken)?;
    }
    Ok(())
}

fn text(path: &Path, metadata: &Metadata) -> Result<String> {
    metadata.to_json().map_err(|error| CheckpointError::Io {
        action: "write",
        path: path.to_owned(),
        source: error.into(),
    })
}

fn network_error(path: &Path, source: NetworkError) -> CheckpointError {
    CheckpointError::Network { path: path.to_owned(), source: Box::new(source) }
}

fn optimizer_error(path: &Path, error: OptimError) -> CheckpointError {
    match error {
        OptimError::Network(source) => network_error(path, source),
        OptimError::Device(source) => network_error(path, source.into()),
        other => CheckpointError::Damaged { path: path.to_owned(), reason: other.to_string() },
    }
}
