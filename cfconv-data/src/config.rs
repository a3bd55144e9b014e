//! The tables `[data]` and `[augment]` of a configuration file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::embedded::{EmbeddedConfig, EmbeddedTask};
use crate::error::{DataError, Result};

/// How an image that is not square becomes square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizePolicy {
    /// Cut out the largest central square, then scale it: shapes keep their aspect, borders are lost.
    #[default]
    Crop,
    /// Scale both sides on their own: nothing is lost, shapes are distorted.
    Squash,
}

/// The table `[data]`: where images come from and what is made of them.
///
/// # Examples
/// ```
/// use cfconv_data::{DataConfig, ResizePolicy};
///
/// let config: DataConfig = toml::from_str("size = 32\nresize = \"squash\"").unwrap();
/// assert_eq!((config.size, config.resize), (32, ResizePolicy::Squash));
/// assert_eq!(config.validation_fraction, 0.1);
/// assert!(toml::from_str::<DataConfig>("sizes = 32").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A folder, a `.zip` of one, or nothing for the embedded data set. Default: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Side of the square images in pixels. Default: 64.
    pub size: usize,
    /// What happens to images that are not square. Default: `crop`.
    pub resize: ResizePolicy,
    /// Share of each class set aside for validation, of the training images where the data has a test folder
    /// and no validation folder; unused where it has a validation folder. Default: 0.1.
    pub validation_fraction: f64,
    /// Share of each class set aside for the test; unused where the data comes with its own validation or test
    /// folders. Default: 0.1.
    pub test_fraction: f64,
    /// Seed of the split, independent of the run's seed so that runs share their splits. Default: 0.
    pub split_seed: u64,
    /// Mean of each channel, in [0, 1], that is subtracted. Default: measured on the training split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of each channel that is divided by. Default: measured on the training split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
    /// Use at most this many images of each class (and of each split folder), drawn with `split_seed`.
    /// Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_images_per_class: Option<usize>,
    /// Largest size of the decoded images in memory, in MiB. Default: 8192.
    pub cache_limit_mib: usize,
    /// Which embedded data set. Default: `textured-shapes`.
    pub embedded_task: EmbeddedTask,
    /// How far apart, in pixels, the parts of an embedded image are that decide its class. Default: half of `size`;
    /// textured shapes have no such distance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded_distance: Option<usize>,
    /// Number of images of the embedded data set. Default: 5000.
    pub embedded_images: usize,
    /// Seed of the embedded data set. Default: 0.
    pub embedded_seed: u64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: None,
            size: 64,
            resize: ResizePolicy::Crop,
            validation_fraction: 0.1,
            test_fraction: 0.1,
            split_seed: 0,
            mean: None,
            std: None,
            max_images_per_class: None,
            cache_limit_mib: 8192,
            embedded_task: EmbeddedTask::default(),
            embedded_distance: None,
            embedded_images: 5000,
            embedded_seed: 0,
        }
    }
}

/// Largest side of the images in pixels.
pub const MAX_SIZE: usize = 1024;

impl DataConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// [`DataError::Config`] names the first field that is out of range.
    pub fn validate(&self) -> Result<()> {
        require("data.size", "1 to 1024 pixels", (1..=MAX_SIZE).contains(&self.size), self.size)?;
        let fraction = |value: f64| (0.0..1.0).contains(&value);
        require(
            "data.validation_fraction",
            "0 to below 1",
            fraction(self.validation_fraction),
            self.validation_fraction,
        )?;
        require("data.test_fraction", "0 to below 1", fraction(self.test_fraction), self.test_fraction)?;
        let held_out = self.validation_fraction + self.test_fraction;
        require("data.validation_fraction + data.test_fraction", "below 1", held_out < 1.0, held_out)?;
        for (field, values, positive) in [("data.mean", self.mean, false), ("data.std", self.std, true)] {
            for value in values.into_iter().flatten() {
                let ok =
                    if positive { value > 0.0 && value.is_finite() } else { (0.0..=1.0).contains(&value) };
                let expected = if positive { "three positive numbers" } else { "three numbers from 0 to 1" };
                require(field, expected, ok, value)?;
            }
        }
        let limit = self.max_images_per_class.unwrap_or(1);
        require("data.max_images_per_class", "at least 1", limit >= 1, limit)?;
        require("data.cache_limit_mib", "at least 1", self.cache_limit_mib >= 1, self.cache_limit_mib)?;
        require(
            "data.embedded_images",
            "1 to 1000000",
            (1..=1_000_000).contains(&self.embedded_images),
            self.embedded_images,
        )
    }

    /// The embedded data set that this configuration asks for when it has no path.
    pub fn embedded(&self) -> EmbeddedConfig {
        EmbeddedConfig {
            task: self.embedded_task,
            distance: self.embedded_distance,
            size: self.size,
            num_images: self.embedded_images,
            seed: self.embedded_seed,
        }
    }
}

/// What fills the pixels that a shifted, rotated or enlarged image leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// The image mirrored at its border, without repeating the border pixel.
    #[default]
    Reflect,
    /// The mean colour, which is zero after normalisation.
    Zeros,
}

/// The table `[augment]`: random changes of training images, drawn again for each image and epoch. Everything is off
/// by default, and evaluation never augments.
///
/// The order is: geometry (crop, resized crop, rotation, flip) in one resampling, then brightness, contrast and
/// saturation, then normalisation, then cutout.
///
/// # Examples
/// ```
/// use cfconv_data::AugmentConfig;
///
/// let augment: AugmentConfig = toml::from_str("flip = true\ncrop_padding = 4").unwrap();
/// assert!(augment.flip && augment.cutout == 0);
/// assert!(AugmentConfig::default().is_off());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Mirror left and right with probability 1/2. Default: false.
    pub flip: bool,
    /// Shift by up to this many pixels in each direction: pad by it, then crop at random. Default: 0.
    pub crop_padding: usize,
    /// What the open pixels of shifts and rotations show. Default: `reflect`.
    pub fill: FillMode,
    /// Cut out a box with a share of the area drawn from `[smallest, largest]` and an aspect ratio between 3/4
    /// and 4/3, and enlarge it to the full size. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<[f32; 2]>,
    /// Rotate by up to this many degrees in either direction. Default: 0.
    pub rotation_degrees: f32,
    /// Multiply by a factor from `[1 − brightness, 1 + brightness]`. Default: 0.
    pub brightness: f32,
    /// Scale the distance from the image's mean grey by a factor from `[1 − contrast, 1 + contrast]`. Default: 0.
    pub contrast: f32,
    /// Scale each pixel's distance from its own grey by a factor from `[1 − saturation, 1 + saturation]`.
    /// Default: 0.
    pub saturation: f32,
    /// Side of a square, centred on a random pixel and clipped at the border, that is set to the mean colour.
    /// Default: 0.
    pub cutout: usize,
    /// Probability of the cutout. Default: 1.
    pub cutout_probability: f32,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            flip: false,
            crop_padding: 0,
            fill: FillMode::Reflect,
            resized_crop: None,
            rotation_degrees: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            cutout: 0,
            cutout_probability: 1.0,
        }
    }
}

impl AugmentConfig {
    /// Whether images pass unchanged.
    pub fn is_off(&self) -> bool {
        !self.flip
            && self.crop_padding == 0
            && self.resized_crop.is_none()
            && self.rotation_degrees == 0.0
            && !self.jitters()
            && (self.cutout == 0 || self.cutout_probability == 0.0)
    }

    /// Whether colours change.
    pub(crate) fn jitters(&self) -> bool {
        self.brightness != 0.0 || self.contrast != 0.0 || self.saturation != 0.0
    }

    /// Checks every field's range for images of side `size`.
    ///
    /// # Errors
    /// [`DataError::Config`] names the first field that is out of range.
    pub fn validate(&self, size: usize) -> Result<()> {
        require(
            "augment.crop_padding",
            "below data.size",
            self.crop_padding < size.max(1),
            self.crop_padding,
        )?;
        if let Some([low, high]) = self.resized_crop {
            let ok = low > 0.0 && low <= high && high <= 1.0;
            require(
                "augment.resized_crop",
                "[smallest, largest] with 0 < smallest ≤ largest ≤ 1",
                ok,
                format!("[{low}, {high}]"),
            )?;
        }
        let degrees = self.rotation_degrees;
        require("augment.rotation_degrees", "0 to 180", (0.0..=180.0).contains(&degrees), degrees)?;
        for (field, value) in [
            ("augment.brightness", self.brightness),
            ("augment.contrast", self.contrast),
            ("augment.saturation", self.saturation),
            ("augment.cutout_probability", self.cutout_probability),
        ] {
            require(field, "0 to 1", (0.0..=1.0).contains(&value), value)?;
        }
        require("augment.cutout", "at most data.size", self.cutout <= size, self.cutout)
    }
}

fn require(field: &'static str, expected: &'static str, ok: bool, got: impl ToString) -> Result<()> {
    if ok {
        Ok(())
    } else {
        Err(DataError::Config { field, expected: expected.into(), got: got.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_toml() {
        let data = DataConfig::default();
        data.validate().unwrap();
        assert_eq!(toml::from_str::<DataConfig>(&toml::to_string(&data).unwrap()).unwrap(), data);
        let augment = AugmentConfig { resized_crop: Some([0.5, 1.0]), ..AugmentConfig::default() };
        augment.validate(1).unwrap();
        assert_eq!(toml::from_str::<AugmentConfig>(&toml::to_string(&augment).unwrap()).unwrap(), augment);
    }

    #[test]
    fn out_of_range_fields_are_named() {
        let message = |config: DataConfig| config.validate().unwrap_err().to_string();
        assert!(
            message(DataConfig { size: 0, ..Default::default() })
                .starts_with("data.size: expected 1 to 1024")
        );
        assert!(
            message(DataConfig { test_fraction: f64::NAN, ..Default::default() })
                .contains("data.test_fraction")
        );
        assert!(
            message(DataConfig { test_fraction: 0.6, validation_fraction: 0.4, ..Default::default() })
                .contains("below 1")
        );
        assert!(
            message(DataConfig { std: Some([1.0, 0.0, 1.0]), ..Default::default() }).contains("data.std")
        );
        let message = |config: AugmentConfig| config.validate(32).unwrap_err().to_string();
        assert!(message(AugmentConfig { cutout: 33, ..Default::default() }).contains("augment.cutout"));
        assert!(
            message(AugmentConfig { crop_padding: 32, ..Default::default() })
                .contains("augment.crop_padding")
        );
        assert!(
            message(AugmentConfig { resized_crop: Some([0.9, 0.5]), ..Default::default() })
                .contains("resized_crop")
        );
        assert!(message(AugmentConfig { contrast: -0.1, ..Default::default() }).contains("augment.contrast"));
    }
}
