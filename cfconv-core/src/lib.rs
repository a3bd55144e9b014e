//! The continuous Fourier convolution layer: position samplers, kernel state, forward and backward by hand.
//!
//! A *continuous Fourier convolution* multiplies the spectrum of an image by a kernel as large as the image:
//!
//! ```text
//! X = rfft2(x);   Y[o] = Σ_i X[i]·K[i, o];   y = irfft2(Y) + bias
//! ```
//!
//! The kernel is not a parameter. A small coordinate network Φ (crate `cfconv-mlp`) gives its value at any
//! frequency and channel pair. In a training step a [`PositionSampler`] chooses some positions, Φ is evaluated
//! there, and the kernel state is refreshed there. With a [`Lattice`] the kernel has k×k pixels, and k×k
//! frequencies determine it exactly.
//!
//! | type | what it is |
//! |---|---|
//! | [`CfConv2d`] | the layer on NCHW arrays, which owns its parameters |
//! | [`engine::CfConv2dEngine`] | the layer on flat CHWN slices `[C, H, W, B]`, for trainers |
//! | [`engine::EngineBackend`] | what a device must do to run the same engine |
//! | [`CfConv2dConfig`] | every setting with its default, read from TOML or JSON |
//! | [`SamplerConfig`] | which positions a step visits |
//! | [`naive`] | the layer by its definition, which every other path must equal |
//!
//! # Example
//! Learn to shift an image by one pixel, by plain gradient descent:
//! ```
//! use cfconv_core::{CfConv2d, SamplerConfig};
//! use ndarray::{Array4, Axis, concatenate, s};
//!
//! // Four noise images of 8×8 pixels, and the same images moved by one column (around the edge).
//! let mut state = 1_u32;
//! let images = Array4::from_shape_simple_fn((4, 1, 8, 8), || {
//!     state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//!     (state >> 8) as f32 / (1 << 23) as f32 - 1.0
//! });
//! let shifted =
//!     concatenate![Axis(3), images.slice(s![.., .., .., 7..]), images.slice(s![.., .., .., ..7])];
//!
//! let mut layer =
//!     CfConv2d::<f32>::builder(1, 1, 8, 8).sampler(SamplerConfig::Lattice { size: 3 }).build(7)?;
//! let mut losses = Vec::new();
//! for step in 0..60 {
//!     layer.begin_step(step)?;
//!     let (output, saved) = layer.forward(images.view())?;
//!     let error = output - &shifted;
//!     losses.push(error.mapv(|e| e * e).mean().unwrap());
//!     let grad_output = &error * (2.0 / error.len() as f32);
//!     let mut grad_params = vec![0.0; layer.params().len()];
//!     layer.backward(saved, grad_output.view(), &mut grad_params)?;
//!     for (param, grad) in layer.params_mut().iter_mut().zip(&grad_params) {
//!         *param -= 0.01 * grad;
//!     }
//! }
//! assert!(losses[59] < 0.1 * losses[0], "{} → {}", losses[0], losses[59]);
//! # Ok::<(), cfconv_core::CoreError>(())
//! ```
//!
//! # Randomness and threads
//! Every random number follows from a [`StepSeed`] (run seed, layer, step). Results are bit-identical for any
//! number of threads.

mod config;
pub mod engine;
mod error;
mod kernel_state;
mod lattice;
mod layer;
pub mod naive;
mod output_scale;
mod pair_planes;
mod refresh_history;
mod ringing;
mod sampler;
mod seed;

pub use config::{CfConv2dConfig, ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill};
pub use engine::PaddingMode;
pub use error::{CoreError, Result};
pub use kernel_state::ShadowGap;
pub use lattice::Lattice;
pub use layer::{CfConv2d, CfConv2dBuilder, CfConv2dSaved};
pub use refresh_history::RefreshHistory;
pub use ringing::KernelRinging;
pub use sampler::{DrawnStep, GapProfile, NumPositions, PositionSampler, SampledPositions, SamplerConfig};
pub use seed::{Purpose, StepSeed, random_stream};
