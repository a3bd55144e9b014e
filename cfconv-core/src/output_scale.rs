//! The factor that gives the initial kernel a wanted output variance, as a rule He's.

use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, Real};
use cfconv_mlp::KernelGrid;

use crate::error::{CoreError, Result};
use crate::pair_planes::inverse_planes;

/// Output variance, for inputs of unit mean square, of a convolution whose weights have variance 2/fan-in.
pub(crate) const HE_VARIANCE: f64 = 2.0;

/// Computes the factor by which to multiply `values` so that the output variance is `wanted`, that of a
/// He-initialised convolution for [`HE_VARIANCE`].
///
/// White noise x of unit variance gives `y[o, p] = Σ_i Σ_δ t[i, o, δ]·x[i, p − δ]` the variance
/// `Σ_i Σ_δ t²` at an output pixel p that every tap t reaches. With circular padding that is each pixel.
/// With z rows of zeros, tap δ reaches the share 1 − min(|δ_h|, z, H)/H of rows (beyond z it wraps around), and so for
/// columns, which is its weight in the mean over pixels. The variance is averaged over the layer's `out_channels` (for
/// a depthwise layer as many as the grid has input channels). By Parseval's theorem the circular sum
/// is `1/(H·W)·Σ m·|K|²` of the Hermitian part of K.
///
/// # Shapes
/// `values` `[grid.height, grid.half_width(), Cin, Cout]`; `(height, width)` the images' size, `zeros` the rows and
/// columns of zeros beyond them.
///
/// # Errors
/// [`CoreError::DegenerateKernel`] if the variance is zero or not finite.
///
/// # Source
/// He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, equation 10.
pub(crate) fn variance_output_scale<T: Real>(
    grid: &KernelGrid,
    values: &[Complex<T>],
    out_channels: usize,
    (height, width): (usize, usize),
    zeros: (usize, usize),
    wanted: f64,
) -> Result<f64> {
    let plan = LanesRfft2::<T>::try_new(grid.height, grid.width)?;
    let scale = T::one() / T::cast((grid.height * grid.width) as f64);
    let share = |at: usize, extent: usize, image: usize, zeros: usize| {
        let distance = at.min(extent - at);
        1.0 - distance.min(zeros).min(image) as f64 / image as f64
    };
    let shares: Vec<f64> = (0..grid.height * grid.width)
        .map(|at| {
            share(at / grid.width, grid.height, height, zeros.0)
                * share(at % grid.width, grid.width, width, zeros.1)
        })
        .collect();
    let mut total = 0.0;
    inverse_planes(
        &plan,
        grid.num_channel_pairs(),
        values,
        scale,
        |_| T::one(),
        |range, plane| {
            for (taps, share) in plane.chunks_exact(range.len()).zip(&shares) {
                total += share * taps.iter().map(|tap| tap.as_f64().powi(2)).sum::<f64>();
            }
        },
    );
    let variance = total / out_channels as f64;
    let factor = (wanted / variance).sqrt();
    if variance > 0.0 && factor.is_finite() && factor > 0.0 {
        Ok(factor)
    } else {
        Err(CoreError::DegenerateKernel { variance })
    }
}
