//! What a kernel MLP looks like: every choice, with its default.

use serde::{Deserialize, Serialize};

use crate::{MlpError, Parameterization, Result};

/// The nonlinear function of the hidden layers, applied to pre-activations z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// sin z (SIREN).
    #[default]
    Sine,
    /// `z·σ(√(8/π)·(z + 0.044715·z³))`, the tanh form of GELU.
    Gelu,
    /// max(z, 0), with derivative 0 at 0.
    Relu,
    /// tanh z.
    Tanh,
    /// `cos z · exp(−z²/8)`: a wave under a Gaussian window of standard deviation 2.
    Gabor,
}

/// Where omega acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OmegaMode {
    /// The initial weights of the first layer are omega times larger.
    #[default]
    Folded,
    /// The coordinates are multiplied by omega at each evaluation. The function at initialisation is the
    /// same as with `Folded`; a step of the optimiser moves it omega times further.
    Multiplier,
}

/// The values that coordinates take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrequencyGrid {
    /// Twice the frequency in cycles per sample: rows [−1, 1) in fftfreq order, columns [0, 1]. Channels are
    /// spread over [−1, 1]. Φ is smooth across the zero frequency, and a coordinate means the same frequency
    /// at every image size.
    #[default]
    Signed,
    /// The index divided by the last index, on all four axes: [0, 1], as in the paper. Neighbouring rows on
    /// both sides of the zero frequency are far apart, and coordinates depend on the image size.
    Unit,
}

/// How channels enter an MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelEncoding {
    /// One number, the channel's place on an axis.
    #[default]
    Coordinate,
    /// `embedding_dim` learned numbers.
    Embedding,
}

/// How two real outputs of an MLP make a complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComplexOutput {
    /// Real and imaginary part.
    #[default]
    Cartesian,
    /// Amplitude r (of any sign) and phase θ in radians: r·exp(iθ).
    Polar,
}

/// Configuration of a [`KernelMlp`](crate::KernelMlp).
///
/// Every field has a default; unknown keys are refused.
///
/// # Examples
/// ```
/// use cfconv_mlp::{KernelGrid, KernelMlpConfig};
///
/// let config = KernelMlpConfig::default();
/// let grid = KernelGrid { height: 32, width: 32, in_channels: 16, out_channels: 16 };
/// // 4 → 64 → 64 → 2.
/// assert_eq!(config.num_parameters(grid)?, (4 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2));
/// # Ok::<(), cfconv_mlp::MlpError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct KernelMlpConfig {
    /// Inputs and number of the MLPs. Default `"hw-cin-cout"`.
    pub parameterization: Parameterization,
    /// Features of each hidden layer. Default 64.
    pub hidden_width: usize,
    /// Number of hidden layers, at least 1. Default 2.
    pub hidden_layers: usize,
    /// Nonlinear function of the hidden layers. Default `"sine"`.
    pub activation: Activation,
    /// Omega of the two frequency axes. With `signed` coordinates a kernel is about omega/(2π) pixels wide at
    /// initialisation. With Fourier features it multiplies their phases. Default 10.
    pub omega_frequency: f64,
    /// Omega of the channel axes or embeddings: how different neighbouring filters are at initialisation.
    /// Used by `hw-cin` and `hw-cin-cout`. Default 100.
    pub omega_channel: f64,
    /// Whether omega is folded into the initial weights or multiplies the coordinates. Default `"folded"`.
    pub omega_mode: OmegaMode,
    /// Values of the coordinates. Default `"signed"`.
    pub frequency_grid: FrequencyGrid,
    /// Number F of random Fourier features: the pair of frequency coordinates x becomes the 2F numbers
    /// cos(omega·b_f·x), sin(omega·b_f·x) with fixed random b_f. 0 keeps the coordinates. Default 0.
    pub fourier_features: usize,
    /// Standard deviation of the components of b_f. Default 1.
    pub fourier_scale: f64,
    /// Seed of b_f. The features are a function of this seed: a configuration reproduces them. Default 0.
    pub fourier_seed: u64,
    /// How channels enter. Default `"coordinate"`.
    pub channel_encoding: ChannelEncoding,
    /// Learned numbers per channel with `channel_encoding = "embedding"`. Default 8.
    pub embedding_dim: usize,
    /// Form of the complex output. Default `"cartesian"`.
    pub complex_output: ComplexOutput,
    /// Number of complex basis functions with `parameterization = "shared-basis"`. Default 4.
    pub basis_size: usize,
    /// Mean square root of the initial sum of squared coefficients of `shared-basis`: each has the standard deviation
    /// `mixing_scale/√basis_size`. A layer that brings its kernels to a fixed variance makes up for it, so that this
    /// sets how far a step of Adam, which has one length for all parameters, moves a coefficient relative to its size.
    /// Default 1.
    pub mixing_scale: f64,
}

impl Default for KernelMlpConfig {
    fn default() -> Self {
        Self {
            parameterization: Parameterization::default(),
            hidden_width: 64,
            hidden_layers: 2,
            activation: Activation::default(),
            omega_frequency: 10.0,
            omega_channel: 100.0,
            omega_mode: OmegaMode::default(),
            frequency_grid: FrequencyGrid::default(),
            fourier_features: 0,
            fourier_scale: 1.0,
            fourier_seed: 0,
            channel_encoding: ChannelEncoding::default(),
            embedding_dim: 8,
            complex_output: ComplexOutput::default(),
            basis_size: 4,
            mixing_scale: 1.0,
        }
    }
}

impl KernelMlpConfig {
    /// Checks every option.
    ///
    /// # Errors
    /// [`MlpError::InvalidOption`] names the option, its value and what is allowed;
    /// [`MlpError::UnusedOption`] names a choice that the parameterisation would ignore.
    pub fn validate(&self) -> Result<()> {
        // With at most 2^32 channel pairs, parameter counts stay below 2^63.
        let sizes = [
            ("hidden_width", self.hidden_width, 1..=4096, "1 to 4096"),
            ("hidden_layers", self.hidden_layers, 1..=64, "1 to 64"),
            ("fourier_features", self.fourier_features, 0..=2048, "0 to 2048"),
            ("embedding_dim", self.embedding_dim, 1..=1024, "1 to 1024"),
            ("basis_size", self.basis_size, 1..=2048, "1 to 2048"),
        ];
        for (option, value, range, expected) in sizes {
            if !range.contains(&value) {
                return Err(MlpError::InvalidOption { option, got: value.to_string(), expected });
            }
        }
        let factors = [
            ("omega_frequency", self.omega_frequency),
            ("omega_channel", self.omega_channel),
            ("fourier_scale", self.fourier_scale),
            ("mixing_scale", self.mixing_scale),
        ];
        for (option, value) in factors {
            if !(value.is_finite() && value > 0.0) {
                let expected = "a finite number above 0";
                return Err(MlpError::InvalidOption { option, got: value.to_string(), expected });
            }
        }
        let channels_enter = !self.parameterization.channel_inputs().is_empty();
        if self.channel_encoding == ChannelEncoding::Embedding && !channels_enter {
            return Err(MlpError::UnusedOption {
                option: "channel_encoding",
                value: "embedding",
                parameterization: self.parameterization.name(),
            });
        }
        Ok(())
    }

    /// Learned numbers per channel, or `None` if channels enter as coordinates or not at all.
    pub(crate) fn embedding(&self) -> Option<usize> {
        (self.channel_encoding == ChannelEncoding::Embedding).then_some(self.embedding_dim)
    }

    /// Input features of a frequency.
    pub(crate) fn frequency_features(&self) -> usize {
        if self.fourier_features == 0 { 2 } else { 2 * self.fourier_features }
    }

    /// Input features of all channel axes.
    pub(crate) fn channel_features(&self) -> usize {
        self.parameterization.channel_inputs().len() * self.embedding().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        KernelMlpConfig::default().validate().unwrap();
    }

    #[test]
    fn options_out_of_range_are_named() {
        let message = |edit: fn(&mut KernelMlpConfig)| {
            let mut config = KernelMlpConfig::default();
            edit(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(message(|c| c.hidden_width = 0), "kernel MLP: `hidden_width` is 0, expected 1 to 4096");
        assert_eq!(message(|c| c.hidden_layers = 0), "kernel MLP: `hidden_layers` is 0, expected 1 to 64");
        assert_eq!(
            message(|c| c.fourier_features = 70_000),
            "kernel MLP: `fourier_features` is 70000, expected 0 to 2048"
        );
        assert_eq!(
            message(|c| c.omega_channel = f64::NAN),
            "kernel MLP: `omega_channel` is NaN, expected a finite number above 0"
        );
        assert_eq!(
            message(|c| {
                c.channel_encoding = ChannelEncoding::Embedding;
                c.parameterization = Parameterization::Hw;
            }),
            "kernel MLP: `channel_encoding` = \"embedding\" has no effect with `parameterization` = \"hw\""
        );
    }
}
