//! Stockham's self-sorting mixed-radix transform.

use num_complex::Complex;

use super::ComplexLanes;
use super::butterfly::{Butterfly, Radix2, Radix3, Radix4, load, radix_odd, store};
use crate::Real;
use crate::simd::{Isa, Kernel, dispatch};

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
        2 * self.length + self.pairs_len
    }

    /// Transforms the points of `source` that lie `source_step` apart into those of `target` that lie
    /// `target_step` apart: the first stage reads where the signal is, the last one writes where it goes.
    ///
    /// Not inlined, and dispatching itself, so that its large body exists once for each instruction set. Slices and
    /// steps come one by one: pairs would come through memory, just written, at the price of a stall a call.
    #[inline(never)]
    pub(super) fn process(
        &self,
        source: &[ComplexLanes<T>],
        source_step: usize,
        target: &mut [ComplexLanes<T>],
        target_step: usize,
        scratch: &mut [ComplexLanes<T>],
    ) {
        let (source, target) = (Some((source, source_step)), (target, target_step));
        dispatch(Process { plan: self, source, target, scratch });
    }

    /// Transforms the points of `signal` that lie a step apart in place: only the first stage reads them and only
    /// the last one writes them.
    #[inline(never)]
    pub(super) fn process_in_place(
        &self,
        signal: (&mut [ComplexLanes<T>], usize),
        scratch: &mut [ComplexLanes<T>],
    ) {
        dispatch(Process { plan: self, source: None, target: signal, scratch });
    }
}

struct Process<'a, T> {
    plan: &'a Stockham<T>,
    /// Where the signal lies, if not in `target`.
    source: Option<(&'a [ComplexLanes<T>], usize)>,
    target: (&'a mut [ComplexLanes<T>], usize),
    scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for Process<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, source, target, scratch } = self;
        let (buffers, pairs) = scratch.split_at_mut(2 * plan.length);
        let (mut from, mut to) = buffers.split_at_mut(plan.length);
        let (target, target_step) = target;
        let Some(last) = plan.stages.len().checked_sub(1) else {
            if let Some((source, _)) = source {
                target[0] = source[0];
            }
            return;
        };
        if source.is_none() && last == 0 {
            // A single stage would overwrite what it still has to read.
            for (j, point) in from.iter_mut().enumerate() {
                *point = target[j * target_step];
            }
            plan.stages[0].run(isa, (from, 1), (target, target_step), pairs);
            return;
        }
        for (index, stage) in plan.stages.iter().enumerate() {
            let (input, output) = match (index == 0, index == last) {
                (true, true) => (source.expect("in place there are two stages"), (&mut *target, target_step)),
                (true, false) => (source.unwrap_or((&*target, target_step)), (&mut *to, 1)),
                (false, true) => ((&*from, 1), (&mut *target, target_step)),
                (false, false) => ((&*from, 1), (&mut *to, 1)),
            };
            stage.run(isa, input, output, pairs);
            std::mem::swap(&mut from, &mut to);
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

    /// `target[q + stride·(radix·p + t)] = w[p, t]·Σ_j source[q + stride·(p + groups·j)]·exp(−2πi·jt/radix)`,
    /// indices in steps of the buffers.
    #[inline(always)]
    fn run<I: Isa>(
        &self,
        isa: I,
        source: (&[ComplexLanes<T>], usize),
        target: (&mut [ComplexLanes<T>], usize),
        pairs: &mut [ComplexLanes<T>],
    ) {
        match self.radix {
            2 => self.run_butterflies::<I, Radix2, 2>(isa, source, target),
            3 => self.run_butterflies::<I, Radix3, 3>(isa, source, target),
            4 => self.run_butterflies::<I, Radix4, 4>(isa, source, target),
            _ => self.run_odd(isa, source, target, pairs),
        }
    }

    /// All butterflies of a stage; the twiddles of the first group are all one.
    #[inline(always)]
    fn run_butterflies<I: Isa, B: Butterfly<RADIX>, const RADIX: usize>(
        &self,
        isa: I,
        source: (&[ComplexLanes<T>], usize),
        target: (&mut [ComplexLanes<T>], usize),
    ) {
        let (source, source_step) = source;
        let (target, target_step) = target;
        let (stride, groups) = (self.stride, self.groups);
        let source_span = stride * groups * source_step;
        let target_span = stride * target_step;
        // What `run_butterfly` relies on: the last point of either buffer.
        assert!(source.len() > (RADIX * groups * stride - 1) * source_step);
        assert!(target.len() > (RADIX * groups * stride - 1) * target_step);
        for q in 0..stride {
            let input = (source, q * source_step, source_span);
            let output = (&mut *target, q * target_step, target_span);
            // SAFETY: the largest index is below RADIX·groups·stride steps, see above.
            unsafe { run_butterfly::<T, I, B, RADIX, false>(isa, input, &[], output) };
        }
        for p in 1..groups {
            let w = &self.twiddles[p * (RADIX - 1)..][..RADIX - 1];
            for q in 0..stride {
                let input = (source, (q + stride * p) * source_step, source_span);
                let output = (&mut *target, (q + stride * RADIX * p) * target_step, target_span);
                // SAFETY: the largest index is below RADIX·groups·stride steps, see above.
                unsafe { run_butterfly::<T, I, B, RADIX, true>(isa, input, w, output) };
            }
        }
    }

    #[inline(always)]
    fn run_odd<I: Isa>(
        &self,
        isa: I,
        (source, source_step): (&[ComplexLanes<T>], usize),
        (target, target_step): (&mut [ComplexLanes<T>], usize),
        pairs: &mut [ComplexLanes<T>],
    ) {
        let (radix, stride) = (self.radix, self.stride);
        for p in 0..self.groups {
            let w = &self.twiddles[p * (radix - 1)..][..radix - 1];
            for q in 0..stride {
                let input = (&source[(q + stride * p) * source_step..], stride * self.groups * source_step);
                let output = (&mut target[(q + stride * radix * p) * target_step..], stride * target_step);
                // The twiddles of the last stage, which has one group, are all one.
                if self.groups == 1 {
                    radix_odd::<T, I, false>(isa, &self.roots, input, w, pairs, output);
                } else {
                    radix_odd::<T, I, true>(isa, &self.roots, input, w, pairs, output);
                }
            }
        }
    }
}

/// One butterfly from points `source_span` apart to points `target_span` apart. Bounds are not checked: a
/// check between two stores keeps everything before it in registers that are needed.
///
/// # Safety
/// `at + span·(RADIX − 1)` lies within either buffer.
#[inline(always)]
unsafe fn run_butterfly<T: Real, I: Isa, B: Butterfly<RADIX>, const RADIX: usize, const TWIDDLED: bool>(
    isa: I,
    (source, source_at, source_span): (&[ComplexLanes<T>], usize, usize),
    w: &[Complex<T>],
    (target, target_at, target_span): (&mut [ComplexLanes<T>], usize, usize),
) {
    // SAFETY: the caller vouches for the indices.
    let point = |j: usize| unsafe { source.get_unchecked(source_at + source_span * j) };
    let mut x = [load(isa, point(0)); RADIX];
    for j in 1..RADIX {
        x[j] = load(isa, point(j));
    }
    let y = B::run::<T, I, TWIDDLED>(isa, x, w);
    for t in 0..RADIX {
        // SAFETY: the caller vouches for the indices.
        store(isa, y[t], unsafe { target.get_unchecked_mut(target_at + target_span * t) });
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
