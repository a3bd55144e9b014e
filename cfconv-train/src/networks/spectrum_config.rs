//! Layers of networks that stay in the frequency domain: tables `[[network.layers]]`.

use cfconv_core::engine::PaddingMode;
use cfconv_core::{ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill, SamplerConfig};
use serde::{Deserialize, Serialize};

use super::config::CfConvLayerConfig;
use crate::nn::{ComplexActivation, SpectrumStatistics};

/// A layer of type `cf-mix`: the channel mix of `cf-conv` between half spectra. Every optional field stands in for the
/// field of the same name in `[network]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CfMixLayerConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Whether a learned constant is added to each channel's image: a value at the zero frequency.
    /// Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Output variance at initialisation for white noise of unit variance. Default: 2, as for `cf-conv`.
    #[serde(default = "two")]
    pub gain: f64,
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
    /// Fields of `[network.kernel]` that differ in this layer.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub kernel: toml::Table,
    /// The positions that a step visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerConfig>,
}

impl CfMixLayerConfig {
    /// The layer of type `cf-conv` with the same kernel: padding is circular, and there is no choice of form.
    pub(super) fn as_cf_conv(&self) -> CfConvLayerConfig {
        CfConvLayerConfig {
            out_channels: self.out_channels,
            bias: self.bias,
            padding: Some(PaddingMode::Circular),
            padding_share: Some(1.0),
            ema_alpha: self.ema_alpha,
            gradient_scale: self.gradient_scale,
            initial_fill: self.initial_fill,
            evaluation_kernel: self.evaluation_kernel,
            refresh_before_evaluation: self.refresh_before_evaluation,
            algorithm: Some(ConvAlgorithm::Auto),
            kernel: self.kernel.clone(),
            sampler: self.sampler.clone(),
        }
    }
}

/// A layer of type `complex-activation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexActivationLayerConfig {
    /// The function. Default: `modrelu`.
    pub kind: ComplexActivation,
    /// The learned bias of `modrelu` and `phase-gate` before the first step; refused for other functions.
    /// Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_bias: Option<f64>,
}

/// A layer of type `complex-batch-norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexBatchNormLayerConfig {
    /// The values that share a mean and a covariance. Default: `channel`.
    pub statistics: SpectrumStatistics,
    /// Weight of a batch in the running statistics. Default: 0.1.
    pub momentum: f64,
    /// What is added to variances. Default: 1e-5.
    pub epsilon: f64,
}

impl Default for ComplexBatchNormLayerConfig {
    fn default() -> Self {
        Self { statistics: SpectrumStatistics::default(), momentum: 0.1, epsilon: 1e-5 }
    }
}

/// A layer of type `spectral-crop`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralCropLayerConfig {
    /// Rows and columns of the image that the smaller half spectrum belongs to.
    pub size: usize,
}

fn yes() -> bool {
    true
}

fn two() -> f64 {
    2.0
}

#[cfg(test)]
mod tests {
    use crate::networks::{LayerConfig, NetworkConfig};

    #[test]
    fn layers_survive_a_round_trip_and_refuse_unknown_keys() {
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
