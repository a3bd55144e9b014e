//! The first layer of a network of sines, by angle addition.
//!
//! Its pre-activation is a sum of one phase for each axis, `z(h, w, i, o) = φ(h, w) + φ_in(i) + φ_out(o)`. So the sines
//! and cosines of each axis' phases give those of every position with four multiplications in place of a product and
//! a polynomial. Positions come sorted: the part of the frequency, and that of frequency and input channel together,
//! seldom change and are kept.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, LaneVec, dispatch};

use crate::GridPoint;
use crate::activation::activate;
use crate::config::Activation;
use crate::coords::InputEncoder;

/// sin and cos of every unit's phase at some places, `[places][blocks of lanes]`.
#[derive(Clone, Debug)]
struct Phasors<T> {
    sine: LaneVec<T>,
    cosine: LaneVec<T>,
}

impl<T: Real> Phasors<T> {
    fn new(places: usize, blocks: usize) -> Self {
        let zeros = LaneVec::zeros(places * blocks);
        Self { sine: zeros.clone(), cosine: zeros }
    }

    /// Replaces the phases in `sine` by their sines and writes their cosines to `cosine`.
    fn apply_sincos(&mut self) {
        activate::<T, true>(Activation::Sine, self.sine.as_flattened_mut(), self.cosine.as_flattened_mut());
    }
}

/// The first layer of one MLP at the places of each axis, and where the last position was.
#[derive(Clone, Debug)]
pub(crate) struct AngleAddition<T> {
    /// Weights of all features, `[in_features][blocks]`, and the bias.
    weight: LaneVec<T>,
    bias: LaneVec<T>,
    blocks: usize,
    /// Features of one axis, on their way to phases.
    features: Vec<T>,
    /// For each channel axis.
    axes: Vec<Phasors<T>>,
    /// The frequency of the last position, its phasors first in `prefix`.
    frequency: Option<(usize, usize)>,
    /// The first channel of the last position, if there are two; the phasors of frequency and channel together come
    /// second in `prefix`.
    first_channel: Option<usize>,
    prefix: Vec<Phasors<T>>,
}

impl<T: Real> AngleAddition<T> {
    /// Buffers for a layer of `units` on the inputs of `encoder`.
    pub(crate) fn new(encoder: &InputEncoder<T>, units: usize) -> Self {
        let blocks = units.div_ceil(LANES);
        Self {
            weight: LaneVec::zeros(encoder.in_features() * blocks),
            bias: LaneVec::zeros(blocks),
            blocks,
            features: vec![T::ZERO; encoder.in_features()],
            axes: encoder.channel_counts().map(|count| Phasors::new(count, blocks)).collect(),
            frequency: None,
            first_channel: None,
            prefix: encoder.channel_counts().map(|_| Phasors::new(1, blocks)).collect(),
        }
    }

    /// Tabulates the layer with weight `[units, in_features]`; `params` holds the embeddings.
    pub(crate) fn tabulate(&mut self, encoder: &InputEncoder<T>, params: &[T], weight: &[T], bias: &[T]) {
        let in_features = encoder.in_features();
        let units = self.blocks * LANES;
        for (unit, row) in weight.chunks_exact(in_features).enumerate() {
            for (feature, &value) in row.iter().enumerate() {
                self.weight.as_flattened_mut()[feature * units + unit] = value;
            }
        }
        self.bias.as_flattened_mut()[..bias.len()].copy_from_slice(bias);
        let mut first = encoder.frequency_features();
        for (axis, phasors) in self.axes.iter_mut().enumerate() {
            let features = &mut self.features[..encoder.channel_features(axis)];
            let weight = &self.weight[first * self.blocks..];
            first += features.len();
            for (channel, phases) in phasors.sine.chunks_exact_mut(self.blocks).enumerate() {
                encoder.encode_channel(axis, channel, params, features);
                phases.fill([T::ZERO; LANES]);
                dispatch(AddPhases { weight, features, phases });
            }
            phasors.apply_sincos();
        }
        (self.frequency, self.first_channel) = (None, None);
    }

    /// Writes the layer's sines at sorted `points` to rows of `sine`, with `COSINE` their cosines to `cosine`.
    pub(crate) fn evaluate<const COSINE: bool>(
        &mut self,
        encoder: &InputEncoder<T>,
        points: &[GridPoint],
        sine: &mut [T],
        cosine: &mut [T],
    ) {
        dispatch(AtPoints::<T, COSINE> { layer: self, encoder, points, sine, cosine });
    }

    /// Makes the last of `prefix` that of `point`.
    #[inline(always)]
    fn move_to<I: Isa>(&mut self, isa: I, encoder: &InputEncoder<T>, point: GridPoint) {
        if self.frequency != Some((point.h, point.w)) {
            self.move_to_frequency(encoder, point);
        }
        if let [first, _] = &self.axes[..] {
            let channel = encoder.channel_of(0, point);
            if self.first_channel != Some(channel) {
                self.first_channel = Some(channel);
                let (frequency, both) = self.prefix.split_at_mut(1);
                let (sine, cosine) = (both[0].sine.iter_mut(), both[0].cosine.iter_mut());
                let places = channel * self.blocks..(channel + 1) * self.blocks;
                let (s, c) = (&first.sine[places.clone()], &first.cosine[places]);
                for (block, (sine, cosine)) in sine.zip(cosine).enumerate() {
                    let a = (isa.load(&frequency[0].sine[block]), isa.load(&frequency[0].cosine[block]));
                    let b = (isa.load(&s[block]), isa.load(&c[block]));
                    isa.store(sine_of_sum(isa, a, b), sine);
                    isa.store(cosine_of_sum(isa, a, b), cosine);
                }
            }
        }
    }

    /// Seldom, and too long to be part of the loop over positions.
    #[inline(never)]
    fn move_to_frequency(&mut self, encoder: &InputEncoder<T>, point: GridPoint) {
        let features = &mut self.features[..encoder.frequency_features()];
        encoder.encode_frequency(point, features);
        let frequency = &mut self.prefix[0];
        frequency.sine.copy_from_slice(&self.bias);
        dispatch(AddPhases { weight: &self.weight, features, phases: &mut frequency.sine });
        frequency.apply_sincos();
        self.frequency = Some((point.h, point.w));
        self.first_channel = None;
    }
}

/// `phases += Σ_k features[k]·weight[k]`.
struct AddPhases<'a, T> {
    /// `[features][blocks]`
    weight: &'a [[T; LANES]],
    features: &'a [T],
    phases: &'a mut [[T; LANES]],
}

impl<T: Real> Kernel for AddPhases<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (weight, &feature) in self.weight.chunks_exact(self.phases.len()).zip(self.features) {
            for (phase, weight) in self.phases.iter_mut().zip(weight) {
                isa.store(isa.fma(isa.splat(feature), isa.load(weight), isa.load(phase)), phase);
            }
        }
    }
}

/// sin(a + b) from (sin, cos) of a and b.
#[inline(always)]
fn sine_of_sum<T: Real, I: Isa>(
    isa: I,
    a: (I::Lanes<T>, I::Lanes<T>),
    b: (I::Lanes<T>, I::Lanes<T>),
) -> I::Lanes<T> {
    isa.fma(a.0, b.1, isa.mul(a.1, b.0))
}

/// cos(a + b) from (sin, cos) of a and b.
#[inline(always)]
fn cosine_of_sum<T: Real, I: Isa>(
    isa: I,
    a: (I::Lanes<T>, I::Lanes<T>),
    b: (I::Lanes<T>, I::Lanes<T>),
) -> I::Lanes<T> {
    isa.sub(isa.mul(a.1, b.1), isa.mul(a.0, b.0))
}

struct AtPoints<'a, T: Real, const COSINE: bool> {
    layer: &'a mut AngleAddition<T>,
    encoder: &'a InputEncoder<T>,
    points: &'a [GridPoint],
    /// `[points][blocks·LANES]`
    sine: &'a mut [T],
    cosine: &'a mut [T],
}

impl<T: Real, const COSINE: bool> Kernel for AtPoints<'_, T, COSINE> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { layer, encoder, points, sine, cosine } = self;
        let blocks = layer.blocks;
        let last_axis = layer.axes.len() - 1;
        let (sine, _) = sine.as_chunks_mut::<LANES>();
        let (cosine, _) = cosine.as_chunks_mut::<LANES>();
        for (position, &point) in points.iter().enumerate() {
            layer.move_to(isa, encoder, point);
            let (prefix, axis) = (&layer.prefix[last_axis], &layer.axes[last_axis]);
            let channel = encoder.channel_of(last_axis, point);
            let row = position * blocks..(position + 1) * blocks;
            let sine = &mut sine[row.clone()];
            let cosine = if COSINE { &mut cosine[row] } else { &mut [] };
            let places = channel * blocks..(channel + 1) * blocks;
            let (s, c) = (&axis.sine[places.clone()], &axis.cosine[places]);
            for block in 0..blocks {
                let a = (isa.load(&prefix.sine[block]), isa.load(&prefix.cosine[block]));
                let b = (isa.load(&s[block]), isa.load(&c[block]));
                isa.store(sine_of_sum(isa, a, b), &mut sine[block]);
                if COSINE {
                    isa.store(cosine_of_sum(isa, a, b), &mut cosine[block]);
                }
            }
        }
    }
}
