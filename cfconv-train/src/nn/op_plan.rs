//! Operations that a device prepares once for given sizes.

use super::OpSizes;
use crate::device::Result;

/// Sizes that the operation supports, and what a device has prepared for them.
#[derive(Clone, Debug)]
pub struct OpPlan<S, P> {
    pub(crate) sizes: S,
    pub(crate) prepared: P,
}

impl<S: OpSizes + Copy, P> OpPlan<S, P> {
    /// Checks the sizes, then prepares.
    pub(crate) fn try_new(
        op: &'static str,
        sizes: &S,
        prepare: impl FnOnce(&S) -> Result<P>,
    ) -> Result<Self> {
        sizes.validate(op)?;
        Ok(Self { sizes: *sizes, prepared: prepare(sizes)? })
    }
}
