//! Division into training, validation and test images.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What parameters are fitted on.
    Train,
    /// What choices are made on.
    Validation,
    /// What is reported.
    Test,
    /// Everything.
    All,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::All => "all",
        })
    }
}

/// Indices of the images of each part, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits {
    /// Training images.
    pub train: Vec<usize>,
    /// Validation images.
    pub validation: Vec<usize>,
    /// Test images.
    pub test: Vec<usize>,
}

/// Shares set aside from images that come without splits of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) validation: f64,
    pub(crate) test: f64,
    pub(crate) seed: u64,
}

/// Divides images into parts.
///
/// `own[n]` is the part that the data itself gives image n, if its layout has parts. Rules: a data set without
/// parts is split by both shares; one with a test and no validation part gives its training images' validation
/// share; one with a validation part is left as it is.
///
/// Within a class, images are ordered by a hash of (seed, key) and the first ones are set aside, so the split
/// depends neither on the order of files nor on the size of images, and adding a file moves few others.
pub(crate) fn divide(labels: &[u32], keys: &[String], own: &[Option<Split>], shares: Shares) -> Splits {
    let has = |split| own.contains(&Some(split));
    let mut splits = Splits::default();
    let mut open: Vec<usize> = Vec::new();
    let keep_train = has(Split::Validation);
    for (index, part) in own.iter().enumerate() {
        match part {
            Some(Split::Validation) => splits.validation.push(index),
            Some(Split::Test) => splits.test.push(index),
            Some(Split::Train) if keep_train => splits.train.push(index),
            _ => open.push(index),
        }
    }
    let test_share =
        if has(Split::Train) || has(Split::Test) || has(Split::Validation) { 0.0 } else { shares.test };
    let mut ranked: Vec<(u32, u64, usize)> =
        open.into_iter().map(|index| (labels[index], rank(shares.seed, &keys[index]), index)).collect();
    ranked.sort_unstable();
    for class in ranked.chunk_by(|a, b| a.0 == b.0) {
        let (test, validation) = counts(class.len(), test_share, shares.validation);
        for (place, &(_, _, index)) in class.iter().enumerate() {
            if place < test {
                splits.test.push(index);
            } else if place < test + validation {
                splits.validation.push(index);
            } else {
                splits.train.push(index);
            }
        }
    }
    for part in [&mut splits.train, &mut splits.validation, &mut splits.test] {
        part.sort_unstable();
    }
    splits
}

/// How many of `total` images of a class go to (test, validation): the rounded shares, at least one for each
/// positive share, but never the last image of the training part.
fn counts(total: usize, test: f64, validation: f64) -> (usize, usize) {
    let wanted = |share: f64| {
        if share > 0.0 { ((total as f64 * share).round() as usize).max(1) } else { 0 }
    };
    let test = wanted(test).min(total.saturating_sub(1));
    let validation = wanted(validation).min(total.saturating_sub(1 + test));
    (test, validation)
}

/// A hash that is the same on every machine: FNV-1a over the key, finished by the mixer of SplitMix64.
pub(crate) fn rank(seed: u64, key: &str) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: Shares = Shares { validation: 0.2, test: 0.1, seed: 7 };

    fn images(per_class: &[usize]) -> (Vec<u32>, Vec<String>) {
        let labels: Vec<u32> = per_class.iter().enumerate().flat_map(|(c, &n)| vec![c as u32; n]).collect();
        let keys = (0..labels.len()).map(|n| format!("class/{n}.jpg")).collect();
        (labels, keys)
    }

    #[test]
    fn split_is_stratified_and_complete() {
        let (labels, keys) = images(&[100, 50, 1, 2]);
        let splits = divide(&labels, &keys, &vec![None; labels.len()], SHARES);
        let count = |part: &[usize], class| part.iter().filter(|&&n| labels[n] == class).count();
        assert_eq!(
            (count(&splits.test, 0), count(&splits.validation, 0), count(&splits.train, 0)),
            (10, 20, 70)
        );
        assert_eq!(
            (count(&splits.test, 1), count(&splits.validation, 1), count(&splits.train, 1)),
            (5, 10, 35)
        );
        assert_eq!(count(&splits.train, 2), 1, "the last image of a class stays in training");
        assert_eq!((count(&splits.test, 3), count(&splits.train, 3)), (1, 1));
        let mut all = [splits.train, splits.validation, splits.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
    }

    #[test]
    fn split_follows_names_not_order() {
        let (labels, keys) = images(&[40]);
        let test_names = |keys: &[String]| {
            let splits = divide(&labels, keys, &vec![None; labels.len()], SHARES);
            let mut names: Vec<String> = splits.test.iter().map(|&n| keys[n].clone()).collect();
            names.sort();
            names
        };
        let reversed: Vec<String> = keys.iter().rev().cloned().collect();
        assert_eq!(test_names(&keys), test_names(&reversed));
    }

    #[test]
    fn own_parts_are_kept() {
        let (labels, keys) = images(&[20]);
        let parts = |validation: usize| -> Vec<Option<Split>> {
            (0..20)
                .map(|n| {
                    Some(if n < 5 {
                        Split::Test
                    } else if n < 5 + validation {
                        Split::Validation
                    } else {
                        Split::Train
                    })
                })
                .collect()
        };
        let with = divide(&labels, &keys, &parts(3), SHARES);
        assert_eq!(with.test, (0..5).collect::<Vec<_>>());
        assert_eq!(with.validation, vec![5, 6, 7]);
        let without = divide(&labels, &keys, &parts(0), SHARES);
        assert_eq!((without.test.len(), without.validation.len(), without.train.len()), (5, 3, 12));
        let train_and_validation: Vec<_> =
            (0..20).map(|n| Some(if n < 4 { Split::Validation } else { Split::Train })).collect();
        let pair = divide(&labels, &keys, &train_and_validation, SHARES);
        assert_eq!((pair.test.len(), pair.validation.len(), pair.train.len()), (0, 4, 16));
    }

    #[test]
    fn seed_changes_the_split() {
        let (labels, keys) = images(&[60]);
        let with = |seed| divide(&labels, &keys, &[None; 60], Shares { seed, ..SHARES });
        assert_ne!(with(1).test, with(2).test);
        assert_eq!(with(1), with(1));
    }
}
