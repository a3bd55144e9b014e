//! The table `[optimizer]`.

use serde::{Deserialize, Serialize};

use crate::schedule::{OutOfRange, require};

/// The rule by which gradients change parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam; weight decay is added to the gradient.
    Adam,
    /// Adam with weight decay apart from the gradient.
    #[default]
    AdamW,
    /// Gradient descent with momentum; weight decay is added to the gradient.
    Sgd,
}

/// The table `[optimizer]`.
///
/// # Source
/// Adam: Kingma and Ba, 2015, algorithm 1. AdamW: Loshchilov and Hutter, 2019, algorithm 2 with the decay
/// multiplied by the learning rate, as in PyTorch. SGD: PyTorch's form, in which momentum accumulates gradients
/// without damping, `v ← μv + g`.
///
/// # Examples
/// ```
/// use cfconv_train::optim::{OptimizerConfig, OptimizerKind};
///
/// let config: OptimizerConfig = toml::from_str("kind = 'sgd'\nlearning_rate = 0.1").unwrap();
/// assert_eq!((config.kind, config.learning_rate, config.momentum), (OptimizerKind::Sgd, 0.1, 0.9));
/// assert!(toml::from_str::<OptimizerConfig>("lr = 0.1").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// The rule. Default: `adam-w`.
    pub kind: OptimizerKind,
    /// Learning rate, to be multiplied by the schedule. Default: 0.002.
    pub learning_rate: f64,
    /// Decay of Adam's mean of gradients. Default: 0.9.
    pub beta_1: f64,
    /// Decay of Adam's mean of squared gradients. Default: 0.999.
    pub beta_2: f64,
    /// What is added to the root of Adam's mean of squares. Default: 1e-8.
    pub epsilon: f64,
    /// Momentum of `sgd`. Default: 0.9.
    pub momentum: f64,
    /// Weight decay of weights; biases and the parameters of normalisation never decay. Default: 0.
    pub weight_decay: f64,
    /// Longest gradient, as the norm over all parameters; longer ones are shortened to it. 0 turns it off.
    /// Default: 0.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamW,
            learning_rate: 2e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            momentum: 0.9,
            weight_decay: 0.0,
            clip_norm: 0.0,
        }
    }
}

impl OptimizerConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// [`OutOfRange`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let decay = |value: f64| (0.0..1.0).contains(&value);
        let finite = "finite and at least 0";
        require(
            "optimizer.learning_rate",
            "finite and above 0",
            positive(self.learning_rate),
            self.learning_rate,
        )?;
        require("optimizer.beta_1", "0 to below 1", decay(self.beta_1), self.beta_1)?;
        require("optimizer.beta_2", "0 to below 1", decay(self.beta_2), self.beta_2)?;
        require("optimizer.epsilon", "finite and above 0", positive(self.epsilon), self.epsilon)?;
        require("optimizer.momentum", "0 to below 1", decay(self.momentum), self.momentum)?;
        require("optimizer.weight_decay", finite, not_negative(self.weight_decay), self.weight_decay)?;
        require("optimizer.clip_norm", finite, not_negative(self.clip_norm), self.clip_norm)
    }
}
