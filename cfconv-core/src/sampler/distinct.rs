//! Draws without replacement: a bitmap of what is taken, read out in order.

use rand::Rng;

/// Returns a number below `bound`, every one equally likely.
///
/// The high half of `random · bound` is the number; the draws that would favour some numbers are rejected.
/// Written out here, and not taken from a library's `random_range`, so that the positions of a run never
/// change with a library's version.
///
/// # Source
/// D. Lemire, "Fast random integer generation in an interval", 2019, algorithm 5.
#[inline]
pub(super) fn draw_below<R: Rng>(rng: &mut R, bound: u32) -> u32 {
    debug_assert!(bound > 0);
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    if (product as u32) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

/// Writes `count` distinct numbers below `population`, sorted, every subset equally likely.
///
/// Numbers are drawn until enough distinct ones are marked in `bitmap`; above half of the population the
/// numbers left out are drawn instead, so at most two draws are expected for each mark.
pub(super) fn draw_distinct<R: Rng>(
    rng: &mut R,
    population: u32,
    count: u32,
    bitmap: &mut Vec<u64>,
    out: &mut Vec<u32>,
) {
    debug_assert!(count <= population);
    let leave_out = count > population / 2;
    let marks = if leave_out { population - count } else { count };
    clear(bitmap, population);
    let mut marked = 0;
    while marked < marks {
        marked += u32::from(mark(bitmap, draw_below(rng, population)));
    }
    read_out(bitmap, population, leave_out, out);
}

/// Writes the distinct ones among `draws` independent numbers below `population`, sorted.
pub(super) fn draw_with_replacement<R: Rng>(
    rng: &mut R,
    population: u32,
    draws: usize,
    bitmap: &mut Vec<u64>,
    out: &mut Vec<u32>,
) {
    clear(bitmap, population);
    for _ in 0..draws {
        mark(bitmap, draw_below(rng, population));
    }
    read_out(bitmap, population, false, out);
}

/// Makes `bitmap` one of `population` zero bits.
pub(crate) fn clear(bitmap: &mut Vec<u64>, population: u32) {
    bitmap.clear();
    bitmap.resize((population as usize).div_ceil(64), 0);
}

/// Sets a bit and tells whether it was zero.
#[inline]
pub(crate) fn mark(bitmap: &mut [u64], number: u32) -> bool {
    let word = &mut bitmap[number as usize / 64];
    let bit = 1_u64 << (number % 64);
    let fresh = *word & bit == 0;
    *word |= bit;
    fresh
}

/// Writes the numbers whose bit is set (or, `inverted`, is not).
pub(super) fn read_out(bitmap: &[u64], population: u32, inverted: bool, out: &mut Vec<u32>) {
    out.clear();
    for (index, &word) in bitmap.iter().enumerate() {
        let first = (index * 64) as u32;
        let valid = if population - first >= 64 { u64::MAX } else { (1 << (population - first)) - 1 };
        let mut bits = if inverted { !word & valid } else { word };
        while bits != 0 {
            out.push(first + bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    #[test]
    fn distinct_draws_are_sorted_distinct_and_complete() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut bitmap, mut out) = (Vec::new(), Vec::new());
        for population in [1, 2, 63, 64, 65, 127, 128, 200] {
            for count in 0..=population {
                draw_distinct(&mut rng, population, count, &mut bitmap, &mut out);
                assert_eq!(out.len(), count as usize);
                assert!(out.windows(2).all(|pair| pair[0] < pair[1]));
                assert!(out.iter().all(|&number| number < population));
            }
        }
    }

    #[test]
    fn draw_below_is_unbiased_where_the_multiplication_alone_would_not_be() {
        // 3·2^30 values: without rejection, one residue class in three would come up twice as often.
        let bound = 3 << 30;
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            counts[(draw_below(&mut rng, bound) % 3) as usize] += 1;
        }
        let chi_square: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        // 99.9 % point of χ² with 2 degrees of freedom.
        assert!(chi_square < 13.8, "{counts:?}");
    }
}
