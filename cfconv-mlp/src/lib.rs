//! Coordinate MLPs that map a frequency and a channel pair to a complex kernel value, with gradients.
//!
//! A spectral convolution multiplies each frequency of its input by a matrix of complex numbers, one for each
//! pair of channels. Together these numbers are a kernel spectrum `K[h, w, i, o]` of [`KernelGrid`] size. This
//! crate computes K instead of storing it: [`KernelMlp`] evaluates a small network Φ at a list of positions or
//! at all of them, and takes gradients back to the network's parameters. [`KernelMlpConfig`] chooses which
//! coordinates enter, how many networks there are, and how they are initialised.
//!
//! # Examples
//! 4,610 parameters give a kernel of two million values, and its gradient at any of them:
//! ```
//! use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, Positions};
//! use num_complex::Complex;
//! use rand::{SeedableRng, rngs::ChaCha8Rng};
//!
//! let grid = KernelGrid { height: 64, width: 64, in_channels: 32, out_channels: 32 };
//! let phi = KernelMlp::<f32>::try_new(&KernelMlpConfig::default(), grid)?;
//! let mut params = vec![0.0; phi.num_parameters()];
//! phi.initialize(&mut ChaCha8Rng::seed_from_u64(0), &mut params);
//! assert_eq!((params.len(), grid.num_positions()), (4_610, 2_162_688));
//!
//! let positions = Positions::List(&[7, 400, 99_000]);
//! let mut values = [Complex::default(); 3];
//! phi.evaluate(&params, positions, &mut values)?;
//! let mut grad_params = vec![0.0; params.len()];
//! phi.evaluate_vjp(&params, positions, &values, &mut grad_params)?; // gradient of Σ|Φ|²/2
//! assert!(grad_params.iter().any(|&g| g != 0.0));
//! # Ok::<(), cfconv_mlp::MlpError>(())
//! ```
//!
//! Fit Φ to one value by gradient descent on `|Φ(u) − 1|²`:
//! ```
//! use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, Positions};
//! use num_complex::Complex;
//! use rand::{SeedableRng, rngs::ChaCha8Rng};
//!
//! let grid = KernelGrid { height: 16, width: 16, in_channels: 2, out_channels: 3 };
//! let phi = KernelMlp::<f64>::try_new(&KernelMlpConfig::default(), grid)?;
//! let mut params = vec![0.0; phi.num_parameters()];
//! phi.initialize(&mut ChaCha8Rng::seed_from_u64(0), &mut params);
//!
//! let positions = Positions::List(&[77]);
//! let mut value = [Complex::default()];
//! for _ in 0..50 {
//!     phi.evaluate(&params, positions, &mut value)?;
//!     let grad_output = [2.0 * (value[0] - 1.0)];
//!     let mut grad = vec![0.0; params.len()];
//!     phi.evaluate_vjp(&params, positions, &grad_output, &mut grad)?;
//!     params.iter_mut().zip(&grad).for_each(|(p, g)| *p -= 0.005 * g);
//! }
//! assert!((value[0] - 1.0).norm() < 1e-3);
//! # Ok::<(), cfconv_mlp::MlpError>(())
//! ```
//!
//! # Evaluation
//! Positions are evaluated in tiles of 48 that share one network. A tile's activations stay in cache between
//! forward and backward and are then dropped, so memory does not grow with the number of positions. Tiles run
//! in parallel in chunks that depend on the positions only, and the gradients of chunks are added in order.
//! Results are therefore bit-identical for any number of threads.

mod activation;
mod angle_addition;
mod budget;
mod config;
mod coords;
mod error;
mod grid;
mod init;
mod input_tables;
mod kernel_mlp;
mod layout;
mod linear;
pub mod naive;
mod parameterization;
mod schedule;
mod shared_basis;
mod sincos;
mod tile;

pub use budget::solve_hidden_width;
pub use config::{Activation, ChannelEncoding, ComplexOutput, FrequencyGrid, KernelMlpConfig, OmegaMode};
pub use error::{MlpError, Result};
pub use grid::{GridPoint, KernelGrid, Positions};
pub use input_tables::{ChannelTable, InputTables};
pub use kernel_mlp::KernelMlp;
pub use layout::{LinearLayout, ParameterLayout, ParameterSegment};
pub use parameterization::{ChannelAxis, Parameterization};
