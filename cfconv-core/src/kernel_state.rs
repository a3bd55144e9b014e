//! The kernel that the layer convolves with: an exponential moving average of sampled values of Φ.

use cfconv_fft::{Complex, Real};
use rayon::prelude::*;

use crate::error::{CoreError, Result, check_len};
use crate::sampler::SampledPositions;

/// Positions a thread refreshes at a time.
const CHUNK: usize = 1 << 14;

/// The kernel state K̃: one complex value for each position, the newest average of what Φ was there.
///
/// A step refreshes the positions S that it visits and leaves the others as they were:
///
/// ```text
/// K̃₊(u) = K̃(u) + α·(Φ(u) − K̃(u))   for u in S          (α = 1: K̃₊(u) = Φ(u), exactly)
/// K̃₊(u) = K̃(u)                      elsewhere
/// ```
///
/// The layer convolves with K̃₊. Since its backward pass needs no older value, the update is made in place.
///
/// # Examples
/// ```
/// use cfconv_core::{KernelState, SampledPositions};
/// use cfconv_fft::Complex;
///
/// let mut state = KernelState::<f64>::try_new(2, 0.25)?;
/// state.refresh(&SampledPositions::all(2), &[Complex::new(4.0, 0.0), Complex::new(0.0, 8.0)])?;
/// assert_eq!(state.values(), [Complex::new(1.0, 0.0), Complex::new(0.0, 2.0)]);
/// # Ok::<(), cfconv_core::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KernelState<T> {
    values: Vec<Complex<T>>,
    ema_alpha: T,
}

impl<T: Real> KernelState<T> {
    /// Makes a state of `num_positions` zeros; `ema_alpha` is the weight α of a new value.
    ///
    /// # Errors
    /// [`CoreError::InvalidSetting`] unless `ema_alpha` is in (0, 1].
    pub fn try_new(num_positions: usize, ema_alpha: f64) -> Result<Self> {
        check_ema_alpha(ema_alpha)?;
        Ok(Self { values: vec![Complex::default(); num_positions], ema_alpha: T::cast(ema_alpha) })
    }

    /// The kernel, `[H, Wr, Cin, Cout]`.
    pub fn values(&self) -> &[Complex<T>] {
        &self.values
    }

    /// The kernel, to be overwritten.
    pub fn values_mut(&mut self) -> &mut [Complex<T>] {
        &mut self.values
    }

    /// The weight α of a new value.
    pub fn ema_alpha(&self) -> T {
        self.ema_alpha
    }

    /// Moves the visited positions towards `phi`, Φ's values there in the order of the positions.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if the positions are another kernel's or `phi` has the wrong length.
    pub fn refresh(&mut self, positions: &SampledPositions, phi: &[Complex<T>]) -> Result<()> {
        check_len("KernelState::refresh", "positions", self.values.len(), positions.population())?;
        check_len("KernelState::refresh", "phi", positions.len(), phi.len())?;
        let alpha = self.ema_alpha;
        match positions.list() {
            None => self.values.par_chunks_mut(CHUNK).zip(phi.par_chunks(CHUNK)).for_each(|(values, phi)| {
                for (value, &phi) in values.iter_mut().zip(phi) {
                    *value = blend(*value, phi, alpha);
                }
            }),
            Some(list) => {
                for (&position, &phi) in list.iter().zip(phi) {
                    let value = &mut self.values[position as usize];
                    *value = blend(*value, phi, alpha);
                }
            }
        }
        Ok(())
    }

    /// Moves `phi`, Φ at every position, to where a refresh of every position would move the state, and
    /// leaves the state as it is.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `phi` has the wrong length.
    pub fn polish_into(&self, phi: &mut [Complex<T>]) -> Result<()> {
        check_len("KernelState::polish_into", "phi", self.values.len(), phi.len())?;
        let alpha = self.ema_alpha;
        phi.par_chunks_mut(CHUNK).zip(self.values.par_chunks(CHUNK)).for_each(|(phi, values)| {
            for (phi, &value) in phi.iter_mut().zip(values) {
                *phi = blend(value, *phi, alpha);
            }
        });
        Ok(())
    }

    /// Bytes the state takes.
    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<Complex<T>>()
    }
}

/// Checks that α is a weight.
pub(crate) fn check_ema_alpha(ema_alpha: f64) -> Result<()> {
    if ema_alpha > 0.0 && ema_alpha <= 1.0 {
        return Ok(());
    }
    Err(CoreError::InvalidSetting {
        setting: "ema_alpha",
        expected: "a number in (0, 1]",
        got: ema_alpha.to_string(),
    })
}

/// `old + α·(new − old)`; exactly `new` for α = 1.
#[inline(always)]
fn blend<T: Real>(old: Complex<T>, new: Complex<T>, alpha: T) -> Complex<T> {
    if alpha == T::one() { new } else { old + (new - old).scale(alpha) }
}

/// The distance ‖K̃ − Φ‖/‖Φ‖ between the state and the network, summed piece by piece.
///
/// # Examples
/// ```
/// use cfconv_core::ShadowGap;
/// use cfconv_fft::Complex;
///
/// let mut gap = ShadowGap::default();
/// gap.add(&[Complex::new(3.0, 0.0)], &[Complex::new(0.0, 4.0)]); // |3 − 4i| = 5
/// assert_eq!(gap.ratio(), 5.0 / 4.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ShadowGap {
    difference_square: f64,
    phi_square: f64,
}

impl ShadowGap {
    /// Adds some positions: the state's values and Φ's.
    pub fn add<T: Real>(&mut self, state: &[Complex<T>], phi: &[Complex<T>]) {
        debug_assert_eq!(state.len(), phi.len());
        for (&state, &phi) in state.iter().zip(phi) {
            self.difference_square += (state - phi).norm_sqr().as_f64();
            self.phi_square += phi.norm_sqr().as_f64();
        }
    }

    /// ‖K̃ − Φ‖/‖Φ‖ over the positions added so far; 0 if the two are equal.
    pub fn ratio(self) -> f64 {
        if self.difference_square == 0.0 { 0.0 } else { (self.difference_square / self.phi_square).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64, len: usize) -> Vec<Complex<f32>> {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::ChaCha8Rng::seed_from_u64(seed);
        let mut unit = || rng.next_u32() as f32 / u32::MAX as f32 - 0.5;
        (0..len).map(|_| Complex::new(unit(), unit())).collect()
    }

    #[test]
    fn alpha_one_copies_the_new_values_bit_for_bit() {
        let (old, new) = (numbers(1, 100), numbers(2, 100));
        let mut state = KernelState::try_new(100, 1.0).unwrap();
        state.values_mut().copy_from_slice(&old);
        state.refresh(&SampledPositions::all(100), &new).unwrap();
        assert_eq!(state.values(), new);
    }

    #[test]
    fn repeated_refresh_converges_geometrically_to_a_constant_network() {
        let phi = numbers(3, 50);
        let mut state = KernelState::try_new(50, 0.5).unwrap();
        for step in 1..=10 {
            state.refresh(&SampledPositions::all(50), &phi).unwrap();
            let mut gap = ShadowGap::default();
            gap.add(state.values(), &phi);
            assert!((gap.ratio() - 0.5_f64.powi(step)).abs() < 1e-6);
        }
    }

    #[test]
    fn polish_equals_a_refresh_of_every_position_and_leaves_the_state() {
        let (old, new) = (numbers(4, 33), numbers(5, 33));
        let mut state = KernelState::try_new(33, 0.3).unwrap();
        state.values_mut().copy_from_slice(&old);
        let mut polished = new.clone();
        state.polish_into(&mut polished).unwrap();
        assert_eq!(state.values(), old);
        state.refresh(&SampledPositions::all(33), &new).unwrap();
        assert_eq!(state.values(), polished);
    }
}
