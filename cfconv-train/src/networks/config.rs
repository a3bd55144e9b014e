//! The table `[network]`.

use cfconv_core::{
    CfConv2dConfig, ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill, PaddingMode, SamplerConfig,
};
use cfconv_mlp::KernelMlpConfig;
use serde::{Deserialize, Serialize};

use super::error::{NetworkError, Result};
use super::spectrum_config::{
    CfMixLayerConfig, ComplexActivationLayerConfig, ComplexBatchNormLayerConfig, SpectralCropLayerConfig,
};
use super::token_config::{
    DepthwiseCfConvLayerConfig, DepthwiseConvLayerConfig, LayerNormLayerConfig, PatchEmbedLayerConfig,
    SelfAttentionLayerConfig,
};
use crate::nn::Activation;

/// The table `[network]`: layers, and what all CF-Conv layers share.
///
/// Channels and size of the input and the number of classes come from the data.
///
/// # Examples
/// ```
/// use cfconv_train::networks::{InputShape, NetworkConfig, NetworkPlan};
///
/// let config: NetworkConfig = toml::from_str(
///     "[[layers]]
///      type = 'conv'
///      out_channels = 8
///      [[layers]]
///      type = 'activation'
///      [[layers]]
///      type = 'global-avg-pool'
///      [[layers]]
///      type = 'linear'",
/// )?;
/// let input = InputShape { channels: 3, height: 32, width: 32 };
/// let plan = NetworkPlan::try_new(&config, input, 2)?;
/// // 8 filters of 3×3×3 with bias; 8 features to 2 classes with bias.
/// assert_eq!(plan.num_parameters(), (8 * 27 + 8) + (8 * 2 + 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Weight α of new values in the kernel states. Default: 1.
    #[serde(default = "one")]
    pub ema_alpha: f64,
    /// The factor by which gradients pass to the kernel networks. Default: `ema-alpha`.
    #[serde(default)]
    pub gradient_scale: GradientScale,
    /// The kernel states before the first step. Default: `phi`.
    #[serde(default)]
    pub initial_fill: InitialFill,
    /// The kernels that evaluation uses. Default: `state`.
    #[serde(default)]
    pub evaluation_kernel: EvaluationKernel,
    /// Whether evaluation refreshes a copy of the state first, `polish` in files. Default: false.
    #[serde(rename = "polish", default)]
    pub refresh_before_evaluation: bool,
    /// The algorithm for lattice kernels, `application` in files. Default: `auto`.
    #[serde(rename = "application", default)]
    pub algorithm: ConvAlgorithm,
    /// What lies beyond the border of images for CF-Conv layers. Default: `circular`.
    #[serde(default)]
    pub padding: PaddingMode,
    /// Rows and columns of zeros, as a share of the image's; with less than 1 far taps wrap around. Default: 1.
    #[serde(default = "one")]
    pub padding_share: f64,
    /// The kernel networks.
    #[serde(default)]
    pub kernel: KernelMlpConfig,
    /// The positions that a step visits.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// The layers, first to last.
    pub layers: Vec<LayerConfig>,
}

/// One table `[[network.layers]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerConfig {
    /// Continuous Fourier convolution.
    CfConv(CfConvLayerConfig),
    /// Convolution with k×k weights.
    Conv(ConvLayerConfig),
    /// Batch normalisation.
    BatchNorm(BatchNormLayerConfig),
    /// A nonlinear function.
    Activation(ActivationLayerConfig),
    /// Maximum over windows.
    MaxPool(PoolLayerConfig),
    /// Mean over windows.
    AvgPool(PoolLayerConfig),
    /// A smaller image from the low frequencies.
    SpectralPool(SpectralPoolLayerConfig),
    /// Mean over all pixels: one feature a channel.
    GlobalAvgPool {},
    /// All values of an image as features, in the order channel, row, column.
    Flatten {},
    /// Fully connected layer.
    Linear(LinearLayerConfig),
    /// Sets random values to zero while training.
    Dropout(DropoutLayerConfig),
    /// Adds what a shortcut gives to what some layers give.
    Residual(ResidualLayerConfig),
    /// The half spectrum of an image, orthonormal; the layers from here to `to-image` work on half spectra.
    ToSpectrum {},
    /// The image of a half spectrum.
    ToImage {},
    /// The channel mix of a continuous Fourier convolution.
    CfMix(CfMixLayerConfig),
    /// A nonlinear function of complex values.
    ComplexActivation(ComplexActivationLayerConfig),
    /// Batch normalisation of complex values.
    ComplexBatchNorm(ComplexBatchNormLayerConfig),
    /// A smaller half spectrum of the low frequencies.
    SpectralCrop(SpectralCropLayerConfig),
    /// Non-overlapping patches, each times one matrix.
    PatchEmbed(PatchEmbedLayerConfig),
    /// A learned image, added to every image.
    PositionEmbedding {},
    /// Layer normalisation over the channels of each pixel.
    LayerNorm(LayerNormLayerConfig),
    /// Multi-head self-attention between pixels.
    SelfAttention(SelfAttentionLayerConfig),
    /// Convolution of each channel with its own k×k weights.
    DepthwiseConv(DepthwiseConvLayerConfig),
    /// Continuous Fourier convolution of each channel with its own kernel.
    DepthwiseCfConv(DepthwiseCfConvLayerConfig),
}

impl LayerConfig {
    /// The type's name in configuration files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CfConv(_) => "cf-conv",
            Self::Conv(_) => "conv",
            Self::BatchNorm(_) => "batch-norm",
            Self::Activation(_) => "activation",
            Self::MaxPool(_) => "max-pool",
            Self::AvgPool(_) => "avg-pool",
            Self::SpectralPool(_) => "spectral-pool",
            Self::GlobalAvgPool {} => "global-avg-pool",
            Self::Flatten {} => "flatten",
            Self::Linear(_) => "linear",
            Self::Dropout(_) => "dropout",
            Self::Residual(_) => "residual",
            Self::ToSpectrum {} => "to-spectrum",
            Self::ToImage {} => "to-image",
            Self::CfMix(_) => "cf-mix",
            Self::ComplexActivation(_) => "complex-activation",
            Self::ComplexBatchNorm(_) => "complex-batch-norm",
            Self::SpectralCrop(_) => "spectral-crop",
            Self::PatchEmbed(_) => "patch-embed",
            Self::PositionEmbedding {} => "position-embedding",
            Self::LayerNorm(_) => "layer-norm",
            Self::SelfAttention(_) => "self-attention",
            Self::DepthwiseConv(_) => "depthwise-conv",
            Self::DepthwiseCfConv(_) => "depthwise-cf-conv",
        }
    }
}

/// A layer of type `cf-conv`. Every optional field but `bias` stands in for the field of the same name in
/// `[network]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CfConvLayerConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Whether a learned constant is added to each channel; none is needed before batch normalisation.
    /// Default: true.
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

/// A layer of type `conv`: stride 1, output as large as the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvLayerConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Rows and columns of the kernel; odd. Default: 3.
    #[serde(default = "three")]
    pub kernel_size: usize,
    /// What lies beyond the border. Default: `zeros`.
    #[serde(default = "zeros")]
    pub padding: PaddingMode,
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// A layer of type `batch-norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormLayerConfig {
    /// Weight of a batch in the running statistics. Default: 0.1.
    pub momentum: f64,
    /// What is added to variances. Default: 1e-5.
    pub epsilon: f64,
}

impl Default for BatchNormLayerConfig {
    fn default() -> Self {
        Self { momentum: 0.1, epsilon: 1e-5 }
    }
}

/// A layer of type `activation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActivationLayerConfig {
    /// The function. Default: `relu`.
    pub kind: Activation,
}

/// A layer of type `max-pool` or `avg-pool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolLayerConfig {
    /// Rows and columns of a window. Default: 2.
    #[serde(default = "two")]
    pub size: usize,
    /// Pixels from one window to the next. Default: `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
}

impl PoolLayerConfig {
    /// Pixels from one window to the next.
    pub fn stride(&self) -> usize {
        self.stride.unwrap_or(self.size)
    }
}

/// A layer of type `spectral-pool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralPoolLayerConfig {
    /// Rows and columns of the output.
    pub size: usize,
}

/// A layer of type `linear`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearLayerConfig {
    /// Output features. Default: the number of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_features: Option<usize>,
    /// Whether a learned constant is added to each feature. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// A layer of type `dropout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropoutLayerConfig {
    /// Share of the values that are set to zero, in [0, 1).
    pub rate: f64,
}

/// A layer of type `residual`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualLayerConfig {
    /// The main branch.
    pub layers: Vec<LayerConfig>,
    /// The other branch. Default: none, the input itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerConfig>,
}

pub(super) fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn two() -> usize {
    2
}

pub(super) fn three() -> usize {
    3
}

pub(super) fn zeros() -> PaddingMode {
    PaddingMode::Zeros
}

impl NetworkConfig {
    /// A network of these layers with the defaults for everything else.
    pub fn new(layers: Vec<LayerConfig>) -> Self {
        Self {
            ema_alpha: one(),
            gradient_scale: GradientScale::default(),
            initial_fill: InitialFill::default(),
            evaluation_kernel: EvaluationKernel::default(),
            refresh_before_evaluation: false,
            algorithm: ConvAlgorithm::default(),
            padding: PaddingMode::default(),
            padding_share: one(),
            kernel: KernelMlpConfig::default(),
            sampler: SamplerConfig::default(),
            layers,
        }
    }

    /// The full configuration of one CF-Conv layer.
    pub(super) fn cf_conv(
        &self,
        place: &str,
        layer: &CfConvLayerConfig,
        (in_channels, height, width): (usize, usize, usize),
    ) -> Result<CfConv2dConfig> {
        Ok(CfConv2dConfig {
            in_channels,
            out_channels: layer.out_channels,
            height,
            width,
            depthwise: false,
            padding: layer.padding.unwrap_or(self.padding),
            padding_share: layer.padding_share.unwrap_or(self.padding_share),
            bias: layer.bias,
            mlp: self.kernel_with(place, &layer.kernel)?,
            sampler: layer.sampler.clone().unwrap_or_else(|| self.sampler.clone()),
            ema_alpha: layer.ema_alpha.unwrap_or(self.ema_alpha),
            gradient_scale: layer.gradient_scale.unwrap_or(self.gradient_scale),
            initial_fill: layer.initial_fill.unwrap_or(self.initial_fill),
            evaluation_kernel: layer.evaluation_kernel.unwrap_or(self.evaluation_kernel),
            refresh_before_evaluation: layer
                .refresh_before_evaluation
                .unwrap_or(self.refresh_before_evaluation),
            algorithm: layer.algorithm.unwrap_or(self.algorithm),
        })
    }

    fn kernel_with(&self, place: &str, overrides: &toml::Table) -> Result<KernelMlpConfig> {
        if overrides.is_empty() {
            return Ok(self.kernel.clone());
        }
        let refused = |reason: String| NetworkError::KernelOverrides { layer: place.to_owned(), reason };
        let mut merged = toml::Table::try_from(&self.kernel).map_err(|error| refused(error.to_string()))?;
        merged.extend(overrides.clone());
        merged.try_into().map_err(|error| refused(error.to_string().trim_end().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_change_only_the_fields_they_name() {
        let config: NetworkConfig = toml::from_str(
            "ema_alpha = 0.5
             [kernel]
             hidden_width = 48
             omega_frequency = 8
             [[layers]]
             type = 'cf-conv'
             out_channels = 4
             padding = 'zeros'
             kernel = { hidden_width = 16 }
             [[layers]]
             type = 'cf-conv'
             out_channels = 5
             ema_alpha = 1.0",
        )
        .unwrap();
        let resolve = |index: usize| match &config.layers[index] {
            LayerConfig::CfConv(layer) => config.cf_conv("layers.0", layer, (3, 8, 9)).unwrap(),
            other => panic!("{other:?}"),
        };
        let (first, second) = (resolve(0), resolve(1));
        assert_eq!((first.mlp.hidden_width, first.mlp.omega_frequency), (16, 8.0));
        assert_eq!((first.padding, first.ema_alpha), (PaddingMode::Zeros, 0.5));
        assert_eq!((second.mlp.hidden_width, second.ema_alpha), (48, 1.0));
        assert_eq!((second.in_channels, second.height, second.width), (3, 8, 9));
    }

    #[test]
    fn unknown_keys_are_refused_everywhere() {
        for text in [
            "layer = []\nlayers = []",
            "[[layers]]\ntype = 'conv'\nout_channels = 4\nkernelsize = 3",
            "[[layers]]\ntype = 'flatten'\nsize = 3",
            "[[layers]]\ntype = 'convolution'\nout_channels = 4",
            "[[layers]]\ntype = 'residual'\nlayers = [{ type = 'conv', out = 3 }]",
            "[kernel]\nwidth = 3\n[[layers]]\ntype = 'flatten'",
        ] {
            assert!(toml::from_str::<NetworkConfig>(text).is_err(), "{text}");
        }
        let config: NetworkConfig =
            toml::from_str("[[layers]]\ntype = 'cf-conv'\nout_channels = 4\nkernel = { hidden_widht = 3 }")
                .unwrap();
        let LayerConfig::CfConv(layer) = &config.layers[0] else { panic!("not a cf-conv") };
        let error = config.cf_conv("layers.0", layer, (1, 4, 4)).unwrap_err().to_string();
        assert!(error.contains("layers.0") && error.contains("hidden_widht"), "{error}");
    }

    #[test]
    fn configurations_survive_a_round_trip() {
        let text = "padding = 'zeros'
            [kernel]
            parameterization = 'shared-basis'
            [sampler]
            kind = 'lattice'
            size = 3
            [[layers]]
            type = 'residual'
            shortcut = [{ type = 'conv', out_channels = 4, kernel_size = 1 }]
            [[layers.layers]]
            type = 'cf-conv'
            out_channels = 4
            kernel = { basis_size = 2 }
            [[layers]]
            type = 'max-pool'
            [[layers]]
            type = 'global-avg-pool'
            [[layers]]
            type = 'dropout'
            rate = 0.25
            [[layers]]
            type = 'linear'";
        let config: NetworkConfig = toml::from_str(text).unwrap();
        let again: NetworkConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NetworkConfig>(&json).unwrap(), config);
    }
}
