//! A network that stays in the frequency domain, from training to prediction.

use crate::common::{TINY, Workplace, cfconv, events, failure, json, read_json};

const LAYERS: &str = "layers = [
        { type = 'to-spectrum' },
        { type = 'cf-mix', out_channels = 4, bias = false },
        { type = 'complex-batch-norm', statistics = 'radial' },
        { type = 'complex-activation', kind = 'phase-gate' },
        { type = 'spectral-crop', size = 6 },
        { type = 'cf-mix', out_channels = 6 },
        { type = 'complex-batch-norm' },
        { type = 'complex-activation', initial_bias = -0.1 },
        { type = 'to-image' },
        { type = 'activation' },
        { type = 'global-avg-pool' },
        { type = 'linear' },
    ]";

/// `tiny.toml` with these layers in place of its own.
fn workplace() -> Workplace {
    let place = Workplace::new();
    let (before, rest) = TINY.split_once("layers = [").unwrap();
    let (_, after) = rest.split_once("    ]").unwrap();
    std::fs::write(place.path("tiny.toml"), format!("{before}{LAYERS}{after}")).unwrap();
    place
}

#[test]
fn network_in_the_frequency_domain_is_trained_resumed_evaluated_and_inspected() {
    let place = workplace();
    place.trained("whole", &[]);
    place.trained("broken", &["--max-steps", "7"]);
    place.trained("broken", &["--resume"]);
    let read = |run: &str| std::fs::read(place.path(run).join("checkpoint.safetensors")).unwrap();
    assert!(read("whole") == read("broken"), "the resumed run differs");
    let lines = |run: &str| events(&place.path(run).join("metrics.jsonl"));
    assert_eq!(lines("whole"), lines("broken"));

    let best = place.path("whole/best.safetensors");
    let run = |command: &str, more: &[&str]| {
        json(&cfconv().args([command, "--json", "--checkpoint"]).arg(&best).args(more).output().unwrap())
    };
    let summary = read_json(&place.path("whole/summary.json"));
    let test = run("eval", &["--split", "test"]);
    assert_eq!(test["accuracy"], summary["test_accuracy"]);
    assert_eq!(test["loss"], summary["test_loss"]);
    let image = place.path("image.png");
    image::RgbImage::from_fn(11, 9, |x, y| image::Rgb([20 * x as u8, 20 * y as u8, 90]))
        .save(&image)
        .unwrap();
    let prediction = run("predict", &[image.to_str().unwrap()]);
    assert_eq!(prediction.as_array().unwrap().len(), 1);
    let report = run("inspect", &[]);
    assert_eq!(report["parameters"], summary["parameters"]);
    let output = |layer: usize| report["layers"][layer]["output"].clone();
    assert_eq!(output(0), serde_json::json!([3, 8, 5, 2]));
    assert_eq!(output(4), serde_json::json!([4, 6, 4, 2]));
    assert_eq!(output(8), serde_json::json!([6, 6, 6]));
    // Kernel of 8×5 frequencies and 3×4 pairs; five statistics of five rings of four channels.
    assert_eq!(report["layers"][1]["state_bytes"], 8 * 5 * 12 * 8);
    assert_eq!(report["layers"][2]["state_bytes"], 5 * 5 * 4 * 4);
}

#[test]
fn misplaced_layers_and_wrong_names_are_explained() {
    let place = workplace();
    let text = std::fs::read_to_string(place.path("tiny.toml")).unwrap();
    let message = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        std::fs::write(place.path("tiny.toml"), text.replacen(from, to, 1)).unwrap();
        failure(&place.train("refused", &[]))
    };
    let found = message("{ type = 'to-spectrum' },\n", "");
    assert!(found.contains("layers.0 (cf-mix)") && found.contains("put to-spectrum before it"), "{found}");
    let found = message("kind = 'phase-gate'", "kind = 'phase-gait'");
    assert!(found.contains("phase-gait") && found.contains("phase-gate"), "{found}");
    let found = message("'complex-batch-norm', statistics", "'complex-batch-norm', statistic");
    assert!(found.contains("statistics"), "{found}");
}
