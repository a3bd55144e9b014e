//! The convolution with a layer's kernel values, by one of three algorithms.

use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, Real};

use super::buffers::resize_exact;
use super::conv_kind::{SpatialConvKind, SpectralConvKind};
use super::{SavedSpectrum, SpectralWorkspace};
use crate::error::Result;
use crate::lattice::Lattice;

/// Convolves with kernel values, on the grid that Φ is evaluated on.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one for each layer, never moved")]
pub(super) enum KernelConv<T: Real> {
    /// The values are the kernel's spectrum.
    Spectral { conv: SpectralConvKind<T>, saved: SavedSpectrum<T> },
    /// The values lie on a lattice; the taps' spectrum is applied.
    LatticeFft {
        lattice: Lattice<T>,
        torus: LanesRfft2<T>,
        conv: SpectralConvKind<T>,
        /// `[k, k, Cin, Cout]`
        taps: Vec<T>,
        /// `[kernel_height, half_width, Cin, Cout]`
        kernel: Vec<Complex<T>>,
        saved: SavedSpectrum<T>,
    },
    /// The values lie on a lattice; the taps are applied.
    LatticeDirect {
        lattice: Lattice<T>,
        conv: SpatialConvKind<T>,
        /// `[k, k, Cin, Cout]`
        taps: Vec<T>,
        /// `[Cout, Cin, k, k]`
        weights: Vec<T>,
        grad_weights: Vec<T>,
        /// The input of the last training forward pass, `[Cin, H, W, B]`.
        input: Vec<T>,
    },
}

impl<T: Real> KernelConv<T> {
    pub(super) fn spectral(conv: SpectralConvKind<T>) -> Self {
        Self::Spectral { conv, saved: SavedSpectrum::default() }
    }

    pub(super) fn lattice_fft(lattice: Lattice<T>, conv: SpectralConvKind<T>) -> Result<Self> {
        let (height, width) = conv.torus();
        Ok(Self::LatticeFft {
            torus: LanesRfft2::try_new(height, width)?,
            taps: vec![T::zero(); lattice.num_taps()],
            kernel: vec![Complex::default(); conv.num_positions()],
            saved: SavedSpectrum::default(),
            lattice,
            conv,
        })
    }

    pub(super) fn lattice_direct(lattice: Lattice<T>, conv: SpatialConvKind<T>) -> Self {
        let zeros = vec![T::zero(); lattice.num_taps()];
        Self::LatticeDirect {
            taps: zeros.clone(),
            weights: zeros.clone(),
            grad_weights: zeros,
            input: Vec::new(),
            lattice,
            conv,
        }
    }

    /// Takes the kernel values that the following passes convolve with.
    pub(super) fn prepare(&mut self, values: &[Complex<T>]) -> Result<()> {
        match self {
            Self::Spectral { .. } => Ok(()),
            Self::LatticeFft { lattice, torus, taps, kernel, .. } => {
                lattice.taps(values, taps)?;
                lattice.spectrum(torus, taps, kernel)
            }
            Self::LatticeDirect { lattice, taps, weights, .. } => {
                lattice.taps(values, taps)?;
                lattice.weights(taps, weights)
            }
        }
    }

    /// Computes the output; if `training`, keeps what the backward pass needs.
    pub(super) fn forward(
        &mut self,
        batch: usize,
        input: &[T],
        values: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        training: bool,
        workspace: &mut ConvWorkspace<T>,
    ) {
        let spectral = &mut workspace.spectral;
        match self {
            Self::Spectral { conv, saved } => {
                conv.forward(batch, input, values, bias, output, training.then_some(saved), spectral);
            }
            Self::LatticeFft { conv, kernel, saved, .. } => {
                conv.forward(batch, input, kernel, bias, output, training.then_some(saved), spectral);
            }
            Self::LatticeDirect { conv, weights, input: kept, .. } => {
                conv.forward(batch, input, weights, bias, output);
                if training {
                    kept.clear();
                    kept.extend_from_slice(input);
                }
            }
        }
    }

    /// Computes `scale` times the gradient of the kernel values at `positions` (every one if `None`, and
    /// always every one on a lattice) and the input's gradient; both are overwritten.
    pub(super) fn backward(
        &mut self,
        batch: usize,
        grad_output: &[T],
        values: &[Complex<T>],
        positions: Option<&[u32]>,
        scale: T,
        grad_values: &mut [Complex<T>],
        grad_input: Option<&mut [T]>,
        workspace: &mut ConvWorkspace<T>,
    ) -> Result<()> {
        let ConvWorkspace { spectral, grad_kernel, .. } = workspace;
        match self {
            Self::Spectral { conv, saved } => {
                conv.backward(
                    batch,
                    grad_output,
                    values,
                    saved,
                    positions,
                    scale,
                    grad_values,
                    grad_input,
                    spectral,
                );
                Ok(())
            }
            Self::LatticeFft { lattice, torus, conv, taps, kernel, saved } => {
                debug_assert!(positions.is_none());
                resize_exact(grad_kernel, kernel.len(), Complex::default());
                conv.backward(
                    batch,
                    grad_output,
                    kernel,
                    saved,
                    None,
                    scale,
                    grad_kernel,
                    grad_input,
                    spectral,
                );
                // The taps are in the kernel: their memory serves for their gradient.
                lattice.spectrum_adjoint(torus, grad_kernel, taps)?;
                lattice.taps_adjoint(taps, grad_values)
            }
            Self::LatticeDirect { lattice, conv, taps, weights, grad_weights, input } => {
                debug_assert!(positions.is_none());
                grad_weights.fill(T::zero());
                conv.backward_weight(batch, input, grad_output, grad_weights);
                if let Some(grad_input) = grad_input {
                    conv.backward_input(batch, grad_output, weights, grad_input);
                }
                grad_weights.iter_mut().for_each(|gradient| *gradient *= scale);
                lattice.weights_adjoint(grad_weights, taps)?;
                lattice.taps_adjoint(taps, grad_values)
            }
        }
    }

    /// Bytes kept from a forward pass for the backward pass.
    pub(super) fn saved_bytes(&self) -> usize {
        match self {
            Self::Spectral { saved, .. } | Self::LatticeFft { saved, .. } => saved.bytes(),
            Self::LatticeDirect { input, .. } => input.capacity() * size_of::<T>(),
        }
    }

    /// Bytes of everything else kept between calls.
    pub(super) fn scratch_bytes(&self) -> usize {
        match self {
            Self::Spectral { conv, .. } => conv.scratch_bytes(),
            Self::LatticeFft { conv, taps, kernel, .. } => {
                conv.scratch_bytes() + taps.len() * size_of::<T>() + kernel.len() * size_of::<Complex<T>>()
            }
            Self::LatticeDirect { conv, taps, .. } => conv.scratch_bytes() + 3 * taps.len() * size_of::<T>(),
        }
    }
}

/// Working memory of convolutions that any number of layers can use in turn.
#[derive(Debug, Clone, Default)]
pub struct ConvWorkspace<T> {
    spectral: SpectralWorkspace<T>,
    /// The gradient of a lattice kernel's spectrum.
    grad_kernel: Vec<Complex<T>>,
}

impl<T: Real> ConvWorkspace<T> {
    pub(super) fn bytes(&self) -> usize {
        self.spectral.bytes() + self.grad_kernel.capacity() * size_of::<Complex<T>>()
    }
}
