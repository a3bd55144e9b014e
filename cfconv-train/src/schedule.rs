//! Learning rates that change over a run.

use serde::{Deserialize, Serialize};

/// The shape of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same factor throughout.
    Constant,
    /// Half a cosine from 1 to `final_factor`.
    #[default]
    Cosine,
    /// Half a cosine up from `initial_factor` to 1 over the first `rise_fraction` of the run, half a cosine
    /// down to `final_factor` over the rest.
    OneCycle,
    /// A straight line from 1 to `final_factor`.
    Linear,
}

/// The table `[schedule]`: the factor by which the optimiser's learning rate is multiplied at each step.
///
/// The factor depends on the step and on the number of steps alone, so a run that resumes continues it.
///
/// # Source
/// Cosine: Loshchilov and Hutter, "SGDR", 2017, eq. 5 without restarts. One-cycle: Smith and Topin,
/// "Super-convergence", 2018, in the form of PyTorch's `OneCycleLR` (cosine, two phases); the momentum does not
/// cycle here.
///
/// # Examples
/// ```
/// use cfconv_train::schedule::ScheduleConfig;
///
/// let schedule: ScheduleConfig = toml::from_str("kind = 'linear'\nfinal_factor = 0.5").unwrap();
/// assert_eq!(schedule.factor(0, 11), 1.0);
/// assert_eq!(schedule.factor(5, 11), 0.75);
/// assert_eq!(schedule.factor(10, 11), 0.5);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// The shape. Default: `cosine`.
    pub kind: ScheduleKind,
    /// Steps over which the factor rises from near 0 in a straight line before the shape begins; not with
    /// `one-cycle`, which has its own rise. Default: 0.
    pub warmup_steps: u64,
    /// The factor at the last step; not with `constant`. Default: 0.
    pub final_factor: f64,
    /// The factor at the first step of `one-cycle`. Default: 0.04 (1/25).
    pub initial_factor: f64,
    /// Share of the run over which `one-cycle` rises. Default: 0.3.
    pub rise_fraction: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Cosine,
            warmup_steps: 0,
            final_factor: 0.0,
            initial_factor: 0.04,
            rise_fraction: 0.3,
        }
    }
}

/// A field of a schedule, optimiser or average that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {got}")]
pub struct OutOfRange {
    /// The field with its table.
    pub field: &'static str,
    /// The allowed range.
    pub expected: &'static str,
    /// The value.
    pub got: String,
}

/// Checks one field.
pub(crate) fn require(
    field: &'static str,
    expected: &'static str,
    ok: bool,
    got: impl ToString,
) -> Result<(), OutOfRange> {
    if ok { Ok(()) } else { Err(OutOfRange { field, expected, got: got.to_string() }) }
}

impl ScheduleConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// [`OutOfRange`] names the first field that is out of range or has no effect.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let one_cycle = self.kind == ScheduleKind::OneCycle;
        require(
            "schedule.final_factor",
            "0 to 1",
            (0.0..=1.0).contains(&self.final_factor),
            self.final_factor,
        )?;
        require(
            "schedule.initial_factor",
            "0 to 1",
            (0.0..=1.0).contains(&self.initial_factor),
            self.initial_factor,
        )?;
        let rise_is_inside = self.rise_fraction > 0.0 && self.rise_fraction < 1.0;
        require("schedule.rise_fraction", "above 0 and below 1", rise_is_inside, self.rise_fraction)?;
        require(
            "schedule.warmup_steps",
            "0 with kind = \"one-cycle\"",
            !one_cycle || self.warmup_steps == 0,
            self.warmup_steps,
        )
    }

    /// The factor at `step` of a run of `total` steps; steps beyond the last keep its factor.
    ///
    /// With warm-up, steps w = 0 … `warmup_steps` − 1 have the factor (w + 1)/(`warmup_steps` + 1), and the shape
    /// spans the rest. A shape of a single step has the factor 1.
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / (self.warmup_steps + 1) as f64;
        }
        let last = total.saturating_sub(1).saturating_sub(self.warmup_steps);
        if last == 0 {
            return 1.0;
        }
        // 0 at the shape's first step, 1 at its last.
        let progress = (step - self.warmup_steps).min(last) as f64 / last as f64;
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Cosine => half_cosine(1.0, self.final_factor, progress),
            ScheduleKind::Linear => 1.0 + (self.final_factor - 1.0) * progress,
            ScheduleKind::OneCycle if progress < self.rise_fraction => {
                half_cosine(self.initial_factor, 1.0, progress / self.rise_fraction)
            }
            ScheduleKind::OneCycle => {
                let fall = (progress - self.rise_fraction) / (1.0 - self.rise_fraction);
                half_cosine(1.0, self.final_factor, fall)
            }
        }
    }
}

/// From `start` at 0 to `end` at 1.
fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind) -> ScheduleConfig {
        ScheduleConfig { kind, ..ScheduleConfig::default() }
    }

    fn assert_near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-14, "{got} ≠ {expected}");
    }

    #[test]
    fn cosine_passes_one_half_and_final_factor() {
        let cosine = ScheduleConfig { final_factor: 0.2, ..schedule(ScheduleKind::Cosine) };
        for (step, expected) in [(0, 1.0), (50, 0.6), (100, 0.2), (1000, 0.2)] {
            assert_near(cosine.factor(step, 101), expected);
        }
        // A third of the way: cos(π/3) = 1/2.
        assert_near(schedule(ScheduleKind::Cosine).factor(1, 4), 0.75);
    }

    #[test]
    fn one_cycle_rises_then_falls() {
        let cycle = ScheduleConfig { rise_fraction: 0.25, ..schedule(ScheduleKind::OneCycle) };
        for (step, expected) in [(0, 0.04), (100, 1.0), (400, 0.0)] {
            assert_near(cycle.factor(step, 401), expected);
        }
        assert_near(cycle.factor(50, 401), 0.52);
        assert_near(cycle.factor(250, 401), 0.5);
        for step in 0..100 {
            assert!(cycle.factor(step, 401) < cycle.factor(step + 1, 401));
        }
        for step in 100..400 {
            assert!(cycle.factor(step, 401) > cycle.factor(step + 1, 401));
        }
    }

    #[test]
    fn warm_up_climbs_in_equal_steps_to_the_shape() {
        let warm = ScheduleConfig { warmup_steps: 4, ..schedule(ScheduleKind::Cosine) };
        for step in 0..4 {
            assert_near(warm.factor(step, 104), (step + 1) as f64 / 5.0);
        }
        assert_near(warm.factor(4, 104), 1.0);
        assert_near(warm.factor(103, 104), 0.0);
    }

    #[test]
    fn short_runs_are_defined() {
        for kind in
            [ScheduleKind::Constant, ScheduleKind::Cosine, ScheduleKind::OneCycle, ScheduleKind::Linear]
        {
            assert_near(schedule(kind).factor(0, 0), 1.0);
            assert_near(schedule(kind).factor(0, 1), 1.0);
        }
        let longer = ScheduleConfig { warmup_steps: 10, ..ScheduleConfig::default() };
        assert_near(longer.factor(12, 5), 1.0);
    }

    #[test]
    fn settings_without_effect_or_out_of_range_are_refused() {
        let refused = ScheduleConfig { warmup_steps: 5, ..schedule(ScheduleKind::OneCycle) };
        assert_eq!(
            refused.validate().unwrap_err().to_string(),
            "schedule.warmup_steps: expected 0 with kind = \"one-cycle\", got 5"
        );
        let refused = ScheduleConfig { final_factor: f64::NAN, ..ScheduleConfig::default() };
        assert_eq!(
            refused.validate().unwrap_err().to_string(),
            "schedule.final_factor: expected 0 to 1, got NaN"
        );
        assert!(toml::from_str::<ScheduleConfig>("kinds = 'cosine'").is_err());
        ScheduleConfig::default().validate().unwrap();
    }
}
