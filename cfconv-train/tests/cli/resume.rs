//! Resumed runs against unbroken ones.

use crate::common::{Workplace, assert_equal_runs, cfconv, events, failure, read_json};

#[test]
fn resumed_run_equals_unbroken_run_bit_for_bit() {
    let place = Workplace::new();
    place.trained("whole", &[]);
    assert_eq!(read_json(&place.path("whole/summary.json"))["steps"], 18);
    // Within the first epoch, at the boundary, within the second.
    place.trained("broken", &["--max-steps", "3"]);
    assert_eq!(read_json(&place.path("broken/summary.json"))["complete"], false);
    place.trained("broken", &["--resume", "--max-steps", "9"]);
    place.trained("broken", &["--resume", "--max-steps", "14"]);
    place.trained("broken", &["--resume"]);
    assert_equal_runs(&place, "whole", "broken");
}

#[test]
fn number_of_threads_changes_nothing() {
    let place = Workplace::new();
    place.trained("one", &["--threads", "1"]);
    place.trained("two", &["--threads", "2"]);
    assert_equal_runs(&place, "one", "two");
    assert_eq!(read_json(&place.path("two/summary.json"))["threads"], 2);
}

#[test]
fn seeds_change_the_run() {
    let place = Workplace::new();
    place.trained("five", &["--max-steps", "1"]);
    place.trained("six", &["--max-steps", "1", "--seed", "6"]);
    let loss = |run: &str| events(&place.path(run).join("metrics.jsonl"))[1]["loss"].clone();
    assert_ne!(loss("five"), loss("six"));
}

#[test]
fn run_folders_are_guarded() {
    let place = Workplace::new();
    let message = failure(&place.train("run", &["--resume"]));
    assert!(message.contains("holds no run to resume"), "{message}");
    place.trained("run", &["--max-steps", "2"]);
    let message = failure(&place.train("run", &[]));
    assert!(message.contains("already holds a run") && message.contains("--resume"), "{message}");

    let changed =
        ["--resume", "--set", "optimizer.learning_rate=0.5", "--set", "network.layers[0].out_channels=5"];
    let message = failure(&place.train("run", &changed));
    assert!(message.contains("optimizer.learning_rate: 0.002 → 0.5"), "{message}");
    assert!(message.contains("network.layers[0].out_channels: 4 → 5"), "{message}");
    // The run's own configuration, with the two settings that may change.
    let output = cfconv()
        .args(["train", "--quiet", "--resume", "--epochs", "3", "--threads", "1", "--out"])
        .arg(place.path("run"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(read_json(&place.path("run/summary.json"))["epochs"], 3);
}

#[cfg(unix)]
#[test]
fn interrupted_run_writes_a_checkpoint_and_goes_on() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let place = Workplace::new();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("cfconv"))
        .args(["train", "--epochs", "100000", "--config"])
        .arg(place.path("tiny.toml"))
        .arg("--out")
        .arg(place.path("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let metrics = place.path("run/metrics.jsonl");
    while std::fs::read_to_string(&metrics).unwrap_or_default().lines().count() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no step within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let steps = std::fs::read_to_string(&metrics).unwrap().matches("\"event\":\"step\"").count();
    let more = (steps + 2).to_string();
    place.trained("run", &["--resume", "--epochs", "100000", "--max-steps", &more]);
    assert_eq!(read_json(&place.path("run/summary.json"))["steps"], steps + 2);
}
