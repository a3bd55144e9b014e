//! How far the kernel state lags behind the kernel network.

use cfconv_fft::Complex;
use cfconv_mlp::Positions;

use super::backend::{EngineBackend, Outcome};
use super::cf_conv2d::Engine;
use crate::error::{CoreError, check_len};
use crate::kernel_state::ShadowGap;
use crate::sampler::draw_stratified;
use crate::seed::{Purpose, StepSeed};

/// Positions at which Φ is evaluated at a time.
const TILE: usize = 1 << 14;

impl<B: EngineBackend> Engine<B> {
    /// The shadow gap ‖K̃ − Φ‖/‖Φ‖ over every position. The host evaluates Φ in tiles and keeps none.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn shadow_gap(&self, params: B::Slice<'_>) -> Outcome<B, f64> {
        let population = self.plan().grid.num_positions() as u32;
        self.gap_over(params, 0..population)
    }

    /// An estimate of the [`shadow_gap`](Self::shadow_gap) from one position of each of `count` strata.
    ///
    /// # Errors
    /// As for [`shadow_gap`](Self::shadow_gap).
    pub fn sampled_shadow_gap(&self, params: B::Slice<'_>, count: usize, seed: StepSeed) -> Outcome<B, f64> {
        let population = self.plan().grid.num_positions();
        if count >= population {
            return self.shadow_gap(params);
        }
        let mut rng = seed.rng(Purpose::EstimateShadowGap);
        let positions = draw_stratified(&mut rng, population as u32, count.max(1) as u32);
        self.gap_over(params, positions.into_iter())
    }

    fn gap_over(&self, params: B::Slice<'_>, mut positions: impl Iterator<Item = u32>) -> Outcome<B, f64> {
        check_len("CfConv2dEngine::shadow_gap", "params", self.num_parameters(), B::len(params))?;
        let network = self.backend.to_host(B::part(params, 0..self.network_len()))?;
        let kernel = self.host_state()?;
        let mut gap = ShadowGap::default();
        let (mut list, mut state) = (Vec::with_capacity(TILE), Vec::with_capacity(TILE));
        let mut phi = Vec::new();
        loop {
            list.clear();
            list.extend(positions.by_ref().take(TILE));
            if list.is_empty() {
                return Ok(gap.ratio());
            }
            phi.resize(list.len(), Complex::default());
            self.mlp().evaluate(&network, Positions::List(&list), &mut phi).map_err(CoreError::from)?;
            state.clear();
            state.extend(list.iter().map(|&position| kernel[position as usize]));
            gap.add(&state, &phi);
        }
    }
}
