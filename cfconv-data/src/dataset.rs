//! Labelled images in memory.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};
use crate::skipped::{SkipSummary, Skipped};
use crate::split::{Split, Splits};

/// Colour channels of every image: red, green, blue.
pub const CHANNELS: usize = 3;

/// Labelled square images, decoded and cached as bytes.
///
/// # Shapes
/// Image n is `[3, size, size]` bytes (channel planes, rows, columns).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    origin: String,
    size: usize,
    images: Vec<u8>,
    labels: Vec<u32>,
    names: Vec<String>,
    class_names: Vec<String>,
    splits: Splits,
    skipped: Vec<Skipped>,
}

/// The parts of a [`Dataset`], to be checked by [`Dataset::try_from_parts`].
#[derive(Clone, Debug, Default)]
pub struct DatasetParts {
    /// Where the images came from, for messages.
    pub origin: String,
    /// Side of the images in pixels.
    pub size: usize,
    /// `[N, 3, size, size]`.
    pub images: Vec<u8>,
    /// `[N]`, each below the number of classes.
    pub labels: Vec<u32>,
    /// `[N]`, the path of each image below the data set's root.
    pub names: Vec<String>,
    /// One name for each class.
    pub class_names: Vec<String>,
    /// Indices below N.
    pub splits: Splits,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

impl Dataset {
    /// Assembles a data set from its parts.
    ///
    /// # Errors
    /// [`DataError::LengthMismatch`] or [`DataError::OutOfRange`] if the parts do not fit together.
    ///
    /// # Examples
    /// ```
    /// use cfconv_data::{Dataset, DatasetParts, Split, Splits};
    ///
    /// let dataset = Dataset::try_from_parts(DatasetParts {
    ///     size: 1,
    ///     images: vec![255, 0, 0, 0, 0, 255],
    ///     labels: vec![0, 1],
    ///     names: vec!["red".into(), "blue".into()],
    ///     class_names: vec!["warm".into(), "cold".into()],
    ///     splits: Splits { train: vec![0], validation: vec![1], test: vec![] },
    ///     ..DatasetParts::default()
    /// })
    /// .unwrap();
    /// assert_eq!(dataset.image(1), [0, 0, 255]);
    /// assert_eq!(dataset.indices(Split::All), [0, 1]);
    /// ```
    pub fn try_from_parts(parts: DatasetParts) -> Result<Self> {
        let op = "Dataset::try_from_parts";
        let count = parts.labels.len();
        let pixels = CHANNELS * parts.size * parts.size;
        for (operand, expected, got) in
            [("images", count * pixels, parts.images.len()), ("names", count, parts.names.len())]
        {
            if expected != got {
                return Err(DataError::LengthMismatch { op, operand, expected, got });
            }
        }
        let classes = parts.class_names.len();
        if let Some(&label) = parts.labels.iter().find(|&&label| label as usize >= classes) {
            return Err(DataError::OutOfRange { op, operand: "label", bound: classes, got: label as usize });
        }
        let Splits { train, validation, test } = &parts.splits;
        if let Some(&index) = train.iter().chain(validation).chain(test).find(|&&index| index >= count) {
            return Err(DataError::OutOfRange { op, operand: "split index", bound: count, got: index });
        }
        let DatasetParts { origin, size, images, labels, names, class_names, splits, skipped } = parts;
        Ok(Self { origin, size, images, labels, names, class_names, splits, skipped })
    }

    /// Where the images came from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Side of the images in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The bytes of image `index`, `[3, size, size]`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let pixels = CHANNELS * self.size * self.size;
        &self.images[index * pixels..(index + 1) * pixels]
    }

    /// The bytes of all images, `[N, 3, size, size]`.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The class of each image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The path of each image below the data set's root.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of each class.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Number of classes.
    pub fn num_classes(&self) -> usize {
        self.class_names.len()
    }

    /// What was left out, sorted by name.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What was left out, counted by reason.
    pub fn skip_summary(&self) -> SkipSummary {
        SkipSummary::new(&self.skipped)
    }

    /// The images of a part, ascending.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        match split {
            Split::Train => self.splits.train.clone(),
            Split::Validation => self.splits.validation.clone(),
            Split::Test => self.splits.test.clone(),
            Split::All => (0..self.len()).collect(),
        }
    }

    /// The part on which a final accuracy is reported: the test part, or, where the data has none (such as
    /// folders `train` and `val` only), the validation part, or everything.
    pub fn report_split(&self) -> Split {
        [Split::Test, Split::Validation]
            .into_iter()
            .find(|&split| !self.indices(split).is_empty())
            .unwrap_or(Split::All)
    }

    /// Number of images of each class within a part.
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.num_classes()];
        for index in self.indices(split) {
            counts[self.labels[index] as usize] += 1;
        }
        counts
    }

    /// Measures mean and standard deviation of each channel over the images of `split`. Sums are integers, so the
    /// result is exact up to the final rounding and does not depend on the number of threads.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`] if there is nothing to measure.
    pub fn normalization(&self, split: Split) -> Result<Normalization> {
        let indices = self.indices(split);
        let plane = self.size * self.size;
        if indices.is_empty() || plane == 0 {
            return Err(DataError::EmptySplit { split, origin: self.origin.clone() });
        }
        let sums = indices
            .par_iter()
            .map(|&index| {
                let mut sums = [[0_u64; 2]; CHANNELS];
                for (channel, values) in self.image(index).chunks_exact(plane).enumerate() {
                    for &value in values {
                        let value = u64::from(value);
                        sums[channel][0] += value;
                        sums[channel][1] += value * value;
                    }
                }
                sums
            })
            .reduce(
                || [[0; 2]; CHANNELS],
                |a, b| {
                    std::array::from_fn(|channel| {
                        std::array::from_fn(|power| a[channel][power] + b[channel][power])
                    })
                },
            );
        let count = (indices.len() * plane) as f64;
        let mut normalization = Normalization { mean: [0.0; CHANNELS], std: [1.0; CHANNELS] };
        for (channel, [sum, squares]) in sums.into_iter().enumerate() {
            let mean = sum as f64 / count;
            let variance = (squares as f64 / count - mean * mean).max(0.0);
            normalization.mean[channel] = (mean / 255.0) as f32;
            normalization.std[channel] = (variance.sqrt() / 255.0) as f32;
        }
        Ok(normalization.with_positive_std())
    }

    /// Renumbers the labels to those of a trained model, matching class names without regard to case (an exact
    /// match wins). The data may hold some of the model's classes only.
    ///
    /// # Errors
    /// [`DataError::UnknownClasses`] lists the data's classes that the model does not have.
    pub fn remap_classes(&mut self, model_class_names: &[String]) -> Result<()> {
        let position = |name: &String| {
            let lower = name.to_lowercase();
            model_class_names
                .iter()
                .position(|known| known == name)
                .or_else(|| model_class_names.iter().position(|known| known.to_lowercase() == lower))
        };
        let targets: Vec<Option<usize>> = self.class_names.iter().map(position).collect();
        let unknown: Vec<String> = self
            .class_names
            .iter()
            .zip(&targets)
            .filter(|(_, target)| target.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        if !unknown.is_empty() {
            return Err(DataError::UnknownClasses { unknown, known: model_class_names.to_vec() });
        }
        for label in &mut self.labels {
            *label = targets[*label as usize].unwrap_or_default() as u32;
        }
        self.class_names = model_class_names.to_vec();
        Ok(())
    }
}

/// Mean and standard deviation of each channel, for bytes scaled to [0, 1]; networks see
/// `(byte/255 − mean)/std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// What is subtracted.
    pub mean: [f32; CHANNELS],
    /// What is divided by.
    pub std: [f32; CHANNELS],
}

impl Normalization {
    /// Uses the configured numbers where there are some, and measures the others on the training part.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`] if something is to be measured and there are no training images.
    pub fn from_config(config: &crate::DataConfig, dataset: &Dataset) -> Result<Self> {
        if let (Some(mean), Some(std)) = (config.mean, config.std) {
            return Ok(Self { mean, std });
        }
        let measured = dataset.normalization(Split::Train)?;
        Ok(Self { mean: config.mean.unwrap_or(measured.mean), std: config.std.unwrap_or(measured.std) })
    }

    /// Replaces deviations below one grey level (constant channels) by one grey level.
    fn with_positive_std(mut self) -> Self {
        for std in &mut self.std {
            *std = std.max(1.0 / 255.0);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(class_names: &[&str]) -> Dataset {
        Dataset::try_from_parts(DatasetParts {
            origin: "test".into(),
            size: 1,
            images: vec![0, 51, 7, 255, 153, 7, 0, 0, 0],
            labels: vec![0, 1, 1],
            names: vec!["a".into(), "b".into(), "c".into()],
            class_names: class_names.iter().map(|name| name.to_string()).collect(),
            splits: Splits { train: vec![0, 1], validation: vec![], test: vec![2] },
            ..DatasetParts::default()
        })
        .unwrap()
    }

    #[test]
    fn normalization_matches_hand_computation() {
        let measured = dataset(&["x", "y"]).normalization(Split::Train).unwrap();
        assert_eq!(measured.mean, [0.5, 0.4, 7.0 / 255.0]);
        assert_eq!(measured.std, [0.5, 0.2, 1.0 / 255.0], "the constant channel gets one grey level");
        assert!(matches!(
            dataset(&["x", "y"]).normalization(Split::Validation),
            Err(DataError::EmptySplit { .. })
        ));
    }

    #[test]
    fn remapping_ignores_case_and_prefers_exact_names() {
        let mut data = dataset(&["Cat", "dog"]);
        let model: Vec<String> = ["bird", "cat", "DOG", "Cat"].map(String::from).to_vec();
        data.remap_classes(&model).unwrap();
        assert_eq!(data.labels(), [3, 2, 2]);
        assert_eq!(data.num_classes(), 4);
        let error = dataset(&["cat", "horse"]).remap_classes(&model).unwrap_err().to_string();
        assert!(error.contains("[\"horse\"]") && error.contains("bird"), "{error}");
    }

    #[test]
    fn inconsistent_parts_are_refused() {
        let parts = || DatasetParts {
            size: 1,
            images: vec![0; 3],
            labels: vec![0],
            names: vec!["a".into()],
            class_names: vec!["x".into()],
            ..Default::default()
        };
        assert!(Dataset::try_from_parts(parts()).is_ok());
        for broken in [
            DatasetParts { images: vec![0; 4], ..parts() },
            DatasetParts { names: vec![], ..parts() },
            DatasetParts { labels: vec![1], ..parts() },
            DatasetParts { splits: Splits { train: vec![1], ..Splits::default() }, ..parts() },
        ] {
            assert!(Dataset::try_from_parts(broken).is_err());
        }
    }

    #[test]
    fn report_split_falls_back() {
        let mut data = dataset(&["x", "y"]);
        assert_eq!(data.report_split(), Split::Test);
        data.splits = Splits { train: vec![0], validation: vec![1], test: vec![] };
        assert_eq!(data.report_split(), Split::Validation);
        data.splits = Splits::default();
        assert_eq!(data.report_split(), Split::All);
    }
}
