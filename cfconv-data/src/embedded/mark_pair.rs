//! Two marks in one row, `distance` columns apart: are they of one kind or of two?
//!
//! Every kind is as frequent in both classes. A network that looks at places one by one and adds up what it finds can
//! tell how many marks of each kind there are. A linear layer separates "two of kind k" from "one of k, one of j" only
//! for a single kind, so that such a network is right in 9 of 16 images: it knows one eighth of the equal pairs.

use rand::rngs::ChaCha8Rng;

use super::Drawing;
use super::canvas::Canvas;
use crate::random::{below, between};

/// Rows and columns of a mark.
const SIDE: usize = 3;

/// The kinds of marks.
const MARKS: [[&str; SIDE]; 8] = [
    ["###", "   ", "###"],
    ["# #", "# #", "# #"],
    ["###", "#  ", "#  "],
    ["  #", "  #", "###"],
    [" # ", "###", " # "],
    ["# #", " # ", "# #"],
    ["###", " # ", " # "],
    [" # ", " # ", "###"],
];

pub(super) struct MarkPair;

impl Drawing for MarkPair {
    fn class_names(&self) -> Vec<String> {
        ["equal", "different"].map(str::to_owned).into()
    }

    fn distances(&self, size: usize) -> Option<std::ops::RangeInclusive<usize>> {
        Some(SIDE..=size.saturating_sub(SIDE))
    }

    fn draw(&self, size: usize, distance: usize, class: usize, rng: &mut ChaCha8Rng, image: &mut [u8]) {
        let mut canvas = Canvas::new(size, 0.3);
        let first = below(rng, MARKS.len());
        let second = (first + class * (1 + below(rng, MARKS.len() - 1))) % MARKS.len();
        let top = below(rng, size - SIDE + 1);
        let left = below(rng, size - distance - SIDE + 1);
        for (kind, left) in [(first, left), (second, left + distance)] {
            let level = between(rng, 0.75, 0.95);
            for (row, line) in MARKS[kind].iter().enumerate() {
                for (column, _) in line.bytes().enumerate().filter(|&(_, byte)| byte == b'#') {
                    canvas.set(top + row, left + column, level);
                }
            }
        }
        canvas.write(rng, image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ() {
        for (index, mark) in MARKS.iter().enumerate() {
            assert!(mark.iter().all(|line| line.len() == SIDE));
            assert!(!MARKS[..index].contains(mark), "{mark:?}");
        }
    }
}
