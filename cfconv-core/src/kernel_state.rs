//! The kernel state, which the layer convolves with: an exponential moving average of sampled values of Φ.

use cfconv_fft::{Complex, Real};
use rayon::prelude::*;

use crate::error::{CoreError, Result};
use crate::sampler::SampledPositions;

/// Positions a thread refreshes at a time.
const CHUNK: usize = 1 << 14;

/// Refreshes the kernel state K̃, one complex value for each position: moves the visited positions S towards `phi`, Φ's
/// values there in the order of the positions.
///
/// ```text
/// K̃₊(u) = K̃(u) + α·(Φ(u) − K̃(u))   for u in S          (α = 1: K̃₊(u) = Φ(u), exactly)
/// K̃₊(u) = K̃(u)                      elsewhere
/// ```
///
/// The layer convolves with K̃₊. Since its backward pass needs no older value, the update is made in place.
pub(crate) fn refresh<T: Real>(
    state: &mut [Complex<T>],
    positions: &SampledPositions,
    phi: &[Complex<T>],
    ema_alpha: T,
) {
    debug_assert_eq!((state.len(), phi.len()), (positions.population(), positions.len()));
    match positions.list() {
        None => state.par_chunks_mut(CHUNK).zip(phi.par_chunks(CHUNK)).for_each(|(state, phi)| {
            for (value, &phi) in state.iter_mut().zip(phi) {
                *value = blend(*value, phi, ema_alpha);
            }
        }),
        Some(list) => {
            for (&position, &phi) in list.iter().zip(phi) {
                let value = &mut state[position as usize];
                *value = blend(*value, phi, ema_alpha);
            }
        }
    }
}

/// Moves `phi`, Φ at every position, to where a refresh of every position would move the state, and leaves the state as
/// it is.
pub(crate) fn refresh_into<T: Real>(state: &[Complex<T>], phi: &mut [Complex<T>], ema_alpha: T) {
    debug_assert_eq!(state.len(), phi.len());
    phi.par_chunks_mut(CHUNK).zip(state.par_chunks(CHUNK)).for_each(|(phi, state)| {
        for (phi, &value) in phi.iter_mut().zip(state) {
            *phi = blend(value, *phi, ema_alpha);
        }
    });
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
        let mut state = old;
        refresh(&mut state, &SampledPositions::all(100), &new, 1.0);
        assert_eq!(state, new);
    }

    #[test]
    fn a_refresh_moves_every_position_by_the_weight() {
        let mut state = vec![Complex::default(); 2];
        let phi = [Complex::new(4.0, 0.0), Complex::new(0.0, 8.0)];
        refresh(&mut state, &SampledPositions::all(2), &phi, 0.25);
        assert_eq!(state, [Complex::new(1.0, 0.0), Complex::new(0.0, 2.0)]);
    }

    #[test]
    fn repeated_refresh_converges_geometrically_to_a_constant_network() {
        let phi = numbers(3, 50);
        let mut state = vec![Complex::default(); 50];
        for step in 1..=10 {
            refresh(&mut state, &SampledPositions::all(50), &phi, 0.5);
            let mut gap = ShadowGap::default();
            gap.add(&state, &phi);
            assert!((gap.ratio() - 0.5_f64.powi(step)).abs() < 1e-6);
        }
    }

    #[test]
    fn refreshed_copy_equals_a_refresh_of_every_position_and_leaves_the_state() {
        let (old, new) = (numbers(4, 33), numbers(5, 33));
        let mut state = old.clone();
        let mut refreshed = new.clone();
        refresh_into(&state, &mut refreshed, 0.3);
        assert_eq!(state, old);
        refresh(&mut state, &SampledPositions::all(33), &new, 0.3);
        assert_eq!(state, refreshed);
    }
}
