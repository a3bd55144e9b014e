//! Layers of networks that work on tokens: patches of an image, laid out as the pixels of a smaller one.

use cfconv_core::{ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill, PaddingMode, SamplerConfig};
use serde::{Deserialize, Serialize};

use super::config::{CfConvLayerConfig, three, yes, zeros};

/// A layer of type `patch-embed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchEmbedLayerConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Rows and columns of a patch; the image is a whole number of patches.
    pub size: usize,
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// A layer of type `layer-norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNormLayerConfig {
    /// What is added to variances. Default: 1e-6.
    pub epsilon: f64,
}

impl Default for LayerNormLayerConfig {
    fn default() -> Self {
        Self { epsilon: 1e-6 }
    }
}

/// A layer of type `self-attention`: every pixel attends to all pixels of its image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfAttentionLayerConfig {
    /// Heads, which divide the channels.
    pub heads: usize,
    /// Whether learned constants are added behind both projections. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// A layer of type `depthwise-conv`: stride 1, output as large as the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseConvLayerConfig {
    /// Rows and columns of the kernels; odd. Default: 3.
    #[serde(default = "three")]
    pub kernel_size: usize,
    /// What lies beyond the border. Default: `zeros`.
    #[serde(default = "zeros")]
    pub padding: PaddingMode,
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// A layer of type `depthwise-cf-conv`: one kernel a channel, Φ(h, w, c). Every optional field but `bias` stands in
/// for the field of the same name in `[network]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseCfConvLayerConfig {
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// What lies beyond the border.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingMode>,
    /// Rows and columns of zeros, as a share of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_share: Option<f64>,
    /// Weight α of new values in the kernel state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_alpha: Option<f64>,
    /// The factor by which gradients pass to the kernel network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_scale: Option<GradientScale>,
    /// The kernel state before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_fill: Option<InitialFill>,
    /// The kernel that evaluation uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_kernel: Option<EvaluationKernel>,
    /// Whether evaluation refreshes a copy of the state first, `polish` in files.
    #[serde(rename = "polish", default, skip_serializing_if = "Option::is_none")]
    pub refresh_before_evaluation: Option<bool>,
    /// The algorithm for a lattice kernel, `application` in files.
    #[serde(rename = "application", default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<ConvAlgorithm>,
    /// Fields of `[network.kernel]` that differ in this layer.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub kernel: toml::Table,
    /// The positions that a step visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerConfig>,
}

impl DepthwiseCfConvLayerConfig {
    /// The layer with the same settings that mixes channels.
    pub(super) fn with_out_channels(&self, out_channels: usize) -> CfConvLayerConfig {
        let Self {
            bias,
            padding,
            padding_share,
            ema_alpha,
            gradient_scale,
            initial_fill,
            evaluation_kernel,
            refresh_before_evaluation,
            algorithm,
            kernel,
            sampler,
        } = self.clone();
        CfConvLayerConfig {
            out_channels,
            bias,
            padding,
            padding_share,
            ema_alpha,
            gradient_scale,
            initial_fill,
            evaluation_kernel,
            refresh_before_evaluation,
            algorithm,
            kernel,
            sampler,
        }
    }
}
