//! Time and memory of a layer over positions, image size and channels.

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::contestants::Side;
use crate::scale::Scale;

/// One curve: a side and a number of threads along one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// `positions`, `size` or `channels`.
    pub(crate) axis: String,
    pub(crate) label: String,
    pub(crate) threads: usize,
    pub(crate) points: Vec<Point>,
}

/// A layer of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) command: String,
    pub(crate) median_s: f64,
    pub(crate) min_s: f64,
    /// Memory beyond operands and results.
    pub(crate) scratch_mib: Option<f64>,
}

/// A curve to measure.
pub(crate) struct Sweep {
    pub(crate) axis: &'static str,
    pub(crate) side: Side,
    pub(crate) threads: usize,
    pub(crate) points: Vec<(f64, Case)>,
}

impl Sweep {
    pub(crate) fn label(&self) -> String {
        let plural = if self.threads == 1 { "" } else { "s" };
        format!("{}, {} thread{plural}", self.side.name(), self.threads)
    }
}

/// Positions where size or channels vary.
const FIXED_POSITIONS: usize = 1 << 15;

/// The curves: ours with one and with `threads` threads, the peer with `threads` and at fewer points.
pub(crate) fn sweeps(scale: Scale, threads: usize, with_peer: bool) -> Vec<Sweep> {
    let layer = |positions: usize| Case::new("layer").with("positions", positions);
    let powers = |exponents: &[u32]| -> Vec<(f64, Case)> {
        exponents.iter().map(|&exponent| (f64::from(1 << exponent), layer(1 << exponent))).collect()
    };
    let sizes = |sizes: &[usize]| -> Vec<(f64, Case)> {
        sizes.iter().map(|&size| (size as f64, layer(FIXED_POSITIONS).size(size))).collect()
    };
    let channels = |channels: &[usize]| -> Vec<(f64, Case)> {
        channels.iter().map(|&count| (count as f64, layer(FIXED_POSITIONS).channels(count))).collect()
    };
    let ours: [(&str, Vec<(f64, Case)>); 3] = match scale {
        Scale::Full => [
            ("positions", powers(&[10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])),
            ("size", sizes(&[16, 32, 64, 128, 256])),
            ("channels", channels(&[8, 16, 32, 64, 128])),
        ],
        Scale::Quick => [
            ("positions", powers(&[10, 14, 18])),
            ("size", sizes(&[16, 64])),
            ("channels", channels(&[8, 32])),
        ],
        Scale::Smoke => {
            let tiny = |case: Case| case.with("batch", 1).with("hidden-width", 8);
            let small = |positions: usize| tiny(layer(positions)).size(8).channels(2);
            [
                ("positions", vec![(16.0, small(16)), (64.0, small(64))]),
                ("size", vec![(4.0, small(32).size(4)), (8.0, small(32))]),
                ("channels", vec![(1.0, small(32).channels(1)), (2.0, small(32))]),
            ]
        }
    };
    let peers: [(&str, Vec<(f64, Case)>); 3] = [
        ("positions", powers(&[10, 12, 14, 16, 18, 20])),
        ("size", sizes(&[16, 64, 128])),
        ("channels", channels(&[8, 32, 64])),
    ];
    let mut thread_counts = vec![1, threads];
    thread_counts.dedup();
    let mut sweeps = Vec::new();
    for (axis, points) in ours {
        for &threads in &thread_counts {
            sweeps.push(Sweep { axis, side: Side::Ours, threads, points: points.clone() });
        }
        if with_peer && scale == Scale::Full {
            let points = peers.iter().find(|(name, _)| *name == axis).map(|(_, points)| points.clone());
            sweeps.push(Sweep { axis, side: Side::Peer, threads, points: points.unwrap_or_default() });
        }
    }
    sweeps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_curves_reach_from_end_to_end_with_the_peer_beside_them() {
        let sweeps = sweeps(Scale::Full, 2, true);
        assert_eq!(sweeps.len(), 9);
        let ends = |axis: &str| {
            let sweep = sweeps.iter().find(|sweep| sweep.axis == axis).unwrap();
            (sweep.points[0].0, sweep.points[sweep.points.len() - 1].0)
        };
        assert_eq!(ends("positions"), (1024.0, 2_097_152.0));
        assert_eq!((ends("size"), ends("channels")), ((16.0, 256.0), (8.0, 128.0)));
        assert_eq!(sweeps[2].label(), "PyTorch, 2 threads");
    }

    #[test]
    fn one_thread_is_measured_once_and_quick_curves_have_no_peer() {
        assert_eq!(sweeps(Scale::Smoke, 1, true).len(), 3);
        assert!(sweeps(Scale::Quick, 2, true).iter().all(|sweep| sweep.side == Side::Ours));
    }
}
