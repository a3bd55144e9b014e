//! Time and memory of a layer over positions, image size and channels.

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::contestants::Side;
use crate::number_text::counted;
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

/// A point of a curve.
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
        format!("{}, {}", self.side.name(), counted(self.threads, "thread"))
    }
}

/// What varies along a curve, and its name for readers.
pub(crate) type Axis = (&'static str, &'static str);

pub(crate) const POSITIONS: Axis = ("positions", "positions");
pub(crate) const SIZE: Axis = ("size", "rows and columns");
pub(crate) const CHANNELS: Axis = ("channels", "channels on each side");

/// The values along an axis; the peer is measured at fewer.
pub(crate) fn values(axis: Axis, scale: Scale, side: Side) -> &'static [usize] {
    match (scale, side, axis) {
        (Scale::Smoke, _, POSITIONS) => &[16, 64],
        (Scale::Smoke, _, SIZE) => &[4, 8],
        (Scale::Smoke, ..) => &[1, 2],
        (Scale::Quick, _, POSITIONS) => &[1 << 10, 1 << 14, 1 << 18],
        (Scale::Quick, _, SIZE) => &[16, 32, 64],
        (Scale::Quick, ..) => &[8, 16, 32],
        (Scale::Full, Side::Ours, POSITIONS) => {
            &[1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_072, 262_144, 524_288, 1_048_576, 2_097_152]
        }
        (Scale::Full, Side::Ours, SIZE) => &[16, 32, 64, 128, 256],
        (Scale::Full, Side::Ours, _) => &[8, 16, 32, 64, 128],
        (Scale::Full, Side::Peer, POSITIONS) => &[1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20],
        (Scale::Full, Side::Peer, SIZE) => &[16, 64, 128],
        (Scale::Full, Side::Peer, _) => &[8, 32, 64],
    }
}

/// A layer with `value` on an axis; where the positions do not vary, there are `positions`.
pub(crate) fn layer(axis: Axis, value: usize, positions: &str, scale: Scale) -> Case {
    let mut case = Case::new("layer").with("positions", positions);
    if scale == Scale::Smoke {
        case = case.with("batch", 1).with("hidden-width", 8).size(8).channels(2);
    }
    match axis {
        POSITIONS => case.with("positions", value),
        SIZE => case.size(value),
        _ => case.channels(value),
    }
}

/// The curves: ours with one and with `threads` threads, the peer with `threads`.
pub(crate) fn sweeps(scale: Scale, threads: usize, with_peer: bool) -> Vec<Sweep> {
    let positions = if scale == Scale::Smoke { "32" } else { "32768" };
    let mut sweeps = Vec::new();
    for axis in [POSITIONS, SIZE, CHANNELS] {
        let mut push = |side, threads| {
            let point = |&x: &usize| (x as f64, layer(axis, x, positions, scale));
            let points = values(axis, scale, side).iter().map(point).collect();
            sweeps.push(Sweep { axis: axis.0, side, threads, points });
        };
        if threads != 1 {
            push(Side::Ours, 1);
        }
        push(Side::Ours, threads);
        if with_peer && scale == Scale::Full {
            push(Side::Peer, threads);
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
