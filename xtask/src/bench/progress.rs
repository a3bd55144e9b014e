//! How far the measurements are: a bar on a terminal, a line for each work elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::number_text::duration;

/// Counts works by guessed seconds; the guesses need only be right in proportion.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    done: f64,
    total: f64,
}

impl Progress {
    pub(crate) fn new(total: f64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %\n  {msg}");
            ProgressBar::new(total.ceil() as u64).with_style(style.expect("the template is valid"))
        });
        Self { bar, start: Instant::now(), done: 0.0, total }
    }

    /// Prints a line above the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    pub(crate) fn begin(&self, title: &str) {
        let left = remaining(self.start.elapsed(), self.done, self.total)
            .map_or(String::new(), |left| format!(", about {} left", duration(left.as_secs_f64())));
        match &self.bar {
            Some(bar) => bar.set_message(format!("{title}{left}")),
            None => eprintln!("[{:>3.0} %] {title}{left}", 100.0 * self.done / self.total.max(1e-9)),
        }
    }

    /// Counts a work as done.
    pub(crate) fn advance(&mut self, weight: f64) {
        self.done += weight;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The rest takes as long for each guessed second as what is done; no estimate before a twentieth is done.
fn remaining(elapsed: Duration, done: f64, total: f64) -> Option<Duration> {
    (done > 0.05 * total && done <= total).then(|| elapsed.mul_f64((total - done) / done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_in_proportion() {
        assert_eq!(remaining(Duration::from_secs(10), 2.0, 6.0), Some(Duration::from_secs(20)));
        assert_eq!(remaining(Duration::from_secs(10), 0.1, 6.0), None);
        assert_eq!(remaining(Duration::from_secs(10), 6.0, 6.0), Some(Duration::ZERO));
    }
}
