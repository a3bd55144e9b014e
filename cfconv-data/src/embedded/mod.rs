//! Data sets that the crate draws itself, one file each.
//!
//! A new one is one file with a type that implements [`Drawing`], and one variant of [`EmbeddedTask`].
//!
//! Only words of ChaCha8 and exactly rounded operations (+, −, ×, /, √, conversion to integers) are used, so the bytes
//! are the same on every machine.

mod canvas;
mod curve_ends;
mod mark_pair;
mod stripe_phase;
mod textured_shapes;

use rand::rngs::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::{CHANNELS, Dataset, DatasetParts};
use crate::error::{DataError, Result};
use crate::random::{Purpose, stream};
use crate::split::{Shares, divide};

/// Which data set to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddedTask {
    /// Twelve classes: four shapes filled with three textures, on clutter. A class needs fine detail and global form.
    #[default]
    TexturedShapes,
    /// Two bands of vertical stripes: are they in phase or opposite?
    StripePhase,
    /// Two marks of eight kinds in one row: are they equal or different?
    MarkPair,
    /// Two curves and two dots at ends of curves: are the dots on one curve or on two?
    CurveEnds,
}

impl EmbeddedTask {
    /// All data sets.
    pub const ALL: [Self; 4] = [Self::TexturedShapes, Self::StripePhase, Self::MarkPair, Self::CurveEnds];

    fn drawing(self) -> &'static dyn Drawing {
        match self {
            Self::TexturedShapes => &textured_shapes::TexturedShapes,
            Self::StripePhase => &stripe_phase::StripePhase,
            Self::MarkPair => &mark_pair::MarkPair,
            Self::CurveEnds => &curve_ends::CurveEnds,
        }
    }
}

/// What a data set shows.
trait Drawing: Sync {
    /// One name for each class.
    fn class_names(&self) -> Vec<String>;

    /// How far apart the parts of an image that decide its class may be in images of `size` pixels, or `None` if that
    /// cannot be chosen.
    fn distances(&self, size: usize) -> Option<std::ops::RangeInclusive<usize>>;

    /// Draws an image of a class; `distance` lies in [`distances`](Self::distances).
    ///
    /// # Shapes
    /// `image`: `[3, size, size]`.
    fn draw(&self, size: usize, distance: usize, class: usize, rng: &mut ChaCha8Rng, image: &mut [u8]);
}

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedConfig {
    /// The data set. Default: textured shapes.
    pub task: EmbeddedTask,
    /// How far apart, in pixels, the parts of an image are that decide its class; not for textured shapes. Default:
    /// half of `size`.
    pub distance: Option<usize>,
    /// Side of the images in pixels. Default: 32.
    pub size: usize,
    /// Number of images; classes take turns. Default: 5000.
    pub num_images: usize,
    /// Seed of everything random. Default: 0.
    pub seed: u64,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { task: EmbeddedTask::default(), distance: None, size: 32, num_images: 5000, seed: 0 }
    }
}

impl EmbeddedConfig {
    /// The distance to draw at.
    ///
    /// # Errors
    /// [`DataError::Config`] if a size is zero or absurd, or a distance does not fit.
    fn checked_distance(&self) -> Result<usize> {
        let refuse = |field, expected, got| Err(DataError::Config { field, expected, got });
        if !(1..=crate::config::MAX_SIZE).contains(&self.size) {
            return refuse("embedded size", "1 to 1024 pixels".into(), self.size.to_string());
        }
        if self.num_images == 0 {
            return refuse("embedded images", "at least 1".into(), "0".into());
        }
        let Some(distances) = self.task.drawing().distances(self.size) else {
            return match self.distance {
                None => Ok(0),
                Some(distance) => {
                    let expected = "no distance for textured shapes, whose classes have none".into();
                    refuse("embedded distance", expected, distance.to_string())
                }
            };
        };
        let distance = self.distance.unwrap_or(self.size / 2);
        if !distances.contains(&distance) {
            let (low, high) = distances.into_inner();
            let expected = match low <= high {
                true => format!("{low} to {high} pixels in images of {}", self.size),
                false => format!("larger images than {} pixels", self.size),
            };
            return refuse("embedded distance", expected.into(), distance.to_string());
        }
        Ok(distance)
    }
}

/// Draws an embedded data set, with 10 % of each class for validation and 10 % for the test.
///
/// # Errors
/// [`DataError::Config`] if a size is zero or absurd, or a distance does not fit.
///
/// # Examples
/// ```
/// use cfconv_data::{EmbeddedConfig, EmbeddedTask, embedded_dataset};
///
/// let config = EmbeddedConfig { size: 16, num_images: 24, seed: 1, ..EmbeddedConfig::default() };
/// let dataset = embedded_dataset(&config)?;
/// assert_eq!((dataset.len(), dataset.num_classes()), (24, 12));
/// assert_eq!(dataset.class_names()[0], "disc of stripes");
///
/// let config = EmbeddedConfig { task: EmbeddedTask::StripePhase, distance: Some(9), ..config };
/// assert_eq!(embedded_dataset(&config)?.class_names(), ["in phase", "opposite"]);
/// # Ok::<(), cfconv_data::DataError>(())
/// ```
pub fn embedded_dataset(config: &EmbeddedConfig) -> Result<Dataset> {
    embedded_with_shares(config, Shares { validation: 0.1, test: 0.1, seed: 0 })
}

pub(crate) fn embedded_with_shares(config: &EmbeddedConfig, shares: Shares) -> Result<Dataset> {
    let distance = config.checked_distance()?;
    let EmbeddedConfig { task, size, num_images, seed, .. } = *config;
    let drawing = task.drawing();
    let class_names = drawing.class_names();
    let classes = class_names.len();
    let mut images = vec![0; num_images * CHANNELS * size * size];
    images.par_chunks_exact_mut(CHANNELS * size * size).enumerate().for_each(|(index, image)| {
        let mut rng = stream(seed, Purpose::Embedded, index as u64, task as u64);
        drawing.draw(size, distance, index % classes, &mut rng, image);
    });
    let labels: Vec<u32> = (0..num_images).map(|index| (index % classes) as u32).collect();
    let names: Vec<String> = (0..num_images).map(|index| format!("embedded/{index:06}")).collect();
    let splits = divide(&labels, &names, &vec![None; num_images], shares);
    Dataset::try_from_parts(DatasetParts {
        origin: format!("the embedded data set (seed {seed})"),
        size,
        images,
        labels,
        names,
        class_names,
        splits,
        skipped: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(task: EmbeddedTask) -> Dataset {
        let config = EmbeddedConfig { task, size: 24, num_images: 48, seed: 3, distance: None };
        embedded_dataset(&config).unwrap()
    }

    #[test]
    fn classes_are_balanced_and_images_differ() {
        for task in EmbeddedTask::ALL {
            let dataset = drawn(task);
            let classes = dataset.num_classes();
            assert_eq!(dataset.class_counts(crate::Split::All), vec![48 / classes; classes]);
            let distinct: std::collections::HashSet<&[u8]> = (0..48).map(|n| dataset.image(n)).collect();
            assert_eq!(distinct.len(), 48, "{task:?}");
        }
    }

    #[test]
    fn every_distance_can_be_drawn() {
        for task in EmbeddedTask::ALL {
            for size in [16, 23] {
                for distance in task.drawing().distances(size).into_iter().flatten() {
                    let config =
                        EmbeddedConfig { task, size, distance: Some(distance), num_images: 4, seed: 1 };
                    assert_eq!(embedded_dataset(&config).unwrap().len(), 4, "{task:?} {size} {distance}");
                }
            }
        }
    }

    #[test]
    fn absurd_configurations_are_refused() {
        let message = |config| embedded_dataset(&config).unwrap_err().to_string();
        let default = EmbeddedConfig { num_images: 4, ..EmbeddedConfig::default() };
        assert!(message(EmbeddedConfig { size: 0, ..default }).contains("1 to 1024"));
        assert!(message(EmbeddedConfig { num_images: 0, ..default }).contains("at least 1"));
        let text = message(EmbeddedConfig { distance: Some(5), ..default });
        assert!(text.contains("textured shapes") && text.contains('5'), "{text}");
        let far = EmbeddedConfig { task: EmbeddedTask::MarkPair, distance: Some(32), ..default };
        assert!(message(far).contains("3 to 29 pixels in images of 32"), "{}", message(far));
        let small = EmbeddedConfig { task: EmbeddedTask::CurveEnds, size: 8, ..default };
        assert!(message(small).contains("larger images than 8 pixels"), "{}", message(small));
    }
}
