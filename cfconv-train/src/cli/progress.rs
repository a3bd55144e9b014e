//! How far a training run is: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::metrics::{EndEvent, EpochEvent, Score, StartEvent, StepEvent};
use crate::signatures::Signature;
use crate::trainer::Observer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Least time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the events of a run on standard error.
pub(super) struct TrainingDisplay {
    output: Output,
    total_steps: usize,
    steps_per_epoch: usize,
    /// Where this part of the run began: estimates of the time left count from here.
    first_step: usize,
    started: Instant,
}

enum Output {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl TrainingDisplay {
    pub(super) fn new(quiet: bool) -> Self {
        let output = if quiet {
            Output::Nothing
        } else if std::io::stderr().is_terminal() {
            Output::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))
        } else {
            Output::Lines { last: Instant::now() }
        };
        Self { output, total_steps: 0, steps_per_epoch: 1, first_step: 0, started: Instant::now() }
    }

    fn line(&self, text: &str) {
        match &self.output {
            Output::Bar(bar) => bar.println(text),
            Output::Lines { .. } => tracing::info!("{text}"),
            Output::Nothing => {}
        }
    }

    fn time_left(&self, step: usize) -> Duration {
        let done = step.saturating_sub(self.first_step).max(1) as f64;
        let left = self.total_steps.saturating_sub(step) as f64;
        self.started.elapsed().mul_f64(left / done)
    }
}

impl Observer for TrainingDisplay {
    fn started(&mut self, start: &StartEvent, steps_done: usize) {
        self.steps_per_epoch = start.steps_per_epoch.max(1);
        self.total_steps = start.steps_per_epoch * start.epochs;
        self.first_step = steps_done;
        self.started = Instant::now();
        let split = start.split;
        self.line(&format!(
            "{}: {} parameters; {} ({} train, {} validation, {} test images, {} skipped)",
            start.model,
            start.parameters,
            start.data,
            split.train,
            split.validation,
            split.test,
            start.skipped
        ));
        self.line(&format!("estimated memory: {}", start.memory));
        if steps_done > 0 {
            self.line(&format!("resumed after step {steps_done} of {}", self.total_steps));
        }
        if let Output::Bar(bar) = &self.output {
            bar.set_length(self.total_steps as u64);
            bar.set_position(steps_done as u64);
            bar.reset_eta();
            bar.set_style(
                ProgressStyle::with_template("{elapsed} [{bar:30}] {pos}/{len} steps, {eta} left; {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
        }
    }

    fn step(&mut self, step: &StepEvent) {
        let epoch = step.epoch + 1;
        let state = format!("epoch {epoch}, loss {:.4}, {:.0} ms a step", step.loss, step.step_ms);
        let left = minutes(self.time_left(step.step));
        let total = self.total_steps;
        match &mut self.output {
            Output::Bar(bar) => {
                bar.set_position(step.step as u64);
                bar.set_message(state);
            }
            Output::Lines { last } if last.elapsed() >= LINE_INTERVAL => {
                *last = Instant::now();
                tracing::info!("step {}/{total}: {state}, {left} left", step.step);
            }
            Output::Lines { .. } | Output::Nothing => {}
        }
    }

    fn epoch(&mut self, epoch: &EpochEvent) {
        let epochs = self.total_steps / self.steps_per_epoch;
        let mut text = format!("epoch {}/{epochs}: train {}", epoch.epoch + 1, score(&epoch.train));
        for (name, value) in
            [("validation", &epoch.validation), ("validation (averaged)", &epoch.validation_averaged)]
        {
            if let Some(value) = value {
                text += &format!("; {name} {}", score(value));
            }
        }
        text += &format!("; {:.1} s, {} left", epoch.seconds, minutes(self.time_left(epoch.step)));
        self.line(&text);
    }

    fn signature(&mut self, signature: &Signature) {
        match &self.output {
            Output::Bar(bar) => bar.println(format!("warning: {signature}")),
            Output::Lines { .. } | Output::Nothing => tracing::warn!("warning: {signature}"),
        }
    }

    fn ended(&mut self, end: &EndEvent) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
        if let Some(test) = &end.test {
            self.line(&format!("{} test images: {}", test.images, score(test)));
        }
    }
}

/// Shows how many images have been read: a bar on a terminal, nothing elsewhere.
pub(super) struct LoadingBar(ProgressBar);

impl LoadingBar {
    pub(super) fn new(quiet: bool) -> Self {
        // A draw target on a pipe or file draws nothing by itself.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(
            ProgressStyle::with_template("reading images [{bar:30}] {pos}/{len}, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        Self(bar)
    }

    pub(super) fn update(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn score(score: &Score) -> String {
    format!("{:.2} % (loss {:.4})", 100.0 * score.accuracy, score.loss)
}

fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        assert_eq!(minutes(Duration::from_secs(7)), "7 s");
        assert_eq!(minutes(Duration::from_secs(67)), "1 min 07 s");
        assert_eq!(minutes(Duration::from_secs(3 * 3600 + 61)), "3 h 01 min");
    }
}
