//! The measurement of gaps, for devices that keep the kernel state elsewhere.

use cfconv_fft::{Complex, Real};

use crate::error::{Result, check_len};
use crate::sampler::{GapProfile, SampledPositions};

/// Measures by how much Φ differs from the state at the positions of a step, before they are refreshed.
///
/// # Shapes
/// `state` one value for each position of the kernel, `phi` one for each of `positions`.
///
/// # Errors
/// [`CoreError::ShapeMismatch`](crate::CoreError::ShapeMismatch) if a slice has the wrong length.
pub fn measure_gaps<T: Real>(
    positions: &SampledPositions,
    state: &[Complex<T>],
    phi: &[Complex<T>],
) -> Result<GapProfile> {
    check_len("measure_gaps", "state", positions.population(), state.len())?;
    check_len("measure_gaps", "phi", positions.len(), phi.len())?;
    Ok(GapProfile::measure(positions, state, phi))
}
