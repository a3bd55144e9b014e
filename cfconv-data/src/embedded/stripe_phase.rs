//! Two bands of vertical stripes: are they in phase or opposite?
//!
//! Both bands have the same wavelength, and each band alone has a random phase, whatever the class. So no part of an
//! image that shows one band says anything about the class: an answer compares places that are `distance` rows apart.

use rand::rngs::ChaCha8Rng;

use super::Drawing;
use super::canvas::Canvas;
use crate::floor_to_i32::floor_to_i32;
use crate::random::{below, between, unit};

/// Rows of a band.
const HEIGHT: usize = 4;

pub(super) struct StripePhase;

impl Drawing for StripePhase {
    fn class_names(&self) -> Vec<String> {
        ["in phase", "opposite"].map(str::to_owned).into()
    }

    fn distances(&self, size: usize) -> Option<std::ops::RangeInclusive<usize>> {
        Some(HEIGHT..=size.saturating_sub(HEIGHT))
    }

    fn draw(&self, size: usize, distance: usize, class: usize, rng: &mut ChaCha8Rng, image: &mut [u8]) {
        let mut canvas = Canvas::new(size, 0.5);
        let wavelength = between(rng, 4.0, 8.0);
        let phase = unit(rng);
        let top = below(rng, size - distance - HEIGHT + 1);
        for (band, shift) in [(top, 0.0), (top + distance, 0.5 * class as f32)] {
            let contrast = between(rng, 0.25, 0.4);
            for column in 0..size {
                let level = 0.5 + contrast * wave(column as f32 / wavelength + phase + shift);
                for row in band..band + HEIGHT {
                    canvas.set(row, column, level);
                }
            }
        }
        canvas.write(rng, image);
    }
}

/// A triangle wave of period 1 between −1 and 1: a sine's last bits differ between machines.
fn wave(turns: f32) -> f32 {
    let part = turns - floor_to_i32(turns) as f32;
    4.0 * (part - 0.5).abs() - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn waves_are_periodic_and_half_a_period_turns_them_over() {
        for step in 0..40 {
            let turns = step as f32 * 0.1;
            assert!((wave(turns) - wave(turns + 1.0)).abs() < 1e-5);
            assert!((wave(turns) + wave(turns + 0.5)).abs() < 1e-5);
        }
    }

    #[test]
    fn classes_differ_in_the_second_band_alone() {
        let (size, distance) = (24, 12);
        let draw = |class| {
            let mut image = vec![0; 3 * size * size];
            let mut rng = stream(7, Purpose::Embedded, 0, 0);
            StripePhase.draw(size, distance, class, &mut rng, &mut image);
            image
        };
        let (even, odd) = (draw(0), draw(1));
        let differing: Vec<usize> =
            (0..size).filter(|row| (0..size).any(|x| even[row * size + x] != odd[row * size + x])).collect();
        assert_eq!(differing.len(), HEIGHT, "{differing:?}");
    }
}
