//! The continuous Fourier convolution layer.

mod config;
pub mod engine;
mod error;
mod kernel_state;
mod lattice;
mod layer;
mod output_scale;
mod pair_planes;
mod refresh_history;
mod sampler;
mod seed;

pub use config::{Application, CfConv2dConfig, EvaluationKernel, GradientScale, InitialFill};
pub use engine::PaddingMode;
pub use error::{CoreError, Result};
pub use kernel_state::{KernelState, ShadowGap};
pub use lattice::Lattice;
pub use layer::{CfConv2d, CfConv2dBuilder, CfConv2dSaved};
pub use refresh_history::RefreshHistory;
pub use sampler::{NumPositions, PositionSampler, SampledPositions, SamplerConfig};
pub use seed::{Purpose, StepSeed};
