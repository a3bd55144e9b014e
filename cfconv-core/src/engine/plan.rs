//! How a layer is carried out: everything that follows from its configuration alone.

use cfconv_fft::lanes::next_fast_len;
use cfconv_fft::{Real, half_width};
use cfconv_mlp::{KernelGrid, ParameterSegment};

use super::conv_kind::{SpatialConvKind, SpectralConvKind};
use super::kernel_conv::KernelConv;
use super::{
    DepthwiseConv, DepthwiseConvSizes, DepthwiseSpectralConv, DepthwiseSpectralSizes, DirectConv,
    DirectConvSizes, Domain, PaddingMode, SpectralConv, SpectralConvSizes,
};
use crate::config::{CfConv2dConfig, ConvAlgorithm};
use crate::error::{CoreError, Result};
use crate::lattice::Lattice;
use crate::output_scale::HE_VARIANCE;
use crate::sampler::PositionSampler;

/// The algorithm that convolves with the kernel values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAlgorithm {
    /// The values on the grid are the kernel's spectrum; spectra are multiplied.
    Spectral,
    /// Lattice values become taps, the taps' spectrum is multiplied with the images'.
    LatticeFft,
    /// Lattice values become taps, the images are convolved with them in space.
    LatticeDirect,
}

/// A layer before any of its memory exists: a valid configuration and everything that follows from it. Every backend is
/// prepared from one.
///
/// # Examples
/// ```
/// use cfconv_core::engine::{EnginePlan, PaddingMode, PlannedAlgorithm};
/// use cfconv_core::{CfConv2dConfig, SamplerConfig};
///
/// let mut config = CfConv2dConfig::new(16, 16, 30, 30);
/// config.padding = PaddingMode::Zeros;
/// let plan = EnginePlan::try_new(&config)?;
/// assert_eq!((plan.grid.height, plan.grid.width), (60, 60)); // ≥ 2·30 − 1, a product of 2, 3 and 5
/// assert_eq!(plan.algorithm, PlannedAlgorithm::Spectral);
///
/// config.sampler = SamplerConfig::Lattice { size: 3 };
/// let plan = EnginePlan::try_new(&config)?;
/// assert_eq!((plan.grid.height, plan.grid.width), (3, 3));
/// assert_eq!(plan.algorithm, PlannedAlgorithm::LatticeDirect);
/// # Ok::<(), cfconv_core::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EnginePlan {
    /// The grid on which Φ is evaluated and the state lives: the torus, or the lattice.
    pub grid: KernelGrid,
    /// Rows and columns of the torus on which spectra are multiplied.
    pub torus: (usize, usize),
    /// The algorithm that convolves with the kernel values.
    pub algorithm: PlannedAlgorithm,
    /// What the layer takes and gives.
    pub domain: Domain,
    config: CfConv2dConfig,
    sampler: PositionSampler,
    segments: Vec<ParameterSegment>,
    initial_variance: f64,
}

impl EnginePlan {
    /// Validates a configuration and plans the layer.
    ///
    /// # Errors
    /// As for [`CfConv2dConfig::validate`] and [`PositionSampler::try_new`], and what the kernel network's
    /// configuration refuses.
    pub fn try_new(config: &CfConv2dConfig) -> Result<Self> {
        config.validate()?;
        let lattice = config.lattice_size();
        let torus = torus(config, lattice);
        let (height, width) = lattice.map_or(torus, |size| (size, size));
        let algorithm = match (lattice, config.algorithm) {
            (None, _) => PlannedAlgorithm::Spectral,
            (Some(_), ConvAlgorithm::Direct) => PlannedAlgorithm::LatticeDirect,
            (Some(_), ConvAlgorithm::Fft) => PlannedAlgorithm::LatticeFft,
            (Some(size), ConvAlgorithm::Auto) if direct_is_faster(config, size, torus) => {
                PlannedAlgorithm::LatticeDirect
            }
            (Some(_), ConvAlgorithm::Auto) => PlannedAlgorithm::LatticeFft,
        };
        // The kernel of a depthwise layer has one axis of channels.
        let out_channels = if config.depthwise { 1 } else { config.out_channels };
        let grid = KernelGrid { height, width, in_channels: config.in_channels, out_channels };
        Ok(Self {
            sampler: PositionSampler::try_new(&config.sampler, grid)?,
            segments: parameter_segments(config, grid)?,
            config: config.clone(),
            grid,
            torus,
            algorithm,
            domain: Domain::Images,
            initial_variance: HE_VARIANCE,
        })
    }

    /// Plans the layer's channel mix alone, between half spectra: a network that stays in the frequency domain
    /// from layer to layer.
    ///
    /// ```text
    /// Y[o] = Σ_i X[i]·K̃[i, o] + √(H·W)·bias[o]·δ          δ: 1 at the zero frequency
    /// dX[i] = Σ_o conj(K̃[i, o])·dY[o];   dK(u) = Σ_b conj(X[i])·dY[o];   dbias[o] = √(H·W)·Σ_b Re dY[o, 0, 0]
    /// ```
    ///
    /// Behind `rfft2` and before `irfft2`, both orthonormal, it is the layer with circular padding. The output
    /// scale is chosen so that the output variance on white noise is `initial_variance`. A lattice's taps are applied
    /// by their spectrum: there is no image to convolve.
    ///
    /// # Shapes
    /// `input` `[Cin, H, Wr, 2, batch]`, `output` `[Cout, H, Wr, 2, batch]`, both flat: [`Domain::Spectra`].
    ///
    /// # Errors
    /// As for [`try_new`](Self::try_new); [`CoreError::InvalidSetting`] for `padding = zeros` and
    /// `application = direct`, which need images, and for an `initial_variance` that is not above 0.
    pub fn try_between_spectra(config: &CfConv2dConfig, initial_variance: f64) -> Result<Self> {
        let plan = Self::try_new(config)?;
        let refused = |setting, expected, got: &str| {
            Err(CoreError::InvalidSetting { setting, expected, got: got.to_owned() })
        };
        if config.padding != PaddingMode::Circular {
            return refused("padding", "circular between half spectra", "zeros");
        }
        if config.algorithm == ConvAlgorithm::Direct {
            return refused("application", "auto or fft between half spectra", "direct");
        }
        if !(initial_variance > 0.0 && initial_variance.is_finite()) {
            let got = initial_variance.to_string();
            return refused("initial_variance", "finite and above 0", &got);
        }
        let algorithm = match plan.algorithm {
            PlannedAlgorithm::Spectral => PlannedAlgorithm::Spectral,
            PlannedAlgorithm::LatticeFft | PlannedAlgorithm::LatticeDirect => PlannedAlgorithm::LatticeFft,
        };
        Ok(Self { algorithm, domain: Domain::Spectra, initial_variance, ..plan })
    }

    /// The configuration.
    pub fn config(&self) -> &CfConv2dConfig {
        &self.config
    }

    /// The sampler, which has not drawn yet.
    pub fn sampler(&self) -> &PositionSampler {
        &self.sampler
    }

    /// Names, shapes and places of the parameters: those of the kernel network, then the bias.
    pub fn parameter_segments(&self) -> &[ParameterSegment] {
        &self.segments
    }

    /// Number of parameters.
    pub fn num_parameters(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.range.end)
    }

    /// Values of the input of a batch.
    pub fn input_len(&self, batch: usize) -> usize {
        self.config.in_channels * self.plane_len() * batch
    }

    /// Values of the output of a batch.
    pub fn output_len(&self, batch: usize) -> usize {
        self.config.out_channels * self.plane_len() * batch
    }

    /// Output variance on white noise of unit variance that the initial scale is chosen for.
    pub(super) fn initial_variance(&self) -> f64 {
        self.initial_variance
    }

    /// The torus that the layer would have with any sampler but a lattice.
    pub(super) fn dense_torus(&self) -> (usize, usize) {
        torus(&self.config, None)
    }

    /// Rows and columns of the images.
    pub(super) fn image(&self) -> (usize, usize) {
        (self.config.height, self.config.width)
    }

    /// Rows and columns of zeros beyond the image, as far as taps reach.
    pub(super) fn zeros(&self) -> (usize, usize) {
        match (self.config.padding, self.algorithm) {
            (PaddingMode::Circular, _) => (0, 0),
            (PaddingMode::Zeros, PlannedAlgorithm::Spectral) => {
                (self.torus.0 - self.config.height, self.torus.1 - self.config.width)
            }
            (PaddingMode::Zeros, PlannedAlgorithm::LatticeFft | PlannedAlgorithm::LatticeDirect) => {
                self.image()
            }
        }
    }

    /// Values of one channel of an image, or of its half spectrum.
    pub(super) fn plane_len(&self) -> usize {
        let (height, width) = self.image();
        match self.domain {
            Domain::Images => height * width,
            Domain::Spectra => height * half_width(width) * 2,
        }
    }

    pub(super) fn kernel_conv<T: Real>(&self) -> Result<KernelConv<T>> {
        let lattice = || Lattice::try_new(self.grid.height, self.grid.in_channels, self.grid.out_channels);
        match self.algorithm {
            PlannedAlgorithm::Spectral => Ok(KernelConv::spectral(self.spectral())),
            PlannedAlgorithm::LatticeFft => KernelConv::lattice_fft(lattice()?, self.spectral()),
            PlannedAlgorithm::LatticeDirect => Ok(KernelConv::lattice_direct(lattice()?, self.direct())),
        }
    }

    pub(super) fn spectral<T: Real>(&self) -> SpectralConvKind<T> {
        let KernelGrid { in_channels, out_channels, .. } = self.grid;
        let ((height, width), (kernel_height, kernel_width)) = (self.image(), self.torus);
        if self.config.depthwise {
            let channels = in_channels;
            let sizes = DepthwiseSpectralSizes { channels, height, width, kernel_height, kernel_width };
            return SpectralConvKind::Depthwise(DepthwiseSpectralConv::new(sizes));
        }
        let sizes =
            SpectralConvSizes { in_channels, out_channels, height, width, kernel_height, kernel_width };
        SpectralConvKind::Full(match self.domain {
            Domain::Images => SpectralConv::new(sizes),
            Domain::Spectra => SpectralConv::between_spectra(sizes),
        })
    }

    pub(super) fn direct<T: Real>(&self) -> SpatialConvKind<T> {
        let KernelGrid { in_channels, out_channels, height: kernel_size, .. } = self.grid;
        let ((height, width), padding) = (self.image(), self.config.padding);
        if self.config.depthwise {
            let channels = in_channels;
            let sizes = DepthwiseConvSizes { channels, height, width, kernel_size, padding };
            return SpatialConvKind::Depthwise(DepthwiseConv::new(sizes));
        }
        let sizes = DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding };
        SpatialConvKind::Full(DirectConv::new(sizes))
    }
}

/// The parameters of the kernel network, then the bias.
fn parameter_segments(config: &CfConv2dConfig, grid: KernelGrid) -> Result<Vec<ParameterSegment>> {
    let mut segments = config.mlp.parameter_segments(grid)?;
    for segment in &mut segments {
        segment.name = format!("mlp.{}", segment.name);
    }
    if config.bias {
        let first = segments.last().map_or(0, |segment| segment.range.end);
        segments.push(ParameterSegment {
            name: "bias".to_owned(),
            shape: vec![config.out_channels],
            range: first..first + config.out_channels,
        });
    }
    Ok(segments)
}

/// Rows and columns of the torus for a lattice of this size, or for a kernel as large as the torus.
fn torus(config: &CfConv2dConfig, lattice: Option<usize>) -> (usize, usize) {
    let torus_size = |extent: usize| match (config.padding, lattice) {
        (PaddingMode::Circular, _) => extent,
        (PaddingMode::Zeros, None) => padded_size(extent, config.padding_share),
        (PaddingMode::Zeros, Some(size)) => next_fast_len(extent + size / 2),
    };
    (torus_size(config.height), torus_size(config.width))
}

/// Compares the work of both algorithms for a lattice, in multiply-adds for each pixel and channel pair: k² taps
/// directly; by spectra a complex product for half the bins, and the transforms, of which each channel's serves
/// all its pairs. A depthwise layer has one pair a channel.
fn direct_is_faster(config: &CfConv2dConfig, size: usize, torus: (usize, usize)) -> bool {
    let bins = (torus.0 * torus.1) as f64;
    let pixels = (config.height * config.width) as f64;
    let channels = if config.depthwise {
        2.0
    } else {
        1.0 / config.in_channels as f64 + 1.0 / config.out_channels as f64
    };
    let spectral = bins / pixels * (MIX_COST + TRANSFORM_COST * channels * bins.log2().max(1.0));
    ((size * size) as f64) < spectral
}

/// Cost of the complex mix for each bin and channel pair, in taps of the direct algorithm.
///
/// Both costs are fitted to training steps of `cfconv-bench layer --lattice K --application direct|fft` with 8, 32
/// and 64 channels at 16×16, 32×32 and 64×64, K = 3, 5, 7, on two AVX2 cores: a 3×3 lattice is faster in space with
/// few channels, by spectra with many; larger ones by spectra. To be measured again when a kernel changes.
const MIX_COST: f64 = 6.7;

/// Cost of the transforms for each bin and channel and doubling of the torus, in taps.
const TRANSFORM_COST: f64 = 1.6;

/// Rows of the torus of an image of `extent` rows with a `share` of zeros: the next fast size, but no more than lets
/// every tap reach zeros.
fn padded_size(extent: usize, share: f64) -> usize {
    let wanted = (extent as f64 * (1.0 + share)).ceil() as usize;
    // No tap is farther away than extent − 1.
    next_fast_len(wanted.min(2 * extent - 1))
}
