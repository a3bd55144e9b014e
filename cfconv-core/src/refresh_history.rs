//! Which steps have refreshed the kernel state.

use std::collections::VecDeque;

use crate::sampler::{DrawnStep, GapProfile};
use crate::seed::StepSeed;

/// Runs of steps kept; only a history that keeps jumping back and forth has more than a few.
const MAX_RUNS: usize = 1024;

/// Marks a run whose words are followed by a profile of gaps.
const PROFILE_FOLLOWS: u64 = 1 << 63;

/// The steps that have refreshed a kernel state, as runs of consecutive ones.
///
/// Positions are a function of the step, so the steps are all there is to remember: coverage is found by
/// drawing them again, and a training run of any length is a single entry. A gap-weighted sampler also follows a
/// [`GapProfile`]: the history knows the one that the next step is drawn with, and a run of steps has one. Of
/// histories with more than 1024 runs the oldest are forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefreshHistory {
    runs: VecDeque<StepRun>,
    gap_profile: GapProfile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StepRun {
    first: StepSeed,
    count: u64,
    gap_profile: GapProfile,
}

impl RefreshHistory {
    /// The profile of gaps that the next step is drawn with.
    pub fn gap_profile(&self) -> GapProfile {
        self.gap_profile
    }

    /// Sets the profile of gaps that further steps are drawn with.
    pub fn set_gap_profile(&mut self, gap_profile: GapProfile) {
        self.gap_profile = gap_profile;
    }

    /// Appends a step, drawn with the present profile.
    pub fn push(&mut self, seed: StepSeed) {
        let gap_profile = self.gap_profile;
        match self.runs.back_mut() {
            Some(run)
                if run.gap_profile == gap_profile
                    && run.first.step.checked_add(run.count).map(|next| run.first.at_step(next))
                        == Some(seed) =>
            {
                run.count += 1;
            }
            _ => {
                if self.runs.len() == MAX_RUNS {
                    self.runs.pop_front();
                }
                self.runs.push_back(StepRun { first: seed, count: 1, gap_profile });
            }
        }
    }

    /// Removes the newest step and gives it back; the next step is drawn with its profile.
    pub fn pop(&mut self) -> Option<StepSeed> {
        let run = self.runs.back_mut()?;
        run.count -= 1;
        self.gap_profile = run.gap_profile;
        let newest = run.first.at_step(run.first.step + run.count);
        if run.count == 0 {
            self.runs.pop_back();
        }
        Some(newest)
    }

    /// The last `count` steps, newest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = DrawnStep> + '_ {
        let steps = self.runs.iter().rev().flat_map(|run| {
            (0..run.count).rev().map(|offset| DrawnStep {
                seed: run.first.at_step(run.first.step + offset),
                gap_profile: run.gap_profile,
            })
        });
        steps.take(count)
    }

    /// The history as numbers, for checkpoints: run seed, layer, first step and number of steps of each run. Where
    /// gaps are followed, the highest bit of that number is set and the run's profile comes next, and a run of no
    /// steps at the end holds the profile of the next step.
    pub fn to_words(&self) -> Vec<u64> {
        let next = StepRun {
            first: StepSeed { run_seed: 0, layer: 0, step: 0 },
            count: 0,
            gap_profile: self.gap_profile,
        };
        let known = self.runs.back().map_or_else(GapProfile::default, |run| run.gap_profile);
        let mut words = Vec::new();
        for run in self.runs.iter().copied().chain((known != self.gap_profile).then_some(next)) {
            let StepSeed { run_seed, layer, step } = run.first;
            if run.count > 0 && run.gap_profile == GapProfile::default() {
                words.extend([run_seed, layer, step, run.count]);
            } else {
                words.extend([run_seed, layer, step, run.count | PROFILE_FOLLOWS]);
                words.extend(run.gap_profile.to_words());
            }
        }
        words
    }

    /// The history that [`to_words`](Self::to_words) described, or `None` if the numbers describe none.
    pub fn from_words(mut words: &[u64]) -> Option<Self> {
        let mut history = Self::default();
        while let Some((&[run_seed, layer, step, marked], rest)) = words.split_first_chunk() {
            let count = marked & !PROFILE_FOLLOWS;
            let (gap_profile, rest) = if marked == count {
                (GapProfile::default(), rest)
            } else {
                let (&profile, rest) = rest.split_first_chunk()?;
                (GapProfile::from_words(profile)?, rest)
            };
            step.checked_add(count)?;
            history.gap_profile = gap_profile;
            match (count, marked == count || !rest.is_empty()) {
                // Only at the end, and only with a profile.
                (0, true) => return None,
                (0, false) => {}
                _ => {
                    let first = StepSeed { run_seed, layer, step };
                    history.runs.push_back(StepRun { first, count, gap_profile });
                }
            }
            words = rest;
        }
        words.is_empty().then_some(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::SampledPositions;
    use cfconv_fft::Complex;

    #[test]
    fn consecutive_steps_take_one_entry_and_come_back_newest_first() {
        let seed = StepSeed { run_seed: 1, layer: 2, step: 10 };
        let mut history = RefreshHistory::default();
        for step in [10, 11, 12, 20, 21] {
            history.push(seed.at_step(step));
        }
        assert_eq!(history.to_words(), [1, 2, 10, 3, 1, 2, 20, 2]);
        let steps = |count| history.last(count).map(|step| step.seed.step).collect::<Vec<_>>();
        assert_eq!(steps(4), [21, 20, 12, 11]);
        assert_eq!(steps(100).len(), 5);
        assert_eq!(RefreshHistory::from_words(&history.to_words()), Some(history));
    }

    #[test]
    fn popping_undoes_pushing() {
        let seed = StepSeed { run_seed: 1, layer: 2, step: 10 };
        let mut history = RefreshHistory::default();
        assert_eq!(history.pop(), None);
        let mut earlier = Vec::new();
        let steps = [10, 11, 20, 21, 22, 5];
        for step in steps {
            earlier.push(history.clone());
            history.push(seed.at_step(step));
        }
        for (step, before) in steps.into_iter().zip(earlier).rev() {
            assert_eq!(history.pop(), Some(seed.at_step(step)));
            assert_eq!(history, before);
        }
    }

    #[test]
    fn profiles_of_gaps_are_kept_with_the_steps_they_were_followed_in() {
        let seed = StepSeed { run_seed: 1, layer: 2, step: 0 };
        let positions = SampledPositions::all(64);
        let profile = |off: usize| {
            let state = vec![Complex::default(); 64];
            let mut phi = state.clone();
            phi[off] = Complex::new(1.0_f32, 0.0);
            GapProfile::measure(&positions, &state, &phi)
        };
        let mut history = RefreshHistory::default();
        for step in 0..6 {
            // New profiles are followed from steps 2 and 4 on, and one from step 6 on.
            if step % 2 == 0 && step > 0 {
                history.set_gap_profile(profile(step as usize));
            }
            history.push(seed.at_step(step));
        }
        history.set_gap_profile(profile(6));
        let words = history.to_words();
        assert_eq!(words.len(), 4 + 3 * (4 + GapProfile::WORDS));
        assert_eq!(RefreshHistory::from_words(&words), Some(history.clone()));
        assert_eq!(RefreshHistory::from_words(&words[..words.len() - 1]), None);
        let followed: Vec<_> = history.last(6).map(|step| step.gap_profile).collect();
        assert_eq!(
            followed,
            [profile(4), profile(4), profile(2), profile(2), GapProfile::default(), GapProfile::default()]
        );
        history.pop();
        assert_eq!(history.gap_profile(), profile(4));
        assert_eq!(RefreshHistory::from_words(&history.to_words()), Some(history));
        // A run of no steps can only be the last.
        let none = &words[words.len() - 4 - GapProfile::WORDS..];
        assert_eq!(RefreshHistory::from_words(&[none, none].concat()), None);
    }

    #[test]
    fn broken_words_are_refused() {
        assert_eq!(RefreshHistory::from_words(&[1, 2, 3]), None);
        assert_eq!(RefreshHistory::from_words(&[1, 2, 3, 0]), None);
        assert_eq!(RefreshHistory::from_words(&[1, 2, u64::MAX, 1]), None);
        assert_eq!(RefreshHistory::from_words(&[]), Some(RefreshHistory::default()));
    }

    #[test]
    fn old_runs_are_forgotten() {
        let seed = StepSeed { run_seed: 0, layer: 0, step: 0 };
        let mut history = RefreshHistory::default();
        for run in 0..2000 {
            history.push(seed.at_step(2 * run));
        }
        assert_eq!(history.to_words().len(), 4 * MAX_RUNS);
        assert_eq!(history.last(1).next(), Some(seed.at_step(3998).into()));
    }
}
