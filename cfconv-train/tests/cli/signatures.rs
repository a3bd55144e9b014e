//! Every failure signature, provoked in a small training.

use std::path::Path;

use serde_json::Value;

use crate::common::{Workplace, assert_equal_runs, events, failure, read_json};

/// The signatures of a run, of which `metrics.jsonl` and `summary.json` say the same.
fn signatures(run: &Path) -> Vec<Value> {
    let in_metrics: Vec<Value> = events(&run.join("metrics.jsonl"))
        .into_iter()
        .filter(|event| event["event"] == "signature")
        .map(|mut event| {
            event.as_object_mut().unwrap().remove("event");
            event
        })
        .collect();
    assert_eq!(read_json(&run.join("summary.json"))["signatures"], Value::from(in_metrics.clone()));
    in_metrics
}

/// Trains with some settings; gives back the names of the signatures.
fn provoke(settings: &[&str]) -> Vec<Value> {
    let place = Workplace::new();
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    place.trained("run", &arguments);
    signatures(&place.path("run"))
}

fn of_kind<'a>(signatures: &'a [Value], kind: &str) -> &'a Value {
    let mut found = signatures.iter().filter(|signature| signature["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind} in {signatures:?}"));
    assert!(found.next().is_none(), "{kind} is said more than once: {signatures:?}");
    first
}

fn number(signature: &Value, name: &str) -> f64 {
    signature["evidence"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {signature}"))
}

#[test]
fn healthy_run_raises_no_signature() {
    let place = Workplace::new();
    write_images(&place.path("images"), |class, number| [60 + 80 * u8::from(class == "dogs") + number; 3]);
    let images = place.path("images");
    let settings = ["--set", "optimizer.learning_rate=0.01", "--epochs", "12", "--data"];
    place.trained("run", &[&settings[..], &[images.to_str().unwrap()]].concat());
    assert_eq!(signatures(&place.path("run")), [] as [Value; 0]);
    assert_eq!(read_json(&place.path("run/summary.json"))["validation_accuracy"], 1.0);
}

#[test]
fn too_much_memory_is_refused_with_the_largest_batch_that_fits() {
    let place = Workplace::new();
    let limited = ["--memory-limit", "4MiB", "--threads", "2", "--set", "data.size=16"];
    let train = |out: &str, batch: &str| place.train(out, &[&limited[..], &["--batch-size", batch]].concat());
    let message = failure(&train("refused", "128"));
    assert!(message.contains("the limit is 4.0 MiB") && message.contains("activations "), "{message}");
    assert!(!place.path("refused/metrics.jsonl").exists(), "nothing was begun");
    let (_, rest) = message.split_once("(or --batch-size ").expect(&message);
    let batch: usize = rest.split(')').next().unwrap().parse().unwrap();
    let message = failure(&train("refused", &(batch + 1).to_string()));
    assert!(message.contains(&format!("train.batch_size = {batch} ")), "{message}");
    let output = train("run", &batch.to_string());
    assert!(output.status.success(), "{output:?}");
    // The largest that fits is near the limit.
    let signatures = signatures(&place.path("run"));
    let memory = of_kind(&signatures, "memory");
    assert!(number(memory, "estimate_mib") > 0.9 * number(memory, "limit_mib"), "{memory}");
}

#[test]
fn loss_that_no_longer_falls_is_a_plateau() {
    let signatures = provoke(&["train.epochs=6", "optimizer.learning_rate=1e-9", "schedule.kind=constant"]);
    let plateau = of_kind(&signatures, "plateau");
    assert!(number(plateau, "decline").abs() < 0.05, "{plateau}");
    assert!(plateau["advice"].as_str().unwrap().contains("learning_rate ten times larger"), "{plateau}");
}

#[test]
fn learning_rate_that_is_too_large_makes_the_loss_fluctuate() {
    let signatures = provoke(&[
        "train.epochs=5",
        "train.batch_size=120",
        "data.embedded_images=1500",
        "optimizer.learning_rate=2.0",
        "schedule.kind=constant",
    ]);
    let fluctuation = of_kind(&signatures, "fluctuation");
    assert!(number(fluctuation, "jump_ratio") >= 4.0, "{fluctuation}");
    assert!(
        fluctuation["advice"].as_str().unwrap().contains("learning_rate three times smaller"),
        "{fluctuation}"
    );
}

#[test]
fn kernel_of_high_omega_rings() {
    let signatures = provoke(&["data.size=16", "network.kernel.omega_frequency=400.0"]);
    let ringing = of_kind(&signatures, "ringing");
    assert!(number(ringing, "ringing") >= 0.5 && number(ringing, "nyquist_energy") > 0.0, "{ringing}");
    assert!(ringing["advice"].as_str().unwrap().contains("omega_frequency"), "{ringing}");
}

/// Writes images of one colour, 36 of each class, four of them for validation.
fn write_images(folder: &Path, colour: impl Fn(&str, u8) -> [u8; 3]) {
    for class in ["cats", "dogs"] {
        for part in ["train", "val"] {
            std::fs::create_dir_all(folder.join(part).join(class)).unwrap();
        }
        for number in 0..36 {
            let image = image::RgbImage::from_pixel(8, 8, image::Rgb(colour(class, number)));
            let part = if number < 4 { "val" } else { "train" };
            image.save(folder.join(part).join(class).join(format!("{number}.png"))).unwrap();
        }
    }
}

/// No pixel is moved or cut out, so that the white image stays white; its spectrum is beyond single precision.
const OVERFLOWING: [&str; 12] = [
    "--set",
    "augment.cutout=0",
    "--set",
    "augment.crop_padding=0",
    "--set",
    "data.mean=[0.0, 0.0, 0.0]",
    "--set",
    "data.std=[2e-38, 2e-38, 2e-38]",
    "--set",
    "train.checkpoint_every=1",
    "--set",
    "train.batch_size=8",
];

#[test]
fn steps_that_overflow_are_undone_and_resuming_across_them_is_exact() {
    let place = Workplace::new();
    // Black images and one white one: a step of each epoch overflows, and no other.
    write_images(&place.path("images"), |class, number| [255 * u8::from((class, number) == ("dogs", 7)); 3]);
    let images = place.path("images");
    let train = |out: &str, more: &[&str]| {
        let data = ["--data", images.to_str().unwrap()];
        let output = place.train(out, &[&data[..], &OVERFLOWING, more].concat());
        assert!(output.status.success(), "{output:?}");
    };
    train("whole", &[]);
    let found = signatures(&place.path("whole"));
    let undone: Vec<&Value> = found.iter().filter(|signature| signature["kind"] == "not-finite").collect();
    assert_eq!(undone.len(), 2, "one in each epoch: {found:?}");
    assert_eq!(number(undone[1], "undone_steps"), 2.0);
    // Every step has its line but those that were undone, which count among the steps.
    let steps = read_json(&place.path("whole/summary.json"))["steps"].as_u64().unwrap() as usize;
    let events = events(&place.path("whole/metrics.jsonl"));
    assert_eq!(events.iter().filter(|event| event["event"] == "step").count(), steps - 2);
    // Just before, just after, and once more before the second.
    let first = undone[0]["step"].as_u64().unwrap();
    train("broken", &["--max-steps", &first.to_string()]);
    train("broken", &["--resume", "--max-steps", &(first + 1).to_string()]);
    train("broken", &["--resume"]);
    assert_equal_runs(&place, "whole", "broken");
}

#[test]
fn diverging_run_stops_after_three_undone_steps_and_keeps_its_checkpoint() {
    let place = Workplace::new();
    let settings = [
        "--set",
        "optimizer.learning_rate=1e30",
        "--set",
        "schedule.kind=constant",
        "--set",
        "train.checkpoint_every=1",
    ];
    let message = failure(&place.train("run", &settings));
    assert!(message.contains("not-finite: step ") && message.contains("3 undone steps"), "{message}");
    assert!(message.contains("checkpoint.safetensors"), "{message}");
    assert!(place.path("run/checkpoint.safetensors").exists());
    let events = events(&place.path("run/metrics.jsonl"));
    let undone: Vec<&Value> = events.iter().filter(|event| event["event"] == "signature").collect();
    assert_eq!(undone.len(), 3, "{undone:?}");
    for (event, rate) in undone.iter().zip([0.5e30, 0.25e30, 0.125e30]) {
        assert_eq!(event["kind"], "not-finite");
        assert!((number(event, "learning_rate") / rate - 1.0).abs() < 1e-12, "{event}");
    }
    // The checkpoint can be evaluated and resumed, which fails in the same way.
    let again = failure(&place.train("run", &[&settings[..], &["--resume"]].concat()));
    assert!(again.contains("not-finite"), "{again}");
}
