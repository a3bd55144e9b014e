//! The table `[network]`.

use cfconv_core::{
    CfConv2dConfig, ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill, PaddingMode, SamplerConfig,
};
use cfconv_mlp::KernelMlpConfig;
use serde::{Deserialize, Serialize};

use super::layers::LayerConfig;

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

fn one() -> f64 {
    1.0
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

    /// What CF-Conv layers share, for layers that have no sizes yet.
    pub(super) fn cf_conv_settings(&self) -> CfConv2dConfig {
        CfConv2dConfig {
            in_channels: 0,
            out_channels: 0,
            height: 0,
            width: 0,
            depthwise: false,
            padding: self.padding,
            padding_share: self.padding_share,
            bias: true,
            mlp: self.kernel.clone(),
            sampler: self.sampler.clone(),
            ema_alpha: self.ema_alpha,
            gradient_scale: self.gradient_scale,
            initial_fill: self.initial_fill,
            evaluation_kernel: self.evaluation_kernel,
            refresh_before_evaluation: self.refresh_before_evaluation,
            algorithm: self.algorithm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn layers_on_half_spectra_survive_a_round_trip_and_refuse_padding() {
        let text = "
            [[layers]]
            type = 'to-spectrum'
            [[layers]]
            type = 'cf-mix'
            out_channels = 4
            gain = 1.0
            kernel = { basis_size = 2 }
            [[layers]]
            type = 'complex-batch-norm'
            statistics = 'radial'
            [[layers]]
            type = 'complex-activation'
            kind = 'phase-gate'
            initial_bias = -1.0
            [[layers]]
            type = 'spectral-crop'
            size = 4
            [[layers]]
            type = 'to-image'";
        let config: NetworkConfig = toml::from_str(text).unwrap();
        let again: NetworkConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
        let kinds: Vec<_> = config.layers.iter().map(LayerConfig::kind).collect();
        let expected = [
            "to-spectrum",
            "cf-mix",
            "complex-batch-norm",
            "complex-activation",
            "spectral-crop",
            "to-image",
        ];
        assert_eq!(kinds, expected);
        for kind in expected {
            // Padding belongs to images.
            let text = format!("[[layers]]\ntype = '{kind}'\npadding = 'zeros'");
            let error = toml::from_str::<NetworkConfig>(&text).unwrap_err().to_string();
            assert!(error.contains("unknown field `padding`"), "{kind}: {error}");
        }
    }
}
