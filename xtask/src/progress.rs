//! How far a command with many parts is: a bar on a terminal, a line from time to time elsewhere.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::number_text::duration;

/// Longest silence without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

/// Length of the bar.
const BAR_UNITS: f64 = 10_000.0;

/// Counts parts by their weights, which only need to be right in proportion.
pub(crate) struct Progress {
    /// indicatif hides it where there is no terminal.
    bar: ProgressBar,
    total: f64,
    /// Weight of the parts that are done.
    done: f64,
    /// Weight that this call worked through: an earlier call may have done the rest.
    worked: f64,
    /// How much of it has to be done before there is an estimate.
    least_worked: f64,
    /// Time of the parts that are done.
    spent: Duration,
    title: String,
    part_start: Instant,
    /// Share of the current part that is done, once it is known.
    share: Option<f64>,
    last_line: Instant,
}

impl Progress {
    /// Estimates the time left as soon as `least_worked` of the weight `total` is done.
    pub(crate) fn new(total: f64, least_worked: f64) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %\n  {msg}");
        let bar = ProgressBar::new(BAR_UNITS as u64).with_style(style.expect("the template is valid"));
        let (now, title) = (Instant::now(), String::new());
        let (part_start, last_line) = (now, now);
        let (done, worked, spent, share) = (0.0, 0.0, Duration::ZERO, None);
        Self { bar, total, done, worked, least_worked, spent, title, part_start, share, last_line }
    }

    /// Prints a message above the bar.
    pub(crate) fn note(&self, text: impl Display) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Prints a result above the bar, on standard output.
    pub(crate) fn print(&self, text: impl Display) {
        // A closed stdout (for example `| head`) must not end a run that takes hours.
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stdout(), "{text}");
        });
    }

    /// Begins a part.
    pub(crate) fn begin(&mut self, title: &str) {
        self.title = title.to_owned();
        self.part_start = Instant::now();
        self.show("", true);
    }

    /// Shows how far a part of weight 1 is. What is done at the first call was done before this program began.
    pub(crate) fn update(&mut self, share: f64, text: &str) {
        self.worked += share - self.share.replace(share).unwrap_or(share);
        self.show(text, self.last_line.elapsed() >= LINE_INTERVAL);
    }

    /// Ends a part; a part that was `kept` from an earlier call took no time.
    pub(crate) fn advance(&mut self, weight: f64, kept: bool) {
        if !kept {
            self.worked += weight - self.share.unwrap_or(0.0);
            self.spent += self.part_start.elapsed();
        }
        self.done += weight;
        self.share = None;
        self.bar.set_position((BAR_UNITS * self.fraction()) as u64);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn fraction(&self) -> f64 {
        (self.done + self.share.unwrap_or(0.0)) / self.total.max(1e-9)
    }

    fn show(&mut self, text: &str, line_is_due: bool) {
        let left = self.total * (1.0 - self.fraction());
        let elapsed = self.spent + self.part_start.elapsed();
        let estimate = remaining(elapsed, self.worked, self.least_worked, left)
            .map(|time| format!(", about {} left", duration(time.as_secs_f64())));
        let colon = if text.is_empty() { "" } else { ": " };
        let message = format!("{}{colon}{text}{}", self.title, estimate.unwrap_or_default());
        if self.bar.is_hidden() && line_is_due {
            self.last_line = Instant::now();
            eprintln!("[{:>3.0} %] {message}", 100.0 * self.fraction());
        }
        self.bar.set_position((BAR_UNITS * self.fraction()) as u64);
        self.bar.set_message(message);
    }
}

/// The rest takes as long in proportion to its weight as the work so far, once there is enough of that.
fn remaining(elapsed: Duration, worked: f64, least_worked: f64, left: f64) -> Option<Duration> {
    (worked > least_worked).then(|| elapsed.mul_f64((left / worked).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_in_proportion() {
        let seconds = |elapsed, worked, left| {
            remaining(Duration::from_secs(elapsed), worked, 0.3, left).map(|time| time.as_secs_f64())
        };
        assert_eq!(seconds(10, 2.0, 4.0), Some(20.0));
        assert_eq!(seconds(10, 0.1, 5.9), None, "too little to go by");
        assert_eq!(seconds(10, 6.0, 0.0), Some(0.0));
        // Two runs took 10 s and 30 s: the third takes their mean.
        assert_eq!(seconds(40, 2.0, 1.0), Some(20.0));
    }

    #[test]
    fn work_of_an_earlier_call_gives_no_rate() {
        let mut progress = Progress::new(3.0, 0.0);
        progress.advance(1.0, true);
        progress.update(0.5, "resumed here");
        assert_eq!((progress.done, progress.worked), (1.0, 0.0));
        progress.update(0.75, "");
        assert_eq!((progress.worked, progress.fraction()), (0.25, 1.75 / 3.0));
        progress.advance(1.0, false);
        assert_eq!((progress.done, progress.worked), (2.0, 0.5));
    }
}
