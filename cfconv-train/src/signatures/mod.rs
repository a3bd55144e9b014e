//! Failure signatures: what a run can see of its own going wrong, and what to change.
//!
//! | signature | seen | in |
//! |---|---|---|
//! | [`memory`](SignatureKind::Memory) | the estimate before the first step is near the limit | [`MemoryEstimate`] |
//! | [`plateau`](SignatureKind::Plateau) | the training loss no longer falls | [`plateau`] |
//! | [`fluctuation`](SignatureKind::Fluctuation) | loss or accuracy jump more than chance explains | [`fluctuation`] |
//! | [`ringing`](SignatureKind::Ringing) | a kernel oscillates far from its centre | [`ringing`] |
//! | [`not-finite`](SignatureKind::NotFinite) | a loss or gradient is infinite or not a number | [`not_finite`] |
//!
//! A [`Watch`] looks at every step and epoch. Thresholds are constants beside each rule, and described in
//! `docs/failure-signatures.md`.

pub mod fluctuation;
mod memory;
pub mod not_finite;
pub mod plateau;
pub mod ringing;
mod signature;
mod watch;

pub use memory::{MemoryDemand, MemoryEstimate, MemoryRefusal};
pub use signature::{Signature, SignatureKind};
pub use watch::{EpochView, Watch};
