//! What can go wrong with networks.

use super::Shape;
use crate::device::DeviceError;

/// Errors of networks. A layer is named by its place in the configuration, such as `layers.2.layers.0`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The network has no layers.
    #[error("network.layers is empty, expected at least one layer")]
    NoLayers,
    /// A layer cannot take what comes before it.
    #[error("network.{layer} ({kind}): got an input of {got}, expected {expected}")]
    LayerInput {
        /// The layer's place.
        layer: String,
        /// The layer's type.
        kind: &'static str,
        /// What the layer takes.
        expected: String,
        /// What it would get.
        got: Shape,
    },
    /// A setting of a layer is out of range.
    #[error("network.{layer} ({kind}): {setting} = {got}, expected {expected}")]
    LayerSetting {
        /// The layer's place.
        layer: String,
        /// The layer's type.
        kind: &'static str,
        /// The setting.
        setting: &'static str,
        /// What is allowed.
        expected: String,
        /// The value.
        got: String,
    },
    /// The table of kernel overrides of a layer does not fit.
    #[error("network.{layer}.kernel: {reason}")]
    KernelOverrides {
        /// The layer's place.
        layer: String,
        /// What the parser says.
        reason: String,
    },
    /// A layer refuses its configuration, or fails.
    #[error("network.{layer} ({kind}): {source}")]
    Layer {
        /// The layer's place.
        layer: String,
        /// The layer's type.
        kind: &'static str,
        /// Why.
        source: Box<DeviceError>,
    },
    /// The branches of a residual block do not meet.
    #[error("network.{layer} (residual): the layers give {main}, the shortcut gives {shortcut}")]
    Branches {
        /// The block's place.
        layer: String,
        /// The shape behind `layers`.
        main: Shape,
        /// The shape behind `shortcut`.
        shortcut: Shape,
    },
    /// The last layer does not give one value for each class.
    #[error("the last layer gives {got}, expected {classes}: one value for each class")]
    Output {
        /// The number of classes.
        classes: usize,
        /// What the last layer gives.
        got: Shape,
    },
    /// A size that must be at least one is zero.
    #[error("{name} must be at least 1, got 0")]
    ZeroSize {
        /// The size.
        name: &'static str,
    },
    /// A batch is empty or larger than planned.
    #[error("{op}: the batch has {got} images, expected 1 to {largest}")]
    Batch {
        /// The operation.
        op: &'static str,
        /// The largest batch planned for.
        largest: usize,
        /// The size of the batch.
        got: usize,
    },
    /// A method was called before the one that prepares for it.
    #[error("{op}: call {needed} first")]
    WrongOrder {
        /// The method called.
        op: &'static str,
        /// The method that must come before it.
        needed: &'static str,
    },
    /// A tensor that the network needs is not there.
    #[error("tensor {name:?} is missing")]
    MissingTensor {
        /// The tensor.
        name: String,
    },
    /// A tensor has another shape or type than the network's.
    #[error("tensor {name:?} is {got}, expected {expected}")]
    TensorMismatch {
        /// The tensor.
        name: String,
        /// What the network needs.
        expected: String,
        /// What it is.
        got: String,
    },
    /// An error of the device outside of any layer.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Results of networks.
pub type Result<T> = std::result::Result<T, NetworkError>;
