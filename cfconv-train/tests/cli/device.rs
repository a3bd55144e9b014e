//! The choice of a device: what is said where there is no graphics card, and who takes over where there is one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{Workplace, failure, stderr};

/// What the system's loader says on a machine without a driver.
const NO_DRIVER: &str = "#!/bin/sh\n\
    echo \"$0: error while loading shared libraries: libcuda.so.1: cannot open shared object file\" >&2\n\
    exit 127\n";

/// A program that starts, and says what it was asked to do.
const WORKS: &str = "#!/bin/sh\n[ \"$1\" = --probe-cuda ] && exit 0\necho \"took over: $*\"\nexit 7\n";

/// `cfconv` in a folder of its own, with `cfconv-cuda` as this script beside it, if there is to be one.
fn program(place: &Workplace, other: Option<&str>) -> PathBuf {
    let folder = place.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("cfconv");
    // By a program of its own: a file that this one has written may still be open in a child of another test when it is
    // to be started.
    let copy = |from: &Path, to: &Path| {
        assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    copy(Path::new(env!("CARGO_BIN_EXE_cfconv")), &program);
    if let Some(script) = other {
        let text = folder.join("script");
        std::fs::write(&text, script).unwrap();
        copy(&text, &folder.join("cfconv-cuda"));
    }
    program
}

fn train(place: &Workplace, program: &Path, device: &str) -> Output {
    train_with(place, program, device, &[])
}

fn train_with(place: &Workplace, program: &Path, device: &str, options: &[&str]) -> Output {
    Command::new(program)
        .args(["train", "--max-steps", "1", "--quiet", "--device", device])
        .args(options)
        .arg("--config")
        .arg(place.path("tiny.toml"))
        .arg("--out")
        .arg(place.path(&format!("run-{device}")))
        .output()
        .unwrap()
}

#[test]
fn a_build_without_cuda_says_what_is_missing() {
    let place = Workplace::new();
    let program = program(&place, None);
    let message = failure(&train(&place, &program, "cuda"));
    assert!(message.contains("--device cuda: cfconv-cuda is not in"), "{message}");
    assert!(message.contains("cargo build --release --features cuda"), "{message}");
    assert!(!place.path("run-cuda").exists(), "a refused run leaves nothing behind");
    // Nobody asked for a graphics card: nothing is said about one.
    let output = train(&place, &program, "auto");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn without_a_driver_cuda_fails_and_auto_uses_the_cpu() {
    let place = Workplace::new();
    let program = program(&place, Some(NO_DRIVER));
    let message = failure(&train(&place, &program, "cuda"));
    assert!(message.contains("--device cuda") && message.contains("libcuda.so.1: cannot open"), "{message}");
    let output = train(&place, &program, "auto");
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("running on the CPU: ") && said.contains("libcuda.so.1"), "{said}");
    let output = train(&place, &program, "cpu");
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
}

#[test]
fn tf32_is_refused_or_told_where_there_are_no_tensor_cores() {
    let place = Workplace::new();
    let program = program(&place, None);
    let message = failure(&train_with(&place, &program, "cpu", &["--tf32"]));
    assert!(message.contains("--tf32") && message.contains("--device cuda or auto"), "{message}");
    assert!(!place.path("run-cpu").exists(), "a refused run leaves nothing behind");
    let output = train_with(&place, &program, "auto", &["--tf32"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.starts_with("running on the CPU, where --tf32 changes nothing: "), "{said}");
}

#[test]
fn the_program_for_cuda_takes_over_with_all_arguments() {
    let place = Workplace::new();
    let program = program(&place, Some(WORKS));
    for device in ["cuda", "auto"] {
        let output = train(&place, &program, device);
        assert_eq!(output.status.code(), Some(7));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("took over: train --max-steps 1 --quiet"), "{said}");
        assert!(said.contains(&format!("--device {device}")), "{said}");
    }
    assert!(train(&place, &program, "cpu").status.success());
}
