//! `ringing`: a learned kernel oscillates far from its centre.

use super::watch::EpochView;
use super::{Signature, SignatureKind};

/// The measure of [`KernelRinging`](cfconv_core::KernelRinging), 1 for white noise, from which on a layer rings.
pub const THRESHOLD: f64 = 0.5;

/// The signature of the layer that rings most, if it rings too much.
pub(super) fn find(view: &EpochView<'_>) -> Option<Signature> {
    let worst = view.kernels.iter().max_by(|left, right| left.ringing.total_cmp(&right.ringing))?;
    // Not a number is not above the threshold either.
    if worst.ringing.is_nan() || worst.ringing < THRESHOLD {
        return None;
    }
    let layers = view.kernels.iter().filter(|kernel| kernel.ringing >= THRESHOLD).count();
    let seen = format!(
        "the kernels of {} oscillate far from their centre, {:.0} % as much as white noise",
        worst.layer,
        100.0 * worst.ringing
    );
    let lagging = worst.shadow_gap > super::watch::LARGE_GAP;
    let advice = if lagging {
        "more network.sampler.num_positions, or ema_alpha nearer to 1: positions that were visited long \
         ago no longer fit their neighbours"
    } else {
        "a smaller network.kernel.omega_frequency (at initialisation a kernel is about omega/2π pixels wide), fewer \
         fourier_features or a smaller fourier_scale, or the lattice sampler, whose kernels end near their centre"
    };
    Some(
        Signature::new(SignatureKind::Ringing, view.step, view.epoch, seen)
            .with("ringing", worst.ringing)
            .with("nyquist_energy", worst.nyquist_energy)
            .with("overshoot", worst.overshoot)
            .with("shadow_gap", worst.shadow_gap)
            .with("coverage", worst.coverage)
            .with("ringing_layers", layers as f64)
            .advise(advice),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::KernelHealth;

    #[test]
    fn worst_layer_is_named() {
        let health = |layer: &str, ringing, shadow_gap| KernelHealth {
            layer: layer.to_owned(),
            shadow_gap,
            coverage: 1.0,
            positions_per_step: 10,
            num_positions: 100,
            nyquist_energy: 0.4,
            overshoot: 0.9,
            ringing,
        };
        let find = |kernels: &[KernelHealth]| {
            find(&EpochView { step: 1, epoch: 0, planned_epochs: 1, classes: 2, validation: None, kernels })
        };
        assert_eq!(find(&[health("layers.0", 0.4, 0.0), health("layers.3", 0.1, 0.0)]), None);
        let found = find(&[health("layers.0", 0.6, 0.0), health("layers.3", 0.9, 0.0)]).unwrap();
        assert!(found.seen.contains("layers.3") && found.advice.contains("omega_frequency"), "{found}");
        assert_eq!((found.evidence["ringing"], found.evidence["ringing_layers"]), (0.9, 2.0));
        let lagging = find(&[health("layers.0", 0.6, 0.8)]).unwrap();
        assert!(lagging.advice.contains("num_positions"), "{lagging}");
    }
}
