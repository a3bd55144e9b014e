//! Stockham's self-sorting mixed-radix transform.

use num_complex::Complex;

use super::Point;
use super::butterfly::{radix_odd, radix2, radix3, radix4};
use crate::Real;
use crate::simd::Isa;

/// A transform whose length has only small prime factors. Each stage reads one buffer and writes the other
/// in order, so there is no bit reversal. Twiddle factors are computed in `f64`.
#[derive(Clone, Debug)]
pub(super) struct Stockham<T> {
    length: usize,
    stages: Vec<Stage<T>>,
    /// Points of scratch for butterflies of odd radix.
    pairs_len: usize,
}

/// One pass: `span` butterflies groups of `stride` adjacent signals each.
#[derive(Clone, Debug)]
struct Stage<T> {
    radix: usize,
    /// Butterfly groups with their own twiddles: the length still to be transformed divided by the radix.
    groups: usize,
    /// Signals that share a twiddle: the product of the radices already done.
    stride: usize,
    /// `exp(−2πi·p·t/(groups·radix))` for group p, t = 1 … radix − 1.
    twiddles: Vec<Complex<T>>,
    /// `exp(−2πi·k/radix)`, only for radices without a butterfly of their own.
    roots: Vec<Complex<T>>,
}

impl<T: Real> Stockham<T> {
    pub(super) fn new(length: usize) -> Self {
        let mut stages = Vec::new();
        let mut stride = 1;
        let mut remaining = length;
        for radix in factorize(length) {
            remaining /= radix;
            stages.push(Stage::new(radix, remaining, stride));
            stride *= radix;
        }
        let pairs_len = stages.iter().map(|stage| stage.roots.len()).max().unwrap_or(0);
        Self { length, stages, pairs_len }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn scratch_len(&self) -> usize {
        self.length + self.pairs_len
    }

    /// Transforms `data` and returns the buffer that holds the result: `data` or the start of `scratch`.
    #[inline(always)]
    pub(super) fn process<'a, I: Isa>(
        &self,
        isa: I,
        data: &'a mut [Point<T>],
        scratch: &'a mut [Point<T>],
    ) -> &'a mut [Point<T>] {
        let (buffer, pairs) = scratch.split_at_mut(self.length);
        let (mut source, mut target) = (data, buffer);
        for stage in &self.stages {
            stage.run(isa, source, target, pairs);
            std::mem::swap(&mut source, &mut target);
        }
        source
    }

    /// Transforms `data` in place.
    #[inline(always)]
    pub(super) fn process_in_place<I: Isa>(&self, isa: I, data: &mut [Point<T>], scratch: &mut [Point<T>]) {
        self.process(isa, data, scratch);
        if self.stages.len() % 2 == 1 {
            data.copy_from_slice(&scratch[..self.length]);
        }
    }
}

impl<T: Real> Stage<T> {
    fn new(radix: usize, groups: usize, stride: usize) -> Self {
        let length = groups * radix;
        let twiddles =
            (0..groups).flat_map(|p| (1..radix).map(move |t| root_of_unity(p * t, length))).collect();
        let roots = match radix {
            2..=4 => Vec::new(),
            _ => (0..radix).map(|k| root_of_unity(k, radix)).collect(),
        };
        Self { radix, groups, stride, twiddles, roots }
    }

    /// `target[q + stride·(radix·p + t)] = w[p, t]·Σ_j source[q + stride·(p + groups·j)]·exp(−2πi·jt/radix)`.
    #[inline(always)]
    fn run<I: Isa>(&self, isa: I, source: &[Point<T>], target: &mut [Point<T>], pairs: &mut [Point<T>]) {
        // The last stage has one group, whose twiddles are all one.
        if self.groups == 1 {
            self.run_groups::<I, false>(isa, source, target, pairs);
        } else {
            self.run_groups::<I, true>(isa, source, target, pairs);
        }
    }

    #[inline(always)]
    fn run_groups<I: Isa, const TWIDDLED: bool>(
        &self,
        isa: I,
        source: &[Point<T>],
        target: &mut [Point<T>],
        pairs: &mut [Point<T>],
    ) {
        let (radix, stride) = (self.radix, self.stride);
        let span = stride * self.groups;
        for p in 0..self.groups {
            let w = &self.twiddles[p * (radix - 1)..(p + 1) * (radix - 1)];
            let input = &source[stride * p..];
            let output = &mut target[stride * radix * p..stride * radix * (p + 1)];
            match radix {
                2 => {
                    let (y0, y1) = output.split_at_mut(stride);
                    for q in 0..stride {
                        radix2::<T, I, TWIDDLED>(
                            isa,
                            [&input[q], &input[q + span]],
                            w,
                            [&mut y0[q], &mut y1[q]],
                        );
                    }
                }
                3 => {
                    let (y0, rest) = output.split_at_mut(stride);
                    let (y1, y2) = rest.split_at_mut(stride);
                    for q in 0..stride {
                        radix3::<T, I, TWIDDLED>(
                            isa,
                            [&input[q], &input[q + span], &input[q + 2 * span]],
                            w,
                            [&mut y0[q], &mut y1[q], &mut y2[q]],
                        );
                    }
                }
                4 => {
                    let (y01, y23) = output.split_at_mut(2 * stride);
                    let (y0, y1) = y01.split_at_mut(stride);
                    let (y2, y3) = y23.split_at_mut(stride);
                    for q in 0..stride {
                        radix4::<T, I, TWIDDLED>(
                            isa,
                            [&input[q], &input[q + span], &input[q + 2 * span], &input[q + 3 * span]],
                            w,
                            [&mut y0[q], &mut y1[q], &mut y2[q], &mut y3[q]],
                        );
                    }
                }
                _ => {
                    for q in 0..stride {
                        radix_odd::<T, I, TWIDDLED>(
                            isa,
                            &self.roots,
                            (&input[q..], span),
                            w,
                            pairs,
                            (&mut output[q..], stride),
                        );
                    }
                }
            }
        }
    }
}

/// `exp(−2πi·index/length)`, rounded once from `f64`.
pub(super) fn root_of_unity<T: Real>(index: usize, length: usize) -> Complex<T> {
    let angle = -2.0 * std::f64::consts::PI * ((index % length) as f64 / length as f64);
    Complex::new(T::cast(angle.cos()), T::cast(angle.sin()))
}

/// Factors of `length`: fours first, then the primes 2, 3, 5, … in order. Empty for 1.
pub(super) fn factorize(length: usize) -> Vec<usize> {
    debug_assert!(length > 0);
    let mut factors = Vec::new();
    let mut rest = length;
    while rest.is_multiple_of(4) {
        factors.push(4);
        rest /= 4;
    }
    let mut candidate = 2;
    while rest > 1 {
        while rest.is_multiple_of(candidate) {
            factors.push(candidate);
            rest /= candidate;
        }
        candidate += 1;
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorize_takes_fours_first() {
        assert_eq!(factorize(1), []);
        assert_eq!(factorize(64), [4, 4, 4]);
        assert_eq!(factorize(96), [4, 4, 2, 3]);
        assert_eq!(factorize(2 * 7 * 31), [2, 7, 31]);
    }
}
