//! The program prints what it promises, on small sizes. Times are not judged.

use assert_cmd::Command;
use cfconv_train::checkpoint::TensorFile;
use serde_json::Value;

fn measure(arguments: &str) -> Value {
    let mut command = Command::cargo_bin("cfconv-bench").unwrap();
    let output = command.args(arguments.split(' ')).args([
        "--threads",
        "2",
        "--steps",
        "2",
        "--warmup",
        "1",
        "--json",
    ]);
    let output = output.assert().success().get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).expect("one JSON object");
    for field in ["median_s", "min_s"] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{field} in {report}");
    }
    assert_eq!((report["threads"].as_u64(), report["steps"].as_u64()), (Some(2), Some(2)));
    report
}

const SHAPE: &str = "--batch 3 --in-channels 2 --out-channels 4 --height 8 --width 6";

#[test]
fn transforms_are_measured_in_both_layouts() {
    for layout in ["nchw", "lanes"] {
        let report = measure(&format!("fft {SHAPE} --layout {layout}"));
        assert_eq!((&report["planes"], &report["layout"]), (&6.into(), &layout.into()));
    }
}

#[test]
fn layers_report_positions_memory_and_rate() {
    // 8 rows, 4 stored columns, 2 × 4 channels: 256 positions.
    for (positions, expected) in [("--positions 40", 40), ("--positions all", 256), ("--positions 9999", 256)]
    {
        let report = measure(&format!("layer {SHAPE} {positions} --hidden-width 8"));
        assert_eq!(report["positions"], expected, "{report}");
        // Complex numbers of 8 bytes.
        assert_eq!(report["state_mib"].as_f64().unwrap(), 256.0 * 8.0 / f64::from(1 << 20));
        assert!(report["gflops_mlp"].as_f64().unwrap() > 0.0);
        assert!(report["peak_scratch_mib"].as_f64().unwrap() >= report["held_scratch_mib"].as_f64().unwrap());
    }
    let lattice = measure(&format!("layer {SHAPE} --lattice 3"));
    // 3 × 2 lattice frequencies for each pair of channels.
    assert_eq!(lattice["positions"], 3 * 2 * 8);
}

#[test]
fn convolutions_products_and_inference_are_measured() {
    assert!(measure(&format!("conv3x3 {SHAPE}"))["gflops"].as_f64().unwrap() > 0.0);
    assert!(measure("sgemm --size 40")["gflops"].as_f64().unwrap() > 0.0);
    assert_eq!(measure(&format!("infer {SHAPE}"))["subject"], "layer");
}

#[test]
fn shipped_networks_are_measured_in_training_and_inference() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/embedded-conv3x3.toml");
    let report = measure(&format!("net --config {config} --batch 2"));
    assert_eq!(report["batch"], 2);
    assert!(report["loss"].as_f64().unwrap().is_finite());
    assert!(report["parameters"].as_u64().unwrap() > 10_000);
    assert_eq!(measure(&format!("infer --config {config} --batch 2"))["subject"], "network");
}

#[test]
fn operands_and_results_are_written_in_place_of_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("step.safetensors");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/embedded-cfconv.toml");
    let cases = [
        (format!("fft {SHAPE}"), vec!["input", "output", "spectrum"]),
        (
            format!("layer {SHAPE} --positions 40"),
            vec![
                "grad.bias",
                "grad.input",
                "grad.mlp.output.weight",
                "positions",
                "state_after",
                "state_before",
            ],
        ),
        (format!("conv3x3 {SHAPE} --circular"), vec!["grad.input", "grad.weight", "output"]),
        (format!("infer {SHAPE}"), vec!["output", "output_scale", "state_before"]),
        (
            format!("net --config {config} --batch 2"),
            vec![
                "after.layers.0.kernel_state",
                "grad.layers.0.mlp.layer0.weight",
                "layers.0.positions",
                "logits",
            ],
        ),
        (format!("infer --config {config} --batch 2"), vec!["before.layers.0.kernel_state", "logits"]),
    ];
    for (arguments, expected) in cases {
        let mut command = Command::cargo_bin("cfconv-bench").unwrap();
        command.args(arguments.split(' ')).arg("--dump").arg(&file).assert().success().stdout("");
        let tensors = TensorFile::read(&file).unwrap().tensors().unwrap();
        for name in expected {
            assert!(tensors.iter().any(|tensor| tensor.name == name), "{arguments}: no {name}");
        }
        std::fs::remove_file(&file).unwrap();
    }
    Command::cargo_bin("cfconv-bench").unwrap().args(["sgemm", "--dump"]).arg(&file).assert().failure();
}

#[test]
fn wrong_options_are_refused() {
    for arguments in
        ["conv3x3 --kernel-size 2", "layer --positions 0", "fft --batch 0", "net --config absent.toml"]
    {
        Command::cargo_bin("cfconv-bench").unwrap().args(arguments.split(' ')).assert().failure();
    }
}

#[test]
fn a_graphics_card_that_cannot_be_used_is_an_error_that_names_what_is_missing() {
    // Alone in a folder, without the program that links CUDA.
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join(format!("alone{}", std::env::consts::EXE_SUFFIX));
    // By a program of its own: a file that this one has written may still be open in a child of another test.
    let program = assert_cmd::cargo::cargo_bin("cfconv-bench");
    assert!(std::process::Command::new("cp").arg(program).arg(&alone).status().unwrap().success());
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/embedded-conv3x3.toml");
    let failing = |arguments: &str| {
        let output = Command::new(&alone).args(arguments.split(' ')).assert().failure();
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    for subject in [format!("layer {SHAPE}"), format!("net --config {config}")] {
        let message = failing(&format!("{subject} --device cuda"));
        assert!(message.contains("--device cuda: cfconv-bench-cuda is not in "), "{message}");
        assert!(message.contains("--features cuda"), "{message}");
    }
    let message = failing(&format!("layer {SHAPE} --device cuda --dump x.safetensors"));
    assert!(message.contains("leave out --device cuda"), "{message}");
    let message = failing(&format!("layer {SHAPE} --tf32"));
    assert!(message.contains("--tf32") && message.contains("give --device cuda too"), "{message}");
}
