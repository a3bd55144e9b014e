//! What the tests of the program share.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

/// A run of two epochs of 9 steps with everything that has a state: kernel states, batch normalisation, averages,
/// augmentation, dropout.
pub(crate) const TINY: &str = "
    seed = 5
    [data]
    size = 8
    embedded_images = 168
    [augment]
    flip = true
    crop_padding = 1
    cutout = 2
    [network]
    ema_alpha = 0.5
    layers = [
        { type = 'cf-conv', out_channels = 4, bias = false },
        { type = 'batch-norm' },
        { type = 'activation' },
        { type = 'max-pool' },
        { type = 'cf-conv', out_channels = 6 },
        { type = 'activation', kind = 'gelu' },
        { type = 'global-avg-pool' },
        { type = 'dropout', rate = 0.1 },
        { type = 'linear' },
    ]
    [network.kernel]
    hidden_width = 8
    [network.sampler]
    kind = 'uniform'
    num_positions = 100
    [optimizer]
    clip_norm = 1.0
    weight_decay = 0.01
    [schedule]
    kind = 'one-cycle'
    [average]
    decay = 0.9
    [train]
    epochs = 2
    batch_size = 16
    label_smoothing = 0.1
";

/// A folder with the configuration `tiny.toml` in it.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `cfconv train` with `tiny.toml` into the folder `out`.
    pub(crate) fn train(&self, out: &str, more: &[&str]) -> Output {
        let mut command = cfconv();
        command.args(["train", "--quiet", "--config"]).arg(self.path("tiny.toml"));
        command.arg("--out").arg(self.path(out)).args(more);
        command.output().unwrap()
    }

    pub(crate) fn trained(&self, out: &str, more: &[&str]) {
        let output = self.train(out, more);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn cfconv() -> Command {
    let mut command = Command::cargo_bin("cfconv").unwrap();
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The message of a run that failed as it should: exit code 1, nothing on standard output, no panic.
pub(crate) fn failure(output: &Output) -> String {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let error = message.lines().find(|line| !line.starts_with("warning: "));
    assert!(error.is_some_and(|line| line.starts_with("error: ")), "{message}");
    assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{message}");
    message
}

pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The events of a run without their times, and without the estimate of the memory, which depends on the threads.
pub(crate) fn events(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            for time in ["step_ms", "seconds", "elapsed_seconds", "memory"] {
                event.as_object_mut().unwrap().remove(time);
            }
            event
        })
        .collect()
}

/// Compares every file of two runs that says what was computed.
pub(crate) fn assert_equal_runs(place: &Workplace, left: &str, right: &str) {
    for file in ["checkpoint.safetensors", "best.safetensors"] {
        let read = |run: &str| std::fs::read(place.path(run).join(file)).unwrap();
        assert!(read(left) == read(right), "{file} of {left} and {right} differ");
    }
    let read = |run: &str| events(&place.path(run).join("metrics.jsonl"));
    assert_eq!(read(left), read(right));
    let read = |run: &str| read_json(&place.path(run).join("summary.json"));
    let (left, right) = (read(left), read(right));
    for key in ["steps", "complete", "train_accuracy", "validation_accuracy", "test_accuracy", "test_loss"] {
        assert_eq!(left[key], right[key], "{key}");
    }
}
