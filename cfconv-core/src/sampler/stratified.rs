//! One position from each of equal strata.

use rand::Rng;

use super::distinct::draw_below;

/// `count` runs of consecutive positions, of sizes that differ by at most one; stratum s starts at
/// ⌊s·population/count⌋.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strata {
    pub(super) population: u32,
    pub(super) count: u32,
}

impl Strata {
    /// First position of a stratum (`stratum = count` gives the population).
    pub(super) fn start(self, stratum: u32) -> u32 {
        (u64::from(stratum) * u64::from(self.population) / u64::from(self.count)) as u32
    }

    /// Number of positions of a stratum.
    pub(super) fn size(self, stratum: u32) -> u32 {
        self.start(stratum + 1) - self.start(stratum)
    }

    /// The stratum that holds `position`: the last s with s·population/count < position + 1.
    pub(super) fn containing(self, position: u32) -> u32 {
        let scaled = (u64::from(position) + 1) * u64::from(self.count);
        (scaled.div_ceil(u64::from(self.population)) - 1) as u32
    }

    /// Writes one position of each stratum; sorted, since strata are.
    pub(super) fn draw<R: Rng>(self, rng: &mut R, out: &mut Vec<u32>) {
        let mut start = 0;
        for stratum in 0..self.count {
            let end = self.start(stratum + 1);
            out.push(start + draw_below(rng, end - start));
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_lies_in_the_stratum_said_to_contain_it() {
        for population in [1, 2, 7, 64, 65, 101] {
            for count in 1..=population {
                let strata = Strata { population, count };
                let mut total = 0;
                for stratum in 0..count {
                    let (start, size) = (strata.start(stratum), strata.size(stratum));
                    assert!(size == population / count || size == population.div_ceil(count));
                    assert!((start..start + size).all(|u| strata.containing(u) == stratum));
                    total += size;
                }
                assert_eq!(total, population);
            }
        }
    }
}
