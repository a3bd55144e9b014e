//! Transforms of many signals side by side: one signal in each lane of a vector register.
//!
//! The trainer keeps activations as `[C, H, W, B]`, the batch innermost. There every step of a transform is
//! the same operation on [`LANES`] contiguous values, one from each image: no shuffles, no transposes, and
//! the same code for every length. [`LanesFft`] is the one-dimensional complex transform, [`LanesPlane`]
//! makes real planes of it, one block of lanes at a time, and [`LanesRfft2`] whole batches. They equal
//! the NCHW transforms of this crate to rounding.

mod bluestein;
mod butterfly;
mod complex_lanes;
mod fft1d;
mod group;
mod plane;
mod rfft2;
mod row_pair;
mod stockham;

pub use crate::simd::LANES;
pub use complex_lanes::{ComplexLanes, load_lanes, store_lanes, store_register};
pub use fft1d::{LanesFft, next_fast_len};
pub(crate) use group::PlaneGroup;
pub use plane::LanesPlane;
pub use rfft2::LanesRfft2;
