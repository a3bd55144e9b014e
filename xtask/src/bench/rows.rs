//! The rows of the table, as data.
//!
//! Shape S, the default of `cfconv-bench`: batch 32, 32→32 channels, 64×64, one 4→64→64→2 sine network.

use super::case::Case;
use super::contestants::Side;
use super::goal::Goal;

/// What a row is compared with.
pub(crate) struct Opponent {
    pub(crate) label: &'static str,
    pub(crate) side: Side,
    pub(crate) case: Case,
    pub(crate) goal: Option<Goal>,
    /// Fewer steps where one takes seconds.
    pub(crate) max_steps: Option<u32>,
}

/// One case of ours and its opponents.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) case: Case,
    pub(crate) memory_goal_mib: Option<f64>,
    pub(crate) opponents: Vec<Opponent>,
    /// Cases of the same kind, small enough for double precision: both sides must agree on their numbers.
    pub(crate) checks: Vec<Case>,
}

/// The name that stands for the scaling curves in `--only`.
pub(crate) const SCALING: &str = "scaling";

/// The row whose rate of the kernel network is compared with that of matrix products.
pub(crate) const MLP_ROW: &str = "layer-2e18";

/// The row of matrix products.
pub(crate) const SGEMM_ROW: &str = "sgemm";

/// Share of the rate of matrix products that the kernel network should reach.
pub(crate) const MLP_SHARE_GOAL: f64 = 0.6;

const SCRATCH_GOAL_MIB: f64 = 64.0;
const CF_CONV_NET: &str = "configs/cats-vs-dogs-cfconv.toml";
/// Fewer than in training, where a step takes so long that a round of PyTorch's would take minutes.
const CF_CONV_POSITIONS: &str = "network.sampler.num_positions=32768";
const CONV_NET: &str = "configs/cats-vs-dogs-conv3x3.toml";

impl Row {
    fn new(id: &'static str, label: &'static str, case: Case) -> Self {
        Self { id, label, case, memory_goal_mib: None, opponents: vec![], checks: vec![] }
    }

    /// Against the same case in PyTorch.
    fn peer(self, goal: impl Into<Option<Goal>>) -> Self {
        let case = self.case.clone();
        self.against("PyTorch", Side::Peer, case, goal)
    }

    fn against(mut self, label: &'static str, side: Side, case: Case, goal: impl Into<Option<Goal>>) -> Self {
        self.opponents.push(Opponent { label, side, case, goal: goal.into(), max_steps: None });
        self
    }

    /// Fewer steps for the opponents so far.
    fn slow_peer(mut self, max_steps: u32) -> Self {
        self.opponents.iter_mut().for_each(|opponent| opponent.max_steps = Some(max_steps));
        self
    }

    fn scratch(mut self) -> Self {
        self.memory_goal_mib = Some(SCRATCH_GOAL_MIB);
        self
    }

    fn check(mut self, case: Case) -> Self {
        self.checks.push(case);
        self
    }

    /// The row at sizes that take milliseconds.
    pub(crate) fn shrunk(mut self) -> Self {
        self.case = self.case.shrunk();
        self.opponents.iter_mut().for_each(|opponent| opponent.case = opponent.case.clone().shrunk());
        self.checks.iter_mut().for_each(|check| *check = check.clone().shrunk());
        self
    }
}

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    use Goal::{TimeAtMost, TimesAsFast};
    let fft = |id, label, size, goal| {
        let case = Case::new("fft").size(size);
        // 64 planes: enough for transforms in groups.
        let check = case.clone().with("batch", 8).channels(8);
        Row::new(id, label, case).peer(TimesAsFast(goal)).check(check)
    };
    let layer = |positions: &str| Case::new("layer").with("positions", positions);
    let small = |case: Case| case.with("batch", 4).channels(8);
    let sampled = || layer("4096").with("batch", 4);
    let layer_row = |id, label, positions, goal, check| {
        Row::new(id, label, layer(positions)).peer(TimesAsFast(goal)).check(check)
    };
    let conv = |size: usize| Case::new("conv3x3").with("kernel-size", size);
    let small_conv = |size: usize| conv(size).with("batch", 4);
    // With α = 1 nothing of an earlier kernel is left: a lattice has no positions to remember.
    let lattice = |size: usize| Case::new("layer").with("lattice", size).with("ema-alpha", 1);
    let lattice_row =
        |id, label, size| Row::new(id, label, lattice(size)).scratch().check(lattice(size).with("batch", 4));
    let net = |config: &str, batch: usize| Case::new("net").with("config", config).with("batch", batch);
    let cf_conv_net = |batch| net(CF_CONV_NET, batch).with("set", CF_CONV_POSITIONS);
    let infer = |batch: usize| Case::new("infer").with("batch", batch);
    let infer_net = |batch: usize| infer(batch).with("config", CF_CONV_NET);
    vec![
        fft("fft-64", "rfft2 + irfft2, 1,024 planes of 64×64", 64, 2.0),
        fft("fft-60", "rfft2 + irfft2, 60×60", 60, 1.0),
        fft("fft-96", "rfft2 + irfft2, 96×96", 96, 1.0),
        fft("fft-128", "rfft2 + irfft2, 128×128", 128, 1.0),
        fft("fft-150", "rfft2 + irfft2, 150×150", 150, 1.0),
        fft("fft-31", "rfft2 + irfft2, 31×31", 31, 1.0),
        Row::new(
            "fft-64-lanes",
            "rfft2 + irfft2, 64×64, batch innermost as in the engine",
            Case::new("fft").size(64).with("layout", "lanes"),
        )
        .against("PyTorch, batch outermost", Side::Peer, Case::new("fft").size(64), None),
        layer_row("layer-2e12", "layer, 2^12 positions", "4096", 5.0, sampled()),
        layer_row("layer-2e15", "layer, 2^15 positions", "32768", 5.0, sampled()),
        layer_row(MLP_ROW, "layer, 2^18 positions", "262144", 7.0, sampled()).slow_peer(4).scratch(),
        layer_row("layer-all", "layer, all 2,162,688 positions", "all", 8.0, small(layer("all")))
            .slow_peer(2)
            .scratch(),
        layer_row("layer-2e21", "layer, 2^21 positions sampled", "2097152", 8.0, small(layer("131072")))
            .slow_peer(2)
            .scratch(),
        lattice_row("lattice-3", "layer, lattice 3×3", 3)
            .against("cfconv, 3×3 convolution", Side::Ours, conv(3), TimeAtMost(1.3))
            .peer(None),
        lattice_row("lattice-5", "layer, lattice 5×5", 5)
            .against("cfconv, 5×5 convolution", Side::Ours, conv(5), TimeAtMost(1.3))
            .peer(None),
        lattice_row("lattice-9", "layer, lattice 9×9", 9).peer(None).slow_peer(4),
        Row::new("conv3x3", "3×3 convolution", conv(3))
            .peer(TimesAsFast(1.0))
            .check(small_conv(3))
            .check(small_conv(3).with("circular", "")),
        Row::new("conv5x5", "5×5 convolution", conv(5)).peer(None).check(small_conv(5)),
        Row::new(
            "net-cfconv",
            "training step, 6-layer CF-Conv network, 2^15 positions, batch 64",
            cf_conv_net(64),
        )
        .peer(TimesAsFast(6.0))
        .against("PyTorch, 3×3 network", Side::Peer, net(CONV_NET, 64), TimeAtMost(1.5))
        .slow_peer(4)
        .check(cf_conv_net(4)),
        Row::new("net-conv3x3", "training step, 3×3 network, batch 64", net(CONV_NET, 64))
            .peer(None)
            .check(net(CONV_NET, 4)),
        Row::new("infer-1", "inference, layer, batch 1", infer(1)).peer(TimesAsFast(3.0)).check(infer(1)),
        Row::new("infer-256", "inference, layer, batch 256", infer(256))
            .peer(TimesAsFast(3.0))
            .check(infer(4)),
        Row::new("infer-net-1", "inference, CF-Conv network, batch 1", infer_net(1))
            .peer(None)
            .check(infer_net(1)),
        Row::new("infer-net-64", "inference, CF-Conv network, batch 64", infer_net(64))
            .peer(None)
            .check(infer_net(1)),
        Row::new(SGEMM_ROW, "product of 1,024×1,024 matrices", Case::new("sgemm")).peer(None),
    ]
}

/// The names that `--only` accepts.
pub(crate) fn names() -> Vec<&'static str> {
    all().iter().map(|row| row.id).chain([SCALING]).collect()
}

/// The rows that the user asks for, all if there are no names, and whether the scaling curves are among them.
pub(crate) fn choose(only: &[String]) -> (Vec<Row>, bool) {
    let wanted = |id: &str| only.is_empty() || only.iter().any(|name| name == id);
    (all().into_iter().filter(|row| wanted(row.id)).collect(), wanted(SCALING))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let mut names = names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len() + 1, "a name of its own for the curves too");
        assert!(names.contains(&MLP_ROW) && names.contains(&SGEMM_ROW) && names.contains(&SCALING));
    }

    #[test]
    fn goals_are_those_of_the_layer() {
        let rows = all();
        let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
        assert_eq!(row("layer-all").opponents[0].goal, Some(Goal::TimesAsFast(8.0)));
        assert_eq!(row("layer-all").memory_goal_mib, Some(64.0));
        assert_eq!(row("lattice-5").opponents[0].case.option("kernel-size"), Some("5"));
        assert_eq!(row("net-cfconv").opponents[1].goal, Some(Goal::TimeAtMost(1.5)));
    }

    #[test]
    fn only_chooses_and_refuses_unknown_names() {
        let (rows, scaling) = choose(&["fft-31", "conv3x3"].map(str::to_owned));
        assert_eq!((rows.len(), scaling), (2, false));
        assert!(choose(&[]).1);
        assert!(choose(&["scaling".to_owned()]).0.is_empty());
        let call = ["cargo xtask", "bench", "--only", "ftt-31"];
        let error = crate::Cli::try_parse_from(call).err().unwrap().to_string();
        assert!(error.contains("'ftt-31'") && error.contains("fft-31, fft-64-lanes"), "{error}");
    }

    #[test]
    fn configurations_are_files() {
        for config in [CF_CONV_NET, CONV_NET] {
            assert!(crate::workspace::root().join(config).is_file(), "{config}");
        }
    }
}
