//! Which of the two transforms carries the factor 1/(HW).

use crate::Real;

/// Normalisation of a transform pair of N = H·W points.
///
/// The sums themselves are those of docs/conventions.md; the norm says by which real factor each is
/// multiplied, so that a forward transform followed by an inverse one with the same norm is the identity.
///
/// | norm | forward | inverse |
/// |---|---|---|
/// | `Backward` | 1 | 1/N |
/// | `Ortho` | 1/√N | 1/√N |
/// | `Forward` | 1/N | 1 |
///
/// # Examples
/// ```
/// use cfconv_fft::FftNorm;
///
/// assert_eq!(FftNorm::Ortho.forward_scale::<f64>(16), 0.25);
/// assert_eq!(FftNorm::default(), FftNorm::Backward);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FftNorm {
    /// The inverse carries 1/N.
    #[default]
    Backward,
    /// Both carry 1/√N: the complex transforms are unitary.
    Ortho,
    /// The forward transform carries 1/N: spectra hold the amplitudes of the harmonics.
    Forward,
}

impl FftNorm {
    /// Every norm, for tests and benchmarks that go through all of them.
    pub const ALL: [Self; 3] = [Self::Backward, Self::Ortho, Self::Forward];

    /// The factor of the forward transform of `points` = H·W points.
    pub fn forward_scale<T: Real>(self, points: usize) -> T {
        T::cast(self.scale_of(points, Self::Forward))
    }

    /// The factor of the inverse transform of `points` = H·W points.
    pub fn inverse_scale<T: Real>(self, points: usize) -> T {
        T::cast(self.scale_of(points, Self::Backward))
    }

    fn scale_of(self, points: usize, carrier: Self) -> f64 {
        match self {
            Self::Ortho => 1.0 / (points as f64).sqrt(),
            norm if norm == carrier => 1.0 / points as f64,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_times_inverse_scale_is_one_over_n() {
        for norm in FftNorm::ALL {
            let product: f64 = norm.forward_scale::<f64>(35) * norm.inverse_scale::<f64>(35);
            assert!((product * 35.0 - 1.0).abs() < 1e-15, "{norm:?}");
        }
    }
}
