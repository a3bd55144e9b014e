//! What the kernel states of a network are doing.

use super::error::Result;
use super::network::Network;
use crate::device::{Device, Span};
use cfconv_core::{KernelRinging, StepSeed};

/// Channel pairs of a layer whose ringing is measured.
const RINGING_PAIRS: usize = 64;

/// The state of one CF-Conv layer's kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelDiagnostics {
    /// The layer's place in the configuration.
    pub layer: String,
    /// ‖K̃ − Φ‖/‖Φ‖: how far the kernel state lags behind the kernel network.
    pub shadow_gap: f64,
    /// Share of positions refreshed in the last steps.
    pub coverage: f64,
    /// How much the kernel state rings, over at most 64 channel pairs spread over all.
    pub ringing: KernelRinging,
    /// The largest number of positions that a step visits.
    pub positions_per_step: usize,
    /// Number of positions of the kernel.
    pub num_positions: usize,
    /// Bytes of the kernel state.
    pub state_bytes: usize,
}

impl<D: Device> Network<D> {
    /// Looks at every CF-Conv layer: the shadow gap estimated at `gap_positions` positions (over all of them if
    /// there are no more), the coverage over the last `coverage_steps` steps.
    ///
    /// # Errors
    /// What a layer reports.
    pub fn kernel_diagnostics(
        &self,
        gap_positions: usize,
        coverage_steps: usize,
    ) -> Result<Vec<KernelDiagnostics>> {
        let mut all = Vec::new();
        for layer in &self.layers {
            let Some(cf_conv) = layer.cf_conv() else { continue };
            let params = Span::new(&self.params, layer.plan.params.clone());
            let seed = StepSeed { run_seed: self.run_seed, layer: layer.number, step: self.step };
            let gap = cf_conv.shadow_gap(params, gap_positions, seed);
            all.push(KernelDiagnostics {
                layer: layer.plan.name.clone(),
                shadow_gap: gap.map_err(|source| Self::layer_error(&layer.plan, source))?,
                coverage: cf_conv.coverage(coverage_steps),
                ringing: cf_conv
                    .ringing(RINGING_PAIRS)
                    .map_err(|source| Self::layer_error(&layer.plan, source))?,
                positions_per_step: cf_conv.positions_per_step(),
                num_positions: cf_conv.num_positions(),
                state_bytes: cf_conv.state_bytes(),
            });
        }
        Ok(all)
    }
}
