//! Real transforms of batches of images, any size up to what shared memory holds.

use std::f64::consts::TAU;

use cfconv_fft::half_width;

use super::{Argument, Grid, Launcher, Scratch, count, launch};
use crate::device::{Buffer, DeviceError, IndexBuffer, Result, Span, SpanMut};

/// Most pairs of images of a block, most images of a block: whole sectors of memory are read and written.
const MAX_PAIRS: usize = 8;
const MAX_IMAGES: usize = 16;

/// Longest transform: two copies of one line of complex numbers fill the shared memory.
const MAX_SIZE: usize = Grid::SHARED_BYTES / (2 * COMPLEX_BYTES);
const COMPLEX_BYTES: usize = 2 * size_of::<f32>();

/// Roots of unity and factors of one length.
#[derive(Debug)]
pub(crate) struct Roots<L: Launcher> {
    size: usize,
    /// Their number, then they.
    factors: IndexBuffer<L>,
    /// exp(−2πi·j/size), `[size, 2]`.
    roots: Buffer<L>,
}

impl<L: Launcher> Roots<L> {
    pub(crate) fn new(device: &L, size: usize) -> Result<Self> {
        let factors = factors_of(size);
        let list: Vec<u32> = std::iter::once(factors.len()).chain(factors).map(|n| n as u32).collect();
        let roots: Vec<f32> = (0..size)
            .flat_map(|j| {
                let (sine, cosine) = (TAU * j as f64 / size as f64).sin_cos();
                [cosine as f32, -sine as f32]
            })
            .collect();
        let mut buffer = device.alloc_indices(list.len())?;
        device.upload_indices(&list, &mut buffer)?;
        Ok(Self { size, factors: buffer, roots: device.to_device(&roots)? })
    }

    pub(crate) fn table(&self) -> Span<'_, L> {
        Span::new(&self.roots, 0..2 * self.size)
    }

    /// Lines that a block takes at a time, and the bytes that they need.
    fn lanes(&self, wanted: usize) -> (usize, usize) {
        let lanes = (MAX_SIZE / self.size).clamp(1, wanted);
        (lanes, 2 * self.size * lanes * COMPLEX_BYTES)
    }
}

/// Factors of a length: fours first, so that there are few passes.
fn factors_of(size: usize) -> Vec<usize> {
    let (mut rest, mut factors) = (size, Vec::new());
    let mut factor = 4;
    while rest > 1 {
        if factor * factor > rest && factor > 4 {
            factor = rest;
        }
        if rest % factor == 0 {
            rest /= factor;
            factors.push(factor);
        } else {
            factor = match factor {
                4 => 2,
                2 => 3,
                3 => 5,
                odd => odd + 2,
            };
        }
    }
    factors
}

/// Transforms between images of one size and half spectra of a torus that is at least as large.
#[derive(Debug)]
pub struct RealTransform<L: Launcher> {
    image: (usize, usize),
    rows: Roots<L>,
    columns: Roots<L>,
}

impl<L: Launcher> RealTransform<L> {
    /// # Errors
    /// [`DeviceError::Fft`] for a size of zero, [`DeviceError::UnsupportedSize`] for one that is too long.
    pub(crate) fn new(
        device: &L,
        op: &'static str,
        image: (usize, usize),
        torus: (usize, usize),
    ) -> Result<Self> {
        for (name, got) in [("height", torus.0), ("width", torus.1)] {
            if got == 0 {
                return Err(cfconv_fft::FftError::ZeroSize { op, name }.into());
            }
            if got > MAX_SIZE {
                let expected = "at most 3072 on the CUDA device";
                return Err(DeviceError::UnsupportedSize { op, name, expected, got });
            }
        }
        Ok(Self { image, rows: Roots::new(device, torus.1)?, columns: Roots::new(device, torus.0)? })
    }

    pub(crate) fn row_roots(&self) -> &Roots<L> {
        &self.rows
    }

    pub(crate) fn column_roots(&self) -> &Roots<L> {
        &self.columns
    }

    pub(crate) fn bins(&self) -> usize {
        self.columns.size * half_width(self.rows.size)
    }

    fn image_plane(&self, batch: usize) -> usize {
        self.image.0 * self.image.1 * batch
    }

    /// Values of the half spectra of `channels` channels.
    pub(crate) fn spectra_len(&self, channels: usize, batch: usize) -> usize {
        channels * self.bins() * 2 * batch
    }

    /// `spectra = scale·rfft2(images)`, zeros beyond the image; columns that stand for two are multiplied by `paired`.
    pub(crate) fn forward(
        &self,
        device: &L,
        batch: usize,
        images: Span<'_, L>,
        mut spectra: SpanMut<'_, L>,
        scale: f32,
        paired: f32,
    ) -> Result<()> {
        let channels = images.len() / self.image_plane(batch);
        let (lanes, shared) = self.rows.lanes(batch.div_ceil(2).min(MAX_PAIRS));
        let blocks = [self.image.0, channels, batch.div_ceil(2 * lanes)];
        launch!(
            device,
            "rfft_rows",
            Grid::new(blocks, L::THREADS).with_shared(shared),
            images,
            spectra.reborrow(),
            Argument::ReadIndices(&self.rows.factors),
            self.rows.table(),
            self.image.1,
            self.rows.size,
            self.columns.size,
            batch,
            lanes,
            scale,
            paired
        )?;
        let rows = (self.image.0, self.columns.size);
        self.columns_pass(device, None, spectra, ColumnsPass { batch, channels, rows, inverse: false })
    }

    /// `images = scale·H·W·irfft2(spectra) + bias` within the image (`irfft2` has the factor 1/(H·W)); columns that
    /// stand for two are multiplied by `paired` before.
    pub(crate) fn inverse(
        &self,
        device: &L,
        batch: usize,
        spectra: Span<'_, L>,
        images: SpanMut<'_, L>,
        bias: Option<Span<'_, L>>,
        scale: f32,
        paired: f32,
    ) -> Result<()> {
        let channels = images.len() / self.image_plane(batch);
        let mut columns = Scratch::new(device, spectra.len())?;
        let pass = ColumnsPass { batch, channels, rows: (self.columns.size, self.image.0), inverse: true };
        self.columns_pass(device, Some(spectra), columns.all_mut(), pass)?;
        let (lanes, shared) = self.rows.lanes(batch.div_ceil(2).min(MAX_PAIRS));
        let blocks = [self.image.0, channels, batch.div_ceil(2 * lanes)];
        launch!(
            device,
            "irfft_rows",
            Grid::new(blocks, L::THREADS).with_shared(shared),
            columns.all(),
            images,
            bias,
            Argument::ReadIndices(&self.rows.factors),
            self.rows.table(),
            self.image.1,
            self.rows.size,
            self.columns.size,
            batch,
            lanes,
            scale,
            paired
        )
    }

    /// Transforms the columns from `source` to `target`, or of `target` in place.
    fn columns_pass(
        &self,
        device: &L,
        source: Option<Span<'_, L>>,
        target: SpanMut<'_, L>,
        pass: ColumnsPass,
    ) -> Result<()> {
        let ColumnsPass { batch, channels, rows: (rows_in, rows_out), inverse } = pass;
        let (lanes, shared) = self.columns.lanes(batch.min(MAX_IMAGES));
        let blocks = [half_width(self.rows.size), channels, batch.div_ceil(lanes)];
        launch!(
            device,
            "fft_columns",
            Grid::new(blocks, L::THREADS).with_shared(shared),
            source,
            target,
            Argument::ReadIndices(&self.columns.factors),
            self.columns.table(),
            self.columns.size,
            rows_in,
            rows_out,
            batch,
            lanes,
            inverse
        )
    }
}

/// Sizes of a pass over the columns of half spectra.
struct ColumnsPass {
    batch: usize,
    channels: usize,
    /// Rows that are not zero before the pass, and rows that are wanted after it.
    rows: (usize, usize),
    inverse: bool,
}

/// Sizes of a cropping of half spectra.
#[derive(Clone, Copy, Debug)]
pub struct SpectrumCrop {
    pub(crate) channels: usize,
    pub(crate) large: (usize, usize),
    pub(crate) small: (usize, usize),
    /// What values are multiplied by.
    pub(crate) scale: f32,
    /// Whether the Nyquist column that two of the larger spectrum share becomes Hermitian here.
    pub(crate) hermitian: bool,
}

impl SpectrumCrop {
    /// Whether the smaller spectrum's last column is one that the larger one has twice, at +1/2 and −1/2.
    pub(crate) fn shares_a_column(large: (usize, usize), small: (usize, usize)) -> bool {
        small.1.is_multiple_of(2) && small.1 < large.1
    }

    pub(crate) fn forward<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        large: Span<'_, L>,
        small: SpanMut<'_, L>,
    ) -> Result<()> {
        let grid = Grid::over(count(small.len() / 2), L::THREADS);
        launch!(
            device,
            "crop_spectrum",
            grid,
            large,
            small,
            self.channels,
            self.large.0,
            half_width(self.large.1),
            self.small.0,
            half_width(self.small.1),
            batch,
            self.scale,
            self.hermitian
        )
    }

    /// The adjoint; the smaller spectrum's last column counts `nyquist` times.
    pub(crate) fn adjoint<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        small: Span<'_, L>,
        large: SpanMut<'_, L>,
        nyquist: f32,
    ) -> Result<()> {
        let grid = Grid::over(count(large.len() / 2), L::THREADS);
        launch!(
            device,
            "crop_spectrum_adjoint",
            grid,
            small,
            large,
            self.channels,
            self.large.0,
            half_width(self.large.1),
            self.small.0,
            half_width(self.small.1),
            batch,
            self.scale,
            nyquist,
            self.hermitian
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_to_the_length() {
        for size in 1..=MAX_SIZE {
            let factors = factors_of(size);
            assert_eq!(factors.iter().product::<usize>(), size);
            let is_prime = |n: usize| (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
            assert!(factors.iter().all(|&n| n == 4 || is_prime(n)), "{size}: {factors:?}");
        }
        assert_eq!(factors_of(64), [4, 4, 4]);
        assert_eq!(factors_of(30), [2, 3, 5]);
        assert_eq!(factors_of(1), [0; 0]);
    }
}
