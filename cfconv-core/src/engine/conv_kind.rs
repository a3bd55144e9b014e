//! Convolutions that mix channels and depthwise ones, behind one set of calls.

use cfconv_fft::{Complex, Real};

use super::{
    DepthwiseConv, DepthwiseSpectralConv, DirectConv, PlannedWorkspace, SavedSpectrum, SpectralConv,
    SpectralWorkspace,
};

/// Does the same with either convolution.
macro_rules! either {
    ($kind:expr, $conv:ident => $result:expr) => {
        match $kind {
            Self::Full($conv) => $result,
            Self::Depthwise($conv) => $result,
        }
    };
}

/// Convolution by spectra.
#[derive(Debug, Clone)]
pub(super) enum SpectralConvKind<T: Real> {
    Full(SpectralConv<T>),
    Depthwise(DepthwiseSpectralConv<T>),
}

impl<T: Real> SpectralConvKind<T> {
    /// Complex values of the kernel's spectrum.
    pub(super) fn num_positions(&self) -> usize {
        either!(self, conv => conv.sizes().num_positions())
    }

    /// Rows and columns of the torus.
    pub(super) fn torus(&self) -> (usize, usize) {
        either!(self, conv => (conv.sizes().kernel_height, conv.sizes().kernel_width))
    }

    /// Computes the output; keeps the input's spectrum if `saved` is given.
    pub(super) fn forward(
        &self,
        batch: usize,
        input: &[T],
        kernel: &[Complex<T>],
        bias: Option<&[T]>,
        output: &mut [T],
        saved: Option<&mut SavedSpectrum<T>>,
        workspace: &mut SpectralWorkspace<T>,
    ) {
        match (self, saved) {
            (Self::Full(conv), Some(saved)) => {
                conv.forward(batch, input, kernel, bias, output, saved, workspace);
            }
            (Self::Full(conv), None) => conv.infer(batch, input, kernel, bias, output, workspace),
            (Self::Depthwise(conv), Some(saved)) => conv.forward(batch, input, kernel, bias, output, saved),
            (Self::Depthwise(conv), None) => conv.infer(batch, input, kernel, bias, output),
        }
    }

    /// See [`SpectralConv::backward`].
    pub(super) fn backward(
        &self,
        batch: usize,
        grad_output: &[T],
        kernel: &[Complex<T>],
        saved: &SavedSpectrum<T>,
        positions: Option<&[u32]>,
        scale: T,
        grad_kernel: &mut [Complex<T>],
        grad_input: Option<&mut [T]>,
        workspace: &mut SpectralWorkspace<T>,
    ) {
        either!(self, conv => conv.backward(
            batch, grad_output, kernel, saved, positions, scale, grad_kernel, grad_input, workspace,
        ));
    }

    pub(super) fn scratch_bytes(&self) -> usize {
        either!(self, conv => conv.scratch_bytes())
    }

    /// Bytes of working memory after passes of up to `batch` images on `threads` threads.
    pub(super) fn planned_scratch_bytes(&self, batch: usize, threads: usize) -> usize {
        match self {
            Self::Full(conv) => conv.planned_scratch_bytes(batch, threads),
            Self::Depthwise(conv) => conv.planned_scratch_bytes(threads),
        }
    }

    /// Bytes of the spectrum saved for `batch` images.
    pub(super) fn planned_saved_bytes(&self, batch: usize) -> usize {
        either!(self, conv => conv.planned_saved_bytes(batch))
    }

    /// What the workspace grows to with passes of up to `batch` images.
    pub(super) fn planned_workspace(&self, batch: usize) -> PlannedWorkspace {
        match self {
            Self::Full(conv) => {
                PlannedWorkspace { spectra: conv.planned_spectra_bytes(batch), ..Default::default() }
            }
            Self::Depthwise(conv) => {
                PlannedWorkspace { by_channel: conv.planned_by_channel_bytes(), ..Default::default() }
            }
        }
    }
}

/// Convolution with taps in space.
#[derive(Debug, Clone)]
pub(super) enum SpatialConvKind<T: Real> {
    Full(DirectConv<T>),
    Depthwise(DepthwiseConv),
}

impl<T: Real> SpatialConvKind<T> {
    pub(super) fn forward(
        &self,
        batch: usize,
        input: &[T],
        weight: &[T],
        bias: Option<&[T]>,
        output: &mut [T],
    ) {
        either!(self, conv => conv.forward(batch, input, weight, bias, output))
    }

    pub(super) fn backward_input(&self, batch: usize, grad_output: &[T], weight: &[T], grad_input: &mut [T]) {
        either!(self, conv => conv.backward_input(batch, grad_output, weight, grad_input))
    }

    pub(super) fn backward_weight(
        &self,
        batch: usize,
        input: &[T],
        grad_output: &[T],
        grad_weight: &mut [T],
    ) {
        either!(self, conv => conv.backward_weight(batch, input, grad_output, grad_weight, None))
    }

    pub(super) fn scratch_bytes(&self) -> usize {
        match self {
            Self::Full(conv) => conv.scratch_bytes(),
            Self::Depthwise(_) => 0,
        }
    }

    /// Bytes of working memory after passes on `threads` threads.
    pub(super) fn planned_scratch_bytes(&self, threads: usize) -> usize {
        match self {
            Self::Full(conv) => conv.planned_scratch_bytes(threads),
            Self::Depthwise(_) => 0,
        }
    }
}
