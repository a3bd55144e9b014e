//! How a layer is carried out: everything that follows from its configuration alone.

use cfconv_fft::{Real, half_width};
use cfconv_mlp::KernelGrid;

use super::applied_form::{DirectForm, SpectralForm};
use super::kernel_application::KernelApplication;
use super::{
    DepthwiseConv, DepthwiseConvSizes, DepthwiseSpectralConv, DepthwiseSpectralSizes, DirectConv,
    DirectConvSizes, Domain, PaddingMode, SpectralConv, SpectralConvSizes,
};
use crate::config::{Application, CfConv2dConfig};
use crate::error::Result;
use crate::lattice::Lattice;

/// The form in which kernel values are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppliedForm {
    /// The values on the grid are the kernel's spectrum; spectra are multiplied.
    Spectral,
    /// Lattice values become taps, the taps' spectrum is multiplied with the images'.
    LatticeFft,
    /// Lattice values become taps, the images are convolved with them in space.
    LatticeDirect,
}

/// How a layer is carried out.
///
/// # Examples
/// ```
/// use cfconv_core::engine::{AppliedForm, EnginePlan, PaddingMode};
/// use cfconv_core::{CfConv2dConfig, SamplerConfig};
///
/// let mut config = CfConv2dConfig::new(16, 16, 30, 30);
/// config.padding = PaddingMode::Zeros;
/// let plan = EnginePlan::new(&config);
/// assert_eq!((plan.grid.height, plan.grid.width), (60, 60)); // ≥ 2·30 − 1, a product of 2, 3 and 5
/// assert_eq!(plan.form, AppliedForm::Spectral);
///
/// config.sampler = SamplerConfig::Lattice { size: 3 };
/// let plan = EnginePlan::new(&config);
/// assert_eq!((plan.grid.height, plan.grid.width), (3, 3));
/// assert_eq!(plan.form, AppliedForm::LatticeDirect);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnginePlan {
    /// The grid on which Φ is evaluated and the state lives: the torus, or the lattice.
    pub grid: KernelGrid,
    /// Rows and columns of the torus on which spectra are multiplied.
    pub torus: (usize, usize),
    /// The form in which kernel values are applied.
    pub form: AppliedForm,
    /// What the layer takes and gives.
    pub domain: Domain,
    image: (usize, usize),
    padding: PaddingMode,
    depthwise: bool,
}

impl EnginePlan {
    /// Plans the channel mix alone, between half spectra, for a configuration that
    /// [`CfConv2dEngine::try_between_spectra`](super::CfConv2dEngine::try_between_spectra) takes. A lattice's
    /// taps are applied by their spectrum: there is no image to convolve.
    pub fn between_spectra(config: &CfConv2dConfig) -> Self {
        let plan = Self::new(config);
        let form = match plan.form {
            AppliedForm::Spectral => AppliedForm::Spectral,
            AppliedForm::LatticeFft | AppliedForm::LatticeDirect => AppliedForm::LatticeFft,
        };
        Self { form, domain: Domain::Spectra, ..plan }
    }

    /// Plans for a valid configuration.
    pub fn new(config: &CfConv2dConfig) -> Self {
        let lattice = config.lattice_size();
        let torus_size = |extent: usize| match (config.padding, lattice) {
            (PaddingMode::Circular, _) => extent,
            (PaddingMode::Zeros, None) => padded_size(extent, config.padding_share),
            (PaddingMode::Zeros, Some(size)) => fast_size(extent + size / 2),
        };
        let torus = (torus_size(config.height), torus_size(config.width));
        let (grid_height, grid_width) = lattice.map_or(torus, |size| (size, size));
        let form = match (lattice, config.application) {
            (None, _) => AppliedForm::Spectral,
            (Some(_), Application::Direct) => AppliedForm::LatticeDirect,
            (Some(_), Application::Fft) => AppliedForm::LatticeFft,
            (Some(size), Application::Auto) if direct_is_faster(config, size, torus) => {
                AppliedForm::LatticeDirect
            }
            (Some(_), Application::Auto) => AppliedForm::LatticeFft,
        };
        let grid = KernelGrid {
            height: grid_height,
            width: grid_width,
            in_channels: config.in_channels,
            // The kernel of a depthwise layer has one axis of channels.
            out_channels: if config.depthwise { 1 } else { config.out_channels },
        };
        Self {
            grid,
            torus,
            form,
            domain: Domain::Images,
            image: (config.height, config.width),
            padding: config.padding,
            depthwise: config.depthwise,
        }
    }

    /// Rows and columns of zeros beyond the image, as far as taps reach.
    pub(super) fn zeros(&self) -> (usize, usize) {
        match (self.padding, self.form) {
            (PaddingMode::Circular, _) => (0, 0),
            (PaddingMode::Zeros, AppliedForm::Spectral) => {
                (self.torus.0 - self.image.0, self.torus.1 - self.image.1)
            }
            (PaddingMode::Zeros, AppliedForm::LatticeFft | AppliedForm::LatticeDirect) => self.image,
        }
    }

    /// Values of one channel of an image, or of its half spectrum.
    pub(super) fn plane_len(&self) -> usize {
        let (height, width) = self.image;
        match self.domain {
            Domain::Images => height * width,
            Domain::Spectra => height * half_width(width) * 2,
        }
    }

    pub(super) fn application<T: Real>(&self) -> Result<KernelApplication<T>> {
        let lattice = || Lattice::try_new(self.grid.height, self.grid.in_channels, self.grid.out_channels);
        match self.form {
            AppliedForm::Spectral => Ok(KernelApplication::spectral(self.spectral())),
            AppliedForm::LatticeFft => KernelApplication::lattice_fft(lattice()?, self.spectral()),
            AppliedForm::LatticeDirect => Ok(KernelApplication::lattice_direct(lattice()?, self.direct())),
        }
    }

    pub(super) fn spectral<T: Real>(&self) -> SpectralForm<T> {
        let KernelGrid { in_channels, out_channels, .. } = self.grid;
        let ((height, width), (kernel_height, kernel_width)) = (self.image, self.torus);
        if self.depthwise {
            let channels = in_channels;
            let sizes = DepthwiseSpectralSizes { channels, height, width, kernel_height, kernel_width };
            return SpectralForm::Depthwise(DepthwiseSpectralConv::new(sizes));
        }
        let sizes =
            SpectralConvSizes { in_channels, out_channels, height, width, kernel_height, kernel_width };
        SpectralForm::Full(match self.domain {
            Domain::Images => SpectralConv::new(sizes),
            Domain::Spectra => SpectralConv::between_spectra(sizes),
        })
    }

    pub(super) fn direct<T: Real>(&self) -> DirectForm<T> {
        let KernelGrid { in_channels, out_channels, height: kernel_size, .. } = self.grid;
        let ((height, width), padding) = (self.image, self.padding);
        if self.depthwise {
            let channels = in_channels;
            let sizes = DepthwiseConvSizes { channels, height, width, kernel_size, padding };
            return DirectForm::Depthwise(DepthwiseConv::new(sizes));
        }
        let sizes = DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding };
        DirectForm::Full(DirectConv::new(sizes))
    }
}

/// Compares the work of both forms, in multiply-adds for each pixel and channel pair: k² taps directly; in
/// the spectral form a complex product for half the bins, and the transforms, of which each channel's serves
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

/// Cost of the complex mix for each bin and channel pair, in taps of the direct form.
///
/// Both costs are fitted to training steps of `cfconv-bench layer --lattice K --application direct|fft` with 8, 32
/// and 64 channels at 16×16, 32×32 and 64×64, K = 3, 5, 7, on two AVX2 cores: a 3×3 lattice is faster in space with
/// few channels, by spectra with many; larger ones by spectra. To be measured again when a kernel changes.
const MIX_COST: f64 = 6.7;

/// Cost of the transforms for each bin and channel and doubling of the torus, in taps.
const TRANSFORM_COST: f64 = 1.6;

/// The smallest product of 2, 3 and 5 that is at least `least`.
fn fast_size(least: usize) -> usize {
    (least.max(1)..)
        .find(|&size| {
            let mut rest = size;
            for factor in [2, 3, 5] {
                while rest % factor == 0 {
                    rest /= factor;
                }
            }
            rest == 1
        })
        .unwrap_or(least)
}

/// Rows of the torus of an image of `extent` rows with a `share` of zeros: the next fast size, but no more than lets
/// every tap reach zeros.
fn padded_size(extent: usize, share: f64) -> usize {
    let wanted = (extent as f64 * (1.0 + share)).ceil() as usize;
    // No tap is farther away than extent − 1.
    fast_size(wanted.min(2 * extent - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_sizes_have_small_factors() {
        let sizes: Vec<_> = [1, 7, 11, 13, 59, 61, 127, 191].into_iter().map(fast_size).collect();
        assert_eq!(sizes, [1, 8, 12, 15, 60, 64, 128, 192]);
    }
}
