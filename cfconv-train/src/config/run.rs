//! The configuration of a run: every table of a configuration file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::load::{load_toml, parse_toml};
use crate::averaging::AverageConfig;
use crate::data::{AugmentConfig, DataConfig};
use crate::networks::NetworkConfig;
use crate::optim::OptimizerConfig;
use crate::schedule::ScheduleConfig;

/// Which weights the test and `summary.json` report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Select {
    /// Those of the best validation accuracy; without validation images, the last ones.
    #[default]
    Best,
    /// Those after the last step.
    Last,
}

/// The table `[train]`: how long and how to train.
///
/// # Examples
/// ```
/// use cfconv_train::config::{Select, TrainSettings};
///
/// let settings: TrainSettings = toml::from_str("epochs = 3\nselect = \"last\"").unwrap();
/// assert_eq!((settings.epochs, settings.batch_size, settings.select), (3, 64, Select::Last));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Passes over the training images. Default: 10.
    pub epochs: usize,
    /// Images in one step. Default: 64.
    pub batch_size: usize,
    /// Images of a step of evaluation, 0 for as many as `batch_size`. Default: 0.
    pub evaluation_batch_size: usize,
    /// Share ε of the target that is spread evenly over all classes. Default: 0.
    pub label_smoothing: f32,
    /// Epochs between evaluations on the validation images; the last epoch is always evaluated. Default: 1.
    pub evaluate_every: usize,
    /// Steps between checkpoints, beside those after each epoch and at the end; 0 makes none within epochs.
    /// Default: 0.
    pub checkpoint_every: usize,
    /// Steps between lines of `metrics.jsonl` about steps. Default: 1.
    pub log_every: usize,
    /// Which weights the test reports: `best` (validation accuracy) or `last`. Default: `best`.
    pub select: Select,
    /// Threads, 0 for one on each core; results do not depend on it. Default: 0.
    pub threads: usize,
    /// Memory in MiB that the run may take by its own estimate, 0 for what the device has available: of a graphics
    /// card its free memory, of the CPU what the system tells (Linux), else without limit. Default: 0.
    pub memory_limit_mib: usize,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 64,
            evaluation_batch_size: 0,
            label_smoothing: 0.0,
            evaluate_every: 1,
            checkpoint_every: 0,
            log_every: 1,
            select: Select::Best,
            threads: 0,
            memory_limit_mib: 0,
        }
    }
}

impl TrainSettings {
    /// Images of a step of evaluation.
    pub fn evaluation_batch(&self) -> usize {
        if self.evaluation_batch_size == 0 { self.batch_size } else { self.evaluation_batch_size }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("train.epochs", self.epochs),
            ("train.batch_size", self.batch_size),
            ("train.evaluate_every", self.evaluate_every),
            ("train.log_every", self.log_every),
        ] {
            if value == 0 {
                return Err(ConfigError::OutOfRange { key, expected: "at least 1", got: "0".into() });
            }
        }
        if self.threads > MAX_THREADS {
            let got = self.threads.to_string();
            return Err(ConfigError::OutOfRange { key: "train.threads", expected: "0 to 1024", got });
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(ConfigError::OutOfRange {
                key: "train.label_smoothing",
                expected: "0 to below 1",
                got: self.label_smoothing.to_string(),
            });
        }
        Ok(())
    }
}

/// Most threads that a setting may ask for.
const MAX_THREADS: usize = 1024;

/// The configuration of a run.
///
/// # Examples
/// ```
/// use cfconv_train::config::TrainConfig;
/// use std::path::Path;
///
/// let text = "
///     seed = 3
///     [data]
///     size = 8
///     [[network.layers]]
///     type = 'global-avg-pool'
///     [[network.layers]]
///     type = 'linear'
/// ";
/// let config = TrainConfig::parse(Path::new("tiny.toml"), text, &["train.epochs=2".into()])?;
/// assert_eq!((config.name.as_str(), config.seed, config.train.epochs), ("tiny", 3, 2));
/// # Ok::<(), cfconv_train::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The name of the model in summaries. Default: the name of the file without its ending.
    #[serde(default)]
    pub name: String,
    /// Seed of initial weights, order of images, augmentation and positions. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// Where the images come from.
    #[serde(default)]
    pub data: DataConfig,
    /// Random changes of training images.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The network.
    pub network: NetworkConfig,
    /// The rule of the steps.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// How weights are averaged for evaluation; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AverageConfig>,
    /// How long and how to train.
    #[serde(default)]
    pub train: TrainSettings,
}

impl TrainConfig {
    /// Reads a configuration file with overrides of the form `key.path=value`, and checks every range.
    ///
    /// # Errors
    /// [`ConfigError`] for whatever is wrong first.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        load_toml::<Self>(path, overrides)?.finished(path)
    }

    /// Does the work of [`load`](Self::load) on `text`; `path` names it in messages.
    ///
    /// # Errors
    /// [`ConfigError`] for whatever is wrong first.
    pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        parse_toml::<Self>(path, text, overrides)?.finished(path)
    }

    fn finished(mut self, path: &Path) -> Result<Self, ConfigError> {
        if self.name.is_empty() {
            self.name = path.file_stem().map_or("model".into(), |name| name.to_string_lossy().into_owned());
        }
        self.validate()
            .map_err(|error| ConfigError::In { path: path.to_owned(), source: Box::new(error) })?;
        Ok(self)
    }

    /// Checks the ranges of all tables. Whether the network fits the images is found out when it is built.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // TOML's integers end there.
        if i64::try_from(self.seed).is_err() {
            let got = self.seed.to_string();
            return Err(ConfigError::OutOfRange { key: "seed", expected: "at most 2^63 - 1", got });
        }
        self.data.validate()?;
        self.augment.validate(self.data.size)?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.average.as_ref().map_or(Ok(()), AverageConfig::validate)?;
        self.train.validate()
    }

    /// The complete configuration as TOML, defaults included.
    ///
    /// # Errors
    /// [`ConfigError::Unwritable`] if TOML cannot represent a value, such as an integer above 2⁶³.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Unwritable { reason: error.to_string() })
    }

    /// The settings that differ between this configuration, with which a run began, and `other`, with which it
    /// is to go on, as `key: old → new`. `train.epochs`, `train.threads`, `train.memory_limit_mib` and the place of
    /// the data may differ.
    ///
    /// # Errors
    /// [`ConfigError::Unwritable`] as for [`to_toml`](Self::to_toml).
    pub fn differences(&self, other: &Self) -> Result<Vec<String>, ConfigError> {
        let table = |config: &Self| {
            let mut config = config.clone();
            config.train.epochs = 0;
            config.train.threads = 0;
            config.train.memory_limit_mib = 0;
            config.data.path = config.data.path.map(|_| "given".into());
            toml::Table::try_from(config)
                .map_err(|error| ConfigError::Unwritable { reason: error.to_string() })
        };
        let mut differences = Vec::new();
        compare("", &toml::Value::Table(table(self)?), &toml::Value::Table(table(other)?), &mut differences);
        Ok(differences)
    }
}

fn compare(path: &str, old: &toml::Value, new: &toml::Value, differences: &mut Vec<String>) {
    match (old, new) {
        (toml::Value::Table(old), toml::Value::Table(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => compare(&path, old, new, differences),
                    (old, new) => {
                        let text =
                            |value: Option<&toml::Value>| value.map_or("unset".into(), |v| v.to_string());
                        differences.push(format!("{path}: {} → {}", text(old), text(new)));
                    }
                }
            }
        }
        (toml::Value::Array(old), toml::Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), old, new, differences);
            }
        }
        (toml::Value::Array(old), toml::Value::Array(new)) => {
            differences.push(format!("{path}: {} entries → {} entries", old.len(), new.len()));
        }
        (old, new) if old != new => differences.push(format!("{path}: {old} → {new}")),
        _ => {}
    }
}
