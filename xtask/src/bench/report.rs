//! `report.json`: everything that was measured.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::goal::Goal;
use super::python::Versions;
use super::rows::{MLP_ROW, MLP_SHARE_GOAL, SGEMM_ROW};
use super::scaling::Curve;
use super::timing::Timing;
use crate::environment::Environment;
use crate::files;
use crate::scale::Scale;

/// All results of one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) command: String,
    pub(crate) scale: Scale,
    pub(crate) threads: usize,
    pub(crate) rounds: u32,
    pub(crate) steps: u32,
    pub(crate) environment: Environment,
    /// The instruction set that our kernels used.
    pub(crate) instruction_set: Option<String>,
    /// Versions of the peer.
    pub(crate) peer: Option<Versions>,
    /// Why there is no peer.
    pub(crate) without_peer: Option<String>,
    pub(crate) checks: Vec<Check>,
    pub(crate) rows: Vec<RowReport>,
    pub(crate) mlp_share: Option<MlpShare>,
    pub(crate) scaling: Vec<Curve>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
    /// Whether the call reached its end.
    pub(crate) complete: bool,
}

/// One case and its opponents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RowReport {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) ours: Timing,
    pub(crate) memory_goal_mib: Option<f64>,
    /// Whether our memory stays within its goal.
    pub(crate) memory_reached: Option<bool>,
    pub(crate) comparisons: Vec<Comparison>,
}

/// An opponent's times beside ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) against: String,
    pub(crate) theirs: Timing,
    /// Their median over ours: how many times as fast we are.
    pub(crate) ratio: f64,
    /// The same for each round.
    pub(crate) round_ratios: Vec<f64>,
    pub(crate) ratio_min: f64,
    pub(crate) ratio_max: f64,
    pub(crate) goal: Option<Goal>,
    pub(crate) reached: Option<bool>,
}

/// The kernel network's rate over that of matrix products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MlpShare {
    pub(crate) mlp_gflops: f64,
    /// The higher of our rate and the peer's.
    pub(crate) sgemm_gflops: f64,
    pub(crate) share: f64,
    pub(crate) goal: f64,
    pub(crate) reached: bool,
}

impl RowReport {
    pub(crate) fn new(id: &str, label: &str, ours: Timing, memory_goal_mib: Option<f64>) -> Self {
        let memory_reached = memory_goal_mib.zip(ours.scratch_mib).map(|(goal, scratch)| scratch <= goal);
        let (id, label, comparisons) = (id.to_owned(), label.to_owned(), vec![]);
        Self { id, label, ours, memory_goal_mib, memory_reached, comparisons }
    }
}

impl Comparison {
    /// Compares; round by round as far as both sides have rounds.
    pub(crate) fn new(against: &str, ours: &Timing, theirs: Timing, goal: Option<Goal>) -> Self {
        let ratio = theirs.median_s / ours.median_s;
        let pairs = theirs.round_medians_s.iter().zip(&ours.round_medians_s);
        let round_ratios: Vec<f64> = pairs.map(|(theirs, ours)| theirs / ours).collect();
        Self {
            against: against.to_owned(),
            ratio,
            ratio_min: round_ratios.iter().copied().fold(ratio, f64::min),
            ratio_max: round_ratios.iter().copied().fold(ratio, f64::max),
            round_ratios,
            goal,
            reached: goal.map(|goal| goal.is_reached(ratio)),
            theirs,
        }
    }
}

impl MlpShare {
    /// Computes the share where both rows were measured.
    pub(crate) fn of(rows: &[RowReport]) -> Option<Self> {
        let row = |id: &str| rows.iter().find(|row| row.id == id);
        let mlp_gflops = row(MLP_ROW)?.ours.field("gflops_mlp")?;
        let sgemm = row(SGEMM_ROW)?;
        let theirs = sgemm.comparisons.iter().filter_map(|comparison| comparison.theirs.field("gflops"));
        let sgemm_gflops = theirs.chain(sgemm.ours.field("gflops")).reduce(f64::max)?;
        let share = mlp_gflops / sgemm_gflops;
        let goal = MLP_SHARE_GOAL;
        Some(Self { mlp_gflops, sgemm_gflops, share, goal, reached: share >= goal })
    }
}

impl Report {
    /// Keeps what an earlier call measured, if there is a report at `path`. Fails if that has other settings: commit,
    /// machine or peer, or numbers of threads, rounds or steps.
    pub(crate) fn resume(&mut self, path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        let earlier: Self = files::read_json(path)
            .with_context(|| format!("--resume: {} is not a report of this version", path.display()))?;
        let settings = |report: &Self| {
            let Self { scale, threads, rounds, steps, environment, peer, .. } = report;
            [
                ("scale", scale.name().to_owned()),
                ("threads", threads.to_string()),
                ("rounds", rounds.to_string()),
                ("steps", steps.to_string()),
                ("commit", environment.commit.clone()),
                ("processor", environment.cpu.clone()),
                ("peer", format!("{peer:?}")),
            ]
        };
        for ((setting, before), (_, now)) in settings(&earlier).into_iter().zip(settings(self)) {
            ensure!(
                before == now,
                "--resume: {} was measured with another {setting}: {before}, now {now}; leave out --resume",
                path.display()
            );
        }
        let Self { checks, rows, mlp_share, scaling, instruction_set, .. } = earlier;
        *self = Self { checks, rows, mlp_share, scaling, instruction_set, ..self.clone() };
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::timing::tests::timing;
    use super::*;
    use serde_json::json;

    pub(crate) fn report() -> Report {
        let ours = timing(&[&[1.0, 1.0], &[1.0, 2.0]]);
        let mut row = RowReport::new("layer-2e18", "layer, 2^18 | positions", ours.clone(), Some(64.0));
        let against = |label, rounds, goal| Comparison::new(label, &ours, timing(rounds), Some(goal));
        row.comparisons = vec![
            against("PyTorch", &[&[7.0], &[9.0]], Goal::TimesAsFast(7.0)),
            against("cfconv, 3×3 convolution", &[&[0.5], &[0.5]], Goal::TimeAtMost(1.3)),
        ];
        Report {
            command: "cargo xtask bench".to_owned(),
            scale: Scale::Full,
            threads: 2,
            rounds: 2,
            steps: 2,
            environment: Environment::here(),
            instruction_set: Some("Avx2".to_owned()),
            peer: Some(Versions { python: "3.12.1".to_owned(), torch: "2.9.0".to_owned() }),
            rows: vec![row],
            complete: true,
            ..Report::default()
        }
    }

    #[test]
    fn ratios_are_theirs_over_ours_with_their_spread_over_rounds() {
        let row = &report().rows[0];
        // Medians over all steps: 8 and 1; of the rounds: 7/1 and 9/1.5.
        assert_eq!(row.comparisons[0].ratio, 8.0);
        assert_eq!(row.comparisons[0].round_ratios, [7.0, 6.0]);
        assert_eq!((row.comparisons[0].ratio_min, row.comparisons[0].ratio_max), (6.0, 8.0));
        assert_eq!(row.comparisons[0].reached, Some(true));
        assert_eq!(row.comparisons[1].reached, Some(false), "twice the time, 1.3 times were allowed");
        assert_eq!(row.memory_reached, Some(true));
    }

    #[test]
    fn share_takes_the_faster_matrix_product() {
        let with = |field: &str, value: f64| {
            let mut timing = timing(&[&[1.0]]);
            timing.runs[0][field] = json!(value);
            timing
        };
        let mlp = RowReport::new(MLP_ROW, "", with("gflops_mlp", 60.0), None);
        let mut sgemm = RowReport::new(SGEMM_ROW, "", with("gflops", 80.0), None);
        assert_eq!(MlpShare::of(&[mlp.clone(), sgemm.clone()]).unwrap().share, 0.75);
        let theirs = with("gflops", 120.0);
        sgemm.comparisons.push(Comparison::new("PyTorch", &sgemm.ours, theirs, None));
        let share = MlpShare::of(&[mlp.clone(), sgemm]).unwrap();
        assert_eq!((share.share, share.reached), (0.5, false));
        assert_eq!(MlpShare::of(&[mlp]), None);
    }

    #[test]
    fn written_reports_are_read_back_and_have_the_promised_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let report = report();
        files::replace_json(&path, &report).unwrap();
        assert_eq!(files::read_json::<Report>(&path).unwrap(), report);
        let value: serde_json::Value = files::read_json(&path).unwrap();
        for field in ["cpu", "cores", "commit", "rustc"] {
            assert!(!value["environment"][field].is_null(), "{field}");
        }
        assert_eq!(value["peer"]["torch"], "2.9.0");
        assert_eq!(value["rows"][0]["ours"]["runs"][0]["seconds"], json!([1.0, 1.0]));
        assert_eq!(value["rows"][0]["comparisons"][0]["goal"], json!({ "times-as-fast": 7.0 }));
    }

    #[test]
    fn resuming_keeps_rows_of_the_same_settings_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let fresh = || Report { rows: vec![], instruction_set: None, complete: false, ..report() };
        let mut absent = fresh();
        absent.resume(&path).unwrap();
        assert!(absent.rows.is_empty());
        files::replace_json(&path, &report()).unwrap();
        let mut resumed = fresh();
        resumed.resume(&path).unwrap();
        assert_eq!((resumed.rows.len(), resumed.complete), (1, false));
        let mut other = Report { threads: 1, ..fresh() };
        let error = other.resume(&path).unwrap_err().to_string();
        assert!(error.contains("another threads: 2, now 1"), "{error}");
        std::fs::write(&path, "{}").unwrap();
        assert!(fresh().resume(&path).is_err());
    }
}
