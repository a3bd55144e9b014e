//! Which steps have refreshed the kernel state.

use std::collections::VecDeque;

use crate::seed::StepSeed;

/// Runs of steps kept; only a history that keeps jumping back and forth has more than a few.
const MAX_RUNS: usize = 1024;

/// The steps that have refreshed a kernel state, as runs of consecutive ones.
///
/// Positions are a function of the step, so the steps are all there is to remember: coverage is found by
/// drawing them again, and a training run of any length is a single entry. Of histories with more than 1024
/// runs the oldest are forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefreshHistory {
    runs: VecDeque<StepRun>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StepRun {
    first: StepSeed,
    count: u64,
}

impl RefreshHistory {
    /// Numbers that describe one run in the flat form.
    pub const WORDS_PER_RUN: usize = 4;

    /// Appends a step.
    pub fn push(&mut self, seed: StepSeed) {
        match self.runs.back_mut() {
            Some(run)
                if run.first.step.checked_add(run.count).map(|next| run.first.at_step(next))
                    == Some(seed) =>
            {
                run.count += 1;
            }
            _ => {
                if self.runs.len() == MAX_RUNS {
                    self.runs.pop_front();
                }
                self.runs.push_back(StepRun { first: seed, count: 1 });
            }
        }
    }

    /// Removes the newest step and gives it back.
    pub fn pop(&mut self) -> Option<StepSeed> {
        let run = self.runs.back_mut()?;
        run.count -= 1;
        let newest = run.first.at_step(run.first.step + run.count);
        if run.count == 0 {
            self.runs.pop_back();
        }
        Some(newest)
    }

    /// The last `count` steps, newest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = StepSeed> + '_ {
        self.runs
            .iter()
            .rev()
            .flat_map(|run| (0..run.count).rev().map(|offset| run.first.at_step(run.first.step + offset)))
            .take(count)
    }

    /// The history as numbers, for checkpoints: run seed, layer, first step and number of steps of each run.
    pub fn to_words(&self) -> Vec<u64> {
        self.runs
            .iter()
            .flat_map(|run| [run.first.run_seed, run.first.layer, run.first.step, run.count])
            .collect()
    }

    /// The history that [`to_words`](Self::to_words) described, or `None` if the numbers describe none.
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let runs = words.chunks(Self::WORDS_PER_RUN).map(|run| match *run {
            [run_seed, layer, step, count] if count > 0 && step.checked_add(count).is_some() => {
                Some(StepRun { first: StepSeed { run_seed, layer, step }, count })
            }
            _ => None,
        });
        Some(Self { runs: runs.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_steps_take_one_entry_and_come_back_newest_first() {
        let seed = StepSeed { run_seed: 1, layer: 2, step: 10 };
        let mut history = RefreshHistory::default();
        for step in [10, 11, 12, 20, 21] {
            history.push(seed.at_step(step));
        }
        assert_eq!(history.to_words(), [1, 2, 10, 3, 1, 2, 20, 2]);
        let steps = |count| history.last(count).map(|seed| seed.step).collect::<Vec<_>>();
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
        assert_eq!(history.to_words().len(), MAX_RUNS * RefreshHistory::WORDS_PER_RUN);
        assert_eq!(history.last(1).next(), Some(seed.at_step(3998)));
    }
}
