//! Grey pictures before they become bytes.

use rand::rngs::ChaCha8Rng;

use crate::dataset::CHANNELS;
use crate::random::{between, unit};

/// A grey picture: black is 0, white is 1.
pub(super) struct Canvas {
    size: usize,
    levels: Vec<f32>,
}

impl Canvas {
    /// A square of one grey.
    pub(super) fn new(size: usize, level: f32) -> Self {
        Self { size, levels: vec![level; size * size] }
    }

    /// Sets one pixel.
    pub(super) fn set(&mut self, row: usize, column: usize, level: f32) {
        self.levels[row * self.size + column] = level;
    }

    /// Draws a line with round ends and soft borders; points are (row, column).
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), radius: f32, level: f32) {
        let reach = radius + 1.0;
        let last = self.size as f32 - 1.0;
        let span = |a: f32, b: f32| {
            let (low, high) = (a.min(b) - reach, a.max(b) + reach);
            low.clamp(0.0, last) as usize..=high.clamp(0.0, last) as usize
        };
        let (dy, dx) = (to.0 - from.0, to.1 - from.1);
        let square = dy * dy + dx * dx;
        for row in span(from.0, to.0) {
            for column in span(from.1, to.1) {
                let (y, x) = (row as f32 - from.0, column as f32 - from.1);
                let along = if square > 0.0 { ((y * dy + x * dx) / square).clamp(0.0, 1.0) } else { 0.0 };
                let (y, x) = (y - along * dy, x - along * dx);
                let cover = (radius + 0.5 - (y * y + x * x).sqrt()).clamp(0.0, 1.0);
                let pixel = &mut self.levels[row * self.size + column];
                *pixel += cover * (level - *pixel);
            }
        }
    }

    /// Adds noise of a random strength and writes the picture as grey bytes.
    ///
    /// # Shapes
    /// `image`: `[3, size, size]`.
    pub(super) fn write(&self, rng: &mut ChaCha8Rng, image: &mut [u8]) {
        let strength = between(rng, 0.02, 0.12);
        let plane = self.levels.len();
        for (pixel, &level) in self.levels.iter().enumerate() {
            let noise = strength * (unit(rng) + unit(rng) - 1.0);
            let byte = ((level + noise).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            for channel in 0..CHANNELS {
                image[channel * plane + pixel] = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cover_what_is_near() {
        let mut canvas = Canvas::new(9, 0.0);
        canvas.line((4.0, 1.0), (4.0, 7.0), 0.5, 1.0);
        assert_eq!(canvas.levels[4 * 9 + 4], 1.0);
        assert_eq!(canvas.levels[4 * 9 + 1], 1.0);
        assert_eq!((canvas.levels[4 * 9], canvas.levels[2 * 9 + 4]), (0.0, 0.0));
        canvas.line((8.0, 8.0), (8.0, 8.0), 0.5, 0.5);
        assert_eq!(canvas.levels[80], 0.5, "a dot at the border");
    }
}
