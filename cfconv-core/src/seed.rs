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
        let mut key = [0_u8; 32];
        let words = [self.run_seed, purpose as u64, self.layer, self.step];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

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
