//! Timing of repeated work.

use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

/// How often and with how many threads something is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Number of threads; 0 means one for each core.
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    threads: usize,
    /// Measured steps.
    #[arg(long, value_name = "N", default_value_t = 7, global = true, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Steps before the measured ones.
    #[arg(long, value_name = "N", default_value_t = 2, global = true)]
    warmup: u32,
}

impl RunArgs {
    /// Starts the threads that all measurements of this process use.
    ///
    /// # Errors
    /// Threads cannot be started, or were started before.
    pub fn start_threads(&self) -> Result<()> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build_global()
            .with_context(|| format!("cannot start {} threads", self.threads))
    }

    /// Runs `step` for the warm-up and then for the measurement, with its number, from 0.
    ///
    /// # Errors
    /// The first error of a step.
    pub(crate) fn time(&self, mut step: impl FnMut(u64) -> Result<()>) -> Result<Timing> {
        self.time_parts(|number| {
            let start = Instant::now();
            step(number)?;
            Ok([start.elapsed().as_secs_f64()])
        })
        .map(|[timing]| timing)
    }

    /// As [`time`](Self::time), for a step that times its parts, in seconds.
    ///
    /// # Errors
    /// The first error of a step.
    pub(crate) fn time_parts<const N: usize>(
        &self,
        mut step: impl FnMut(u64) -> Result<[f64; N]>,
    ) -> Result<[Timing; N]> {
        for number in 0..u64::from(self.warmup) {
            step(number)?;
        }
        let mut seconds = vec![];
        for number in 0..u64::from(self.steps) {
            seconds.push(step(u64::from(self.warmup) + number)?);
        }
        let timing = |part: usize| Timing::of(seconds.iter().map(|parts| parts[part]).collect());
        Ok(std::array::from_fn(timing))
    }
}

/// Wall times of the measured steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The middle one, or the mean of the two middle ones, in seconds.
    pub median_s: f64,
    /// The shortest, in seconds.
    pub min_s: f64,
    /// How many there were.
    pub steps: usize,
    /// Threads of the process's pool.
    pub threads: usize,
    /// Each of them, in the order of the steps.
    pub seconds: Vec<f64>,
}

impl Timing {
    fn of(seconds: Vec<f64>) -> Self {
        let mut sorted = seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let (steps, middle) = (sorted.len(), sorted.len() / 2);
        let median_s =
            if steps % 2 == 1 { sorted[middle] } else { 0.5 * (sorted[middle - 1] + sorted[middle]) };
        Self { median_s, min_s: sorted[0], steps, threads: rayon::current_num_threads(), seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_minimum_of_odd_and_even_counts() {
        let odd = Timing::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.median_s, odd.min_s, odd.steps), (2.0, 1.0, 3));
        assert_eq!(odd.seconds, [3.0, 1.0, 2.0]);
        assert_eq!(Timing::of(vec![4.0, 1.0, 2.0, 3.0]).median_s, 2.5);
    }

    #[test]
    fn warm_up_is_not_measured_and_steps_are_numbered() {
        let args = RunArgs { threads: 0, steps: 3, warmup: 2 };
        let mut numbers = vec![];
        let [timing] = args
            .time_parts(|number| {
                numbers.push(number);
                Ok([number as f64])
            })
            .unwrap();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        assert_eq!((timing.median_s, timing.min_s, timing.steps), (3.0, 2.0, 3));
    }
}
