//! What the program says when something is wrong.

use crate::common::{TINY, Workplace, cfconv, failure, stderr};

#[test]
fn configuration_errors_name_file_key_and_neighbour() {
    let place = Workplace::new();
    let message = failure(&place.train("a", &["--set", "optimizer.lerning_rate=1"]));
    assert!(message.contains("tiny.toml"), "{message}");
    assert!(
        message.contains("`optimizer.lerning_rate`; the nearest valid key is `learning_rate`"),
        "{message}"
    );
    let message = failure(&place.train("a", &["--set", "network.layers[3].type=maxpool"]));
    assert!(message.contains("nearest valid choice is `max-pool`"), "{message}");
    let message = failure(&place.train("a", &["--set", "train.epochs=many"]));
    assert!(message.contains("`train.epochs`: expected usize, found string \"many\""), "{message}");
    let message = failure(&place.train("a", &["--epochs", "0"]));
    assert!(message.contains("`train.epochs`: expected at least 1, got 0"), "{message}");
    let message = failure(&place.train("a", &["--set", "network.layers[8].out_features=5"]));
    assert!(message.contains("one value for each class"), "{message}");
    let output = cfconv().args(["train", "--config", "nowhere.toml", "--out"]).arg(place.path("a")).output();
    let message = failure(&output.unwrap());
    assert!(message.contains("nowhere.toml") && message.contains("No such file"), "{message}");
    std::fs::write(place.path("tiny.toml"), format!("{TINY}\n[train]\n")).unwrap();
    let message = failure(&place.train("a", &[]));
    assert!(message.contains("tiny.toml:") && message.contains("duplicate"), "{message}");
}

#[test]
fn refused_training_leaves_no_folder_behind() {
    let place = Workplace::new();
    failure(&place.train("a", &["--data", "/does/not/exist"]));
    std::fs::create_dir_all(place.path("empty/cat")).unwrap();
    let message = failure(&place.train("a", &["--data", place.path("empty").to_str().unwrap()]));
    assert!(message.contains("empty"), "{message}");
    place.trained("a", &["--max-steps", "1"]);
}

#[test]
fn diverging_run_stops_and_says_so() {
    let place = Workplace::new();
    let settings =
        ["--set", "optimizer.learning_rate=1e30", "--set", "schedule.kind=constant", "--epochs", "4"];
    let message = failure(&place.train("a", &settings));
    assert!(message.contains("step ") && message.contains("checkpoint"), "{message}");
}

#[test]
fn broken_checkpoints_are_named() {
    let place = Workplace::new();
    place.trained("run", &["--max-steps", "9"]);
    let path = place.path("run/checkpoint.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let eval = |content: &[u8]| {
        let file = place.path("broken.safetensors");
        std::fs::write(&file, content).unwrap();
        failure(&cfconv().args(["eval", "--json", "--checkpoint"]).arg(file).output().unwrap())
    };
    for content in [&whole[..whole.len() - 5], &whole[..100], b"", b"not a checkpoint at all", &[0xff; 64]] {
        let message = eval(content);
        assert!(message.contains("broken.safetensors is not a whole safetensors file"), "{message}");
    }
    let foreign = {
        let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
        safetensors::serialize([("weight", tensor)], None).unwrap()
    };
    let message = eval(&foreign);
    assert!(message.contains("not a checkpoint of cfconv"), "{message}");
    // The header's first tensor name, its metadata's version, a number of its configuration: same lengths.
    for (old, new, expected) in [
        ("\"layers.8.bias\"", "\"layers.8.bios\"", "tensor `layers.8.bios` does not belong to the network"),
        ("\\\"version\\\":1", "\\\"version\\\":7", "version 7, this program reads version 1"),
        ("\\\"hidden_width\\\":8", "\\\"hidden_width\\\":9", "expected"),
        ("\\\"kind\\\":\\\"training\\\"", "\\\"kind\\\":\\\"straining\\\"", "not a whole"),
    ] {
        let message = eval(&replace(&whole, old.as_bytes(), new.as_bytes()));
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("broken.safetensors"), "{message}");
    }
    // A model is no state to resume from.
    std::fs::copy(place.path("run/best.safetensors"), &path).unwrap();
    let message = failure(&place.train("run", &["--resume"]));
    assert!(message.contains("holds a model only"), "{message}");
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let start = bytes.windows(old.len()).position(|window| window == old).expect("the text is in the header");
    [&bytes[..start], new, &bytes[start + old.len()..]].concat()
}

#[test]
fn bad_images_and_arguments_are_named() {
    let place = Workplace::new();
    place.trained("run", &["--max-steps", "1"]);
    let checkpoint = place.path("run/checkpoint.safetensors");
    let text = place.path("text.jpg");
    std::fs::write(&text, "no image").unwrap();
    let predict = |image: &std::path::Path| {
        failure(&cfconv().args(["predict", "--checkpoint"]).arg(&checkpoint).arg(image).output().unwrap())
    };
    assert!(predict(&text).contains("text.jpg"));
    assert!(predict(&place.path("missing.png")).contains("missing.png"));
    for arguments in [
        &["train"][..],
        &["eval", "--checkpoint", "x", "--split", "half"],
        &["predict", "--checkpoint", "x"],
        &["inspect"],
        &["inspect", "--checkpoint", "x", "--config", "y"],
    ] {
        let output = cfconv().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let place = Workplace::new();
    let mut program = std::process::Command::new(cfconv().get_program());
    program.args(["inspect", "--config"]).arg(place.path("tiny.toml"));
    let output = program.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
}
