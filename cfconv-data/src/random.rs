//! Random streams, and the few draws it needs.
//!
//! The draws use raw words of ChaCha8 and exactly rounded arithmetic only, so that they are the same on every
//! machine and with every version of the distribution code in `rand`.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// What a stream is for: streams of different purposes never overlap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Embedded = 0x0d01,
    Shuffle = 0x0d02,
    Augment = 0x0d03,
}

/// The stream of (`seed`, `purpose`, `major`, `minor`), for instance (run seed, augment, epoch, position).
///
/// cfconv-core has the same function. A dependency on it for four lines would make this crate, which needs nothing
/// else of it, wait for three crates to compile.
pub(crate) fn stream(seed: u64, purpose: Purpose, major: u64, minor: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, major, minor]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Uniform in [0, 1), a multiple of 2⁻²⁴.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Uniform in [low, high).
pub(crate) fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * unit(rng)
}

/// Uniform in 0 … bound − 1; the bias is below bound·2⁻⁶⁴.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    debug_assert!(bound > 0);
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

/// Shuffles in place (Fisher and Yates).
pub(crate) fn shuffle<T>(rng: &mut ChaCha8Rng, values: &mut [T]) {
    for last in (1..values.len()).rev() {
        values.swap(last, below(rng, last + 1));
    }
}

/// A unit vector with a uniform direction, by rejection from the disc: no sine or cosine, whose last bits differ
/// between machines.
pub(crate) fn direction(rng: &mut ChaCha8Rng) -> (f32, f32) {
    loop {
        let (x, y) = (between(rng, -1.0, 1.0), between(rng, -1.0, 1.0));
        let square = x * x + y * y;
        if (0.01..=1.0).contains(&square) {
            let norm = square.sqrt();
            return (x / norm, y / norm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_in_every_part_of_their_key() {
        let first = |seed, purpose, major, minor| stream(seed, purpose, major, minor).next_u64();
        let words = [
            first(0, Purpose::Shuffle, 0, 0),
            first(1, Purpose::Shuffle, 0, 0),
            first(0, Purpose::Augment, 0, 0),
            first(0, Purpose::Shuffle, 1, 0),
            first(0, Purpose::Shuffle, 0, 1),
        ];
        let distinct: std::collections::HashSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), words.len());
    }

    #[test]
    fn shuffle_moves_every_element_everywhere() {
        let mut rng = stream(3, Purpose::Shuffle, 0, 0);
        let mut counts = [[0_u32; 5]; 5];
        for _ in 0..5000 {
            let mut values = [0, 1, 2, 3, 4];
            shuffle(&mut rng, &mut values);
            for (place, &value) in values.iter().enumerate() {
                counts[place][value] += 1;
            }
        }
        // Expected 1000 with a standard deviation of 28: ±5 deviations.
        assert!(counts.iter().flatten().all(|&count| (860..1140).contains(&count)), "{counts:?}");
    }

    #[test]
    fn directions_have_unit_length() {
        let mut rng = stream(4, Purpose::Embedded, 0, 0);
        for _ in 0..100 {
            let (x, y) = direction(&mut rng);
            assert!((x * x + y * y - 1.0).abs() < 4.0 * f32::EPSILON);
        }
    }
}
