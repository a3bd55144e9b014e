//! How a continuous Fourier convolution is configured.

use cfconv_mlp::KernelMlpConfig;
use serde::{Deserialize, Serialize};

use crate::engine::PaddingMode;
use crate::error::{CoreError, Result, check_size};
use crate::kernel_state::check_ema_alpha;
use crate::sampler::SamplerConfig;

/// The factor g in `dΦ(u) = g·dK(u)`, by which the gradient of the kernel passes to Φ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientScale {
    /// g = α: the exact gradient of the step's loss, in which Φ has the weight α.
    #[default]
    EmaAlpha,
    /// g = 1: as though the state were Φ at the visited positions.
    StraightThrough,
    /// g = α/π(u), π the inclusion probability: in the mean over the sampled positions, α times the
    /// gradient of the dense method.
    Unbiased,
}

/// What the kernel state holds before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialFill {
    /// Φ at every position.
    #[default]
    Phi,
    /// Zeros.
    Zeros,
}

/// The kernel that evaluation convolves with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluationKernel {
    /// The state K̃.
    #[default]
    State,
    /// Φ at every position, evaluated anew.
    Dense,
}

/// The algorithm that convolves with a lattice kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConvAlgorithm {
    /// Whichever is estimated to be faster for the layer's sizes.
    #[default]
    Auto,
    /// Convolution with the k×k taps in space.
    Direct,
    /// Multiplication of spectra.
    Fft,
}

/// Configuration of a continuous Fourier convolution.
///
/// The fields without a stated default are required. Unknown fields are refused.
///
/// # Examples
/// ```
/// use cfconv_core::{CfConv2dConfig, PaddingMode, SamplerConfig};
///
/// let config: CfConv2dConfig = toml::from_str(
///     "in_channels = 3
///      out_channels = 8
///      height = 16
///      width = 16
///      padding = 'zeros'
///      [sampler]
///      kind = 'lattice'
///      size = 5",
/// )?;
/// assert_eq!(config.padding, PaddingMode::Zeros);
/// assert_eq!(config.sampler, SamplerConfig::Lattice { size: 5 });
/// assert_eq!(config.ema_alpha, 1.0);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CfConv2dConfig {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the images.
    pub height: usize,
    /// Columns of the images.
    pub width: usize,
    /// Whether channel c of the output comes from channel c of the input alone; default `false`. Then both have
    /// the same number of channels C, and Φ is a function of the frequency and one channel: its grid has C input
    /// channels and one output channel.
    #[serde(default)]
    pub depthwise: bool,
    /// What lies beyond the border; default [`PaddingMode::Circular`]. With zeros the kernel's grid is large
    /// enough that nothing wraps around: 2H − 1 rows or more; H + (k − 1)/2 or more for a k×k lattice.
    #[serde(default)]
    pub padding: PaddingMode,
    /// How many rows and columns of zeros there are, as a share of the image's, in (0, 1]; default 1, all that a tap
    /// can reach. With fewer the kernel's grid is smaller, about (1 + share)·H rows, and taps that reach beyond the
    /// zeros find the other side of the image. A lattice always has all it needs.
    #[serde(default = "default_padding_share")]
    pub padding_share: f64,
    /// Whether a learned constant is added to each output channel; default `true`.
    #[serde(default = "default_bias")]
    pub bias: bool,
    /// The kernel network Φ.
    #[serde(default)]
    pub mlp: KernelMlpConfig,
    /// Which positions a training step visits; default [`SamplerConfig::default`].
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// The weight α, in (0, 1], of a new value in the kernel state; default 1 (replace).
    #[serde(default = "default_ema_alpha")]
    pub ema_alpha: f64,
    /// The factor by which gradients pass to Φ; default [`GradientScale::EmaAlpha`].
    #[serde(default)]
    pub gradient_scale: GradientScale,
    /// The state before the first step; default [`InitialFill::Phi`].
    #[serde(default)]
    pub initial_fill: InitialFill,
    /// The kernel that evaluation uses; default [`EvaluationKernel::State`].
    #[serde(default)]
    pub evaluation_kernel: EvaluationKernel,
    /// Whether evaluation from the state first refreshes every position by the formula of a training step, in a
    /// copy that leaves the training state alone; `polish` in files; default `false`.
    #[serde(rename = "polish", default)]
    pub refresh_before_evaluation: bool,
    /// The algorithm for a lattice kernel, `application` in files; default [`ConvAlgorithm::Auto`], which compares k²
    /// taps in space with the estimated cost of the transforms and the complex mix, at the layer's sizes.
    #[serde(rename = "application", default)]
    pub algorithm: ConvAlgorithm,
}

fn default_padding_share() -> f64 {
    1.0
}

fn default_bias() -> bool {
    true
}

fn default_ema_alpha() -> f64 {
    1.0
}

impl CfConv2dConfig {
    /// A configuration with the defaults for everything but the sizes.
    pub fn new(in_channels: usize, out_channels: usize, height: usize, width: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            height,
            width,
            depthwise: false,
            padding: PaddingMode::default(),
            padding_share: default_padding_share(),
            bias: default_bias(),
            mlp: KernelMlpConfig::default(),
            sampler: SamplerConfig::default(),
            ema_alpha: default_ema_alpha(),
            gradient_scale: GradientScale::default(),
            initial_fill: InitialFill::default(),
            evaluation_kernel: EvaluationKernel::default(),
            refresh_before_evaluation: false,
            algorithm: ConvAlgorithm::default(),
        }
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// [`CoreError::InvalidSetting`] for a value outside its range, [`CoreError::ConflictingSettings`] for
    /// settings of which one would have no effect.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("height", self.height),
            ("width", self.width),
        ];
        for (setting, size) in sizes {
            check_size(setting, size)?;
        }
        if self.depthwise && self.in_channels != self.out_channels {
            return Err(CoreError::ConflictingSettings {
                setting: "out_channels",
                value: self.out_channels.to_string(),
                other: "depthwise",
                other_value: "true".to_owned(),
                reason: "each input channel gives one output channel",
            });
        }
        check_ema_alpha(self.ema_alpha)?;
        self.check_padding_share()?;
        if self.refresh_before_evaluation && self.evaluation_kernel == EvaluationKernel::Dense {
            return Err(CoreError::ConflictingSettings {
                setting: "polish",
                value: "true".to_owned(),
                other: "evaluation_kernel",
                other_value: "dense".to_owned(),
                reason: "the dense kernel has nothing to refresh",
            });
        }
        self.sampler.validate()?;
        if self.lattice_size().is_none() && self.algorithm == ConvAlgorithm::Direct {
            return Err(CoreError::ConflictingSettings {
                setting: "application",
                value: "direct".to_owned(),
                other: "sampler.kind",
                other_value: self.sampler.kind().to_owned(),
                reason: "only a lattice kernel has few taps",
            });
        }
        Ok(())
    }

    fn check_padding_share(&self) -> Result<()> {
        let share = self.padding_share;
        if !(share > 0.0 && share <= 1.0) {
            return Err(CoreError::InvalidSetting {
                setting: "padding_share",
                expected: "a share of the image above 0, at most 1",
                got: share.to_string(),
            });
        }
        let conflict = |other: &'static str, other_value: &str, reason: &'static str| {
            Err(CoreError::ConflictingSettings {
                setting: "padding_share",
                value: share.to_string(),
                other,
                other_value: other_value.to_owned(),
                reason,
            })
        };
        if share < 1.0 && self.padding == PaddingMode::Circular {
            return conflict("padding", "circular", "only zeros have a share");
        }
        if share < 1.0 && self.lattice_size().is_some() {
            return conflict("sampler.kind", "lattice", "a lattice has the zeros that its taps reach");
        }
        Ok(())
    }

    /// The lattice's rows and columns, if the kernel is a lattice kernel.
    pub fn lattice_size(&self) -> Option<usize> {
        match self.sampler {
            SamplerConfig::Lattice { size } => Some(size),
            _ => None,
        }
    }
}
