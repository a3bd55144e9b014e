//! Where every random stream of the crate comes from.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// What a random stream is for. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The positions of a training step.
    SamplePositions = 1,
    /// The positions of a sampled estimate of the shadow gap.
    EstimateShadowGap = 2,
    /// The initial parameters of the kernel network.
    InitializeParameters = 3,
}

/// Names one step of one layer of one run: everything random in that step follows from it.
///
/// The four numbers (run seed, purpose, layer, step) are written side by side into the 256-bit key of a
/// ChaCha8 stream. Distinct keys give independent streams, so no hashing is needed, and nothing depends on
/// how many numbers an earlier step has used: a run that resumes at any step continues the same streams.
///
/// # Examples
/// ```
/// use cfconv_core::{Purpose, StepSeed};
/// use rand::Rng;
///
/// let seed = StepSeed { run_seed: 7, layer: 0, step: 12 };
/// let mut first = seed.rng(Purpose::SamplePositions);
/// let mut again = seed.rng(Purpose::SamplePositions);
/// let mut next = seed.at_step(13).rng(Purpose::SamplePositions);
/// let value = first.next_u64();
/// assert_eq!(value, again.next_u64());
/// assert_ne!(value, next.next_u64());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepSeed {
    /// The seed of the whole run.
    pub run_seed: u64,
    /// The layer's number within the network.
    pub layer: u64,
    /// The optimiser step.
    pub step: u64,
}

impl StepSeed {
    /// The same run and layer at another step.
    pub fn at_step(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// Opens the stream for `purpose`.
    pub fn rng(self, purpose: Purpose) -> ChaCha8Rng {
        random_stream([self.run_seed, purpose as u64, self.layer, self.step])
    }
}

/// Opens the ChaCha8 stream whose 256-bit key is these four words, each little-endian.
///
/// Distinct keys give independent streams. One word is for the purpose: those of [`Purpose`] are below 256, users of
/// this function take larger ones.
pub fn random_stream(key: [u64; 4]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(bytemuck::cast(key.map(u64::to_le)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn keys_are_little_endian_words() {
        let key = std::array::from_fn(|byte| byte as u8);
        let words = [0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110, 0x1f1e1d1c1b1a1918];
        assert_eq!(random_stream(words).next_u64(), ChaCha8Rng::from_seed(key).next_u64());
    }

    #[test]
    fn streams_differ_in_every_field() {
        let base = StepSeed { run_seed: 1, layer: 2, step: 3 };
        let first = |seed: StepSeed, purpose| seed.rng(purpose).next_u64();
        let value = first(base, Purpose::SamplePositions);
        assert_ne!(value, first(base, Purpose::EstimateShadowGap));
        assert_ne!(value, first(StepSeed { run_seed: 2, ..base }, Purpose::SamplePositions));
        assert_ne!(value, first(StepSeed { layer: 3, ..base }, Purpose::SamplePositions));
        assert_ne!(value, first(base.at_step(4), Purpose::SamplePositions));
        // Fields do not blend into one another.
        let swapped = StepSeed { run_seed: 1, layer: 3, step: 2 };
        assert_ne!(value, first(swapped, Purpose::SamplePositions));
    }
}
