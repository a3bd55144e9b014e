//! Lengths whose transforms are fast.

/// The smallest length of at least `length` whose only prime factors are 2, 3, 5 and 7.
///
/// Such lengths are handled by mixed-radix butterflies; padding a prime length up to the next one is nearly
/// always faster than transforming the prime itself, and at most a few per cent longer. 0 gives 1.
///
/// # Examples
/// ```
/// use cfconv_fft::next_fast_len;
///
/// assert_eq!(next_fast_len(127), 128);
/// assert_eq!(next_fast_len(211), 216); // 2³·3³
/// assert_eq!(next_fast_len(49), 49);
/// ```
pub const fn next_fast_len(length: usize) -> usize {
    next_smooth_len(length, 7)
}

/// The smallest length of at least `length` whose only prime factors are 2, 3, 5 and, if `largest_prime` is 7, 7.
pub(crate) const fn next_smooth_len(length: usize, largest_prime: usize) -> usize {
    // Every product 3^b·5^c·7^d below twice the length, doubled until it is long enough.
    let mut best = usize::MAX;
    let mut sevens: usize = 1;
    while sevens < best {
        let mut fives = sevens;
        while fives < best {
            let mut threes = fives;
            while threes < best {
                let mut product = threes;
                while product < length && product <= usize::MAX / 2 {
                    product *= 2;
                }
                if product >= length && product < best {
                    best = product;
                }
                threes = if threes >= length { usize::MAX } else { threes.saturating_mul(3) };
            }
            fives = if fives >= length { usize::MAX } else { fives.saturating_mul(5) };
        }
        let enough = sevens >= length || largest_prime < 7;
        sevens = if enough { usize::MAX } else { sevens.saturating_mul(7) };
    }
    best
}

/// The smallest even length of at least `length` whose only prime factors are 2, 3, 5 and 7.
///
/// Real transforms of an even length are a complex transform of half the length: the choice for widths.
///
/// # Examples
/// ```
/// assert_eq!(cfconv_fft::next_fast_even_len(49), 50);
/// ```
pub const fn next_fast_even_len(length: usize) -> usize {
    2 * next_fast_len(length.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fast(mut length: usize, primes: &[usize]) -> bool {
        for prime in primes {
            while length.is_multiple_of(*prime) {
                length /= prime;
            }
        }
        length == 1
    }

    #[test]
    fn next_fast_len_equals_search_one_by_one() {
        for length in 1..3000 {
            let primes = [2, 3, 5, 7];
            assert_eq!(next_fast_len(length), (length..).find(|&n| is_fast(n, &primes)).unwrap());
            let even = (length..).find(|&n| n.is_multiple_of(2) && is_fast(n, &primes)).unwrap();
            assert_eq!(next_fast_even_len(length), even);
            let of_lanes = (length..).find(|&n| is_fast(n, &primes[..3])).unwrap();
            assert_eq!(crate::lanes::next_fast_len(length), of_lanes);
        }
        assert_eq!(next_fast_len(0), 1);
        assert_eq!(crate::lanes::next_fast_len(0), 1);
    }
}
