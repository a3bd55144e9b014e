//! The layers of networks: one file for each kind, and one list.
//!
//! A layer's file holds its settings and its operation. The settings (trait `LayerKind`) are what a table
//! `[[network.layers]]` says; they plan the layer and declare its parameters with their initial values. The operation
//! (trait `LayerOp`) is what a device prepares, forward, backward and memory. A new layer is such a file, its `mod`
//! line and its entry in the list below. The compiler asks for what is missing.

pub mod activation;
pub mod batch_norm;
mod catalogue;
pub mod cf_conv;
pub mod cf_mix;
pub mod complex_activation;
pub mod complex_batch_norm;
mod context;
pub mod conv;
mod defaults;
pub mod depthwise_cf_conv;
pub mod depthwise_conv;
pub mod dropout;
pub mod global_avg_pool;
pub mod group_norm;
mod growth;
mod kernel_layer;
mod kind;
pub mod layer_norm;
pub mod linear;
mod param;
pub mod patch_embed;
pub mod pool;
pub mod position_embedding;
mod prelude;
pub mod self_attention;
pub mod spectral_crop;
pub mod spectral_pool;
pub mod spectrum;
pub mod structure;

pub(super) use context::{Context, LayerName};
pub(super) use growth::Growth;
pub use kind::PlannedBatches;
pub(super) use kind::{LayerMemory, PassWith, Planned, PlannedKernel, PlannedTaps, RunningBlock};
pub(super) use param::{Param, initial_values};

use kind::{LayerKind, LayerOp};
use serde::{Deserialize, Serialize};

use super::error::NetworkError;
use crate::device::{Device, DeviceError};
use crate::nn::{Backward, CfConv2d, Forward};

catalogue::layers! {
    operations {
        /// Continuous Fourier convolution.
        "cf-conv" CfConv(cf_conv::CfConvLayerConfig),
        /// Convolution with k×k weights.
        "conv" Conv(conv::ConvLayerConfig),
        /// Batch normalisation.
        "batch-norm" BatchNorm(batch_norm::BatchNormLayerConfig),
        /// A nonlinear function.
        "activation" Activation(activation::ActivationLayerConfig),
        /// Maximum over windows.
        "max-pool" MaxPool(pool::MaxPoolLayerConfig),
        /// Mean over windows.
        "avg-pool" AvgPool(pool::AvgPoolLayerConfig),
        /// A smaller image from the low frequencies.
        "spectral-pool" SpectralPool(spectral_pool::SpectralPoolLayerConfig),
        /// Mean over all pixels: one feature for each channel.
        "global-avg-pool" GlobalAvgPool(global_avg_pool::GlobalAvgPoolLayerConfig),
        /// Fully connected layer.
        "linear" Linear(linear::LinearLayerConfig),
        /// Sets random values to zero while training.
        "dropout" Dropout(dropout::DropoutLayerConfig),
        /// The half spectrum of an image, orthonormal; the layers from here to `to-image` work on half spectra.
        "to-spectrum" ToSpectrum(spectrum::ToSpectrumLayerConfig),
        /// The image of a half spectrum.
        "to-image" ToImage(spectrum::ToImageLayerConfig),
        /// The channel mix of a continuous Fourier convolution.
        "cf-mix" CfMix(cf_mix::CfMixLayerConfig),
        /// A nonlinear function of complex values.
        "complex-activation" ComplexActivation(complex_activation::ComplexActivationLayerConfig),
        /// Batch normalisation of complex values.
        "complex-batch-norm" ComplexBatchNorm(complex_batch_norm::ComplexBatchNormLayerConfig),
        /// A smaller half spectrum of the low frequencies.
        "spectral-crop" SpectralCrop(spectral_crop::SpectralCropLayerConfig),
        /// Non-overlapping patches, each times one matrix.
        "patch-embed" PatchEmbed(patch_embed::PatchEmbedLayerConfig),
        /// A learned image, added to every image.
        "position-embedding" PositionEmbedding(position_embedding::PositionEmbeddingLayerConfig),
        /// Layer normalisation over the channels of each pixel.
        "layer-norm" LayerNorm(layer_norm::LayerNormLayerConfig),
        /// Group normalisation over the channels of a group and all pixels of an image.
        "group-norm" GroupNorm(group_norm::GroupNormLayerConfig),
        /// Multi-head self-attention between pixels.
        "self-attention" SelfAttention(self_attention::SelfAttentionLayerConfig),
        /// Convolution of each channel with its own k×k weights.
        "depthwise-conv" DepthwiseConv(depthwise_conv::DepthwiseConvLayerConfig),
        /// Continuous Fourier convolution of each channel with its own kernel.
        "depthwise-cf-conv" DepthwiseCfConv(depthwise_cf_conv::DepthwiseCfConvLayerConfig),
    }
    structure {
        /// All values of an image as features, in the order channel, row, column.
        "flatten" Flatten(structure::FlattenLayerConfig),
        /// Adds what a shortcut gives to what some layers give.
        "residual" Residual(structure::ResidualLayerConfig),
    }
}
