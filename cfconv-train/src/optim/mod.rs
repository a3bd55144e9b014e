//! Optimisers: how gradients change parameters.

mod config;
mod optimizer;

pub use config::{OptimizerConfig, OptimizerKind};
pub use optimizer::{NonFiniteGradient, OptimError, Optimizer, StepReport};
