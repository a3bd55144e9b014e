//! Models: `eval`, `predict`, `inspect`.

use cfconv_train::networks::TensorValues;

use crate::common::{Workplace, cfconv, failure, json, read_json};

#[test]
fn trained_model_is_evaluated_applied_and_inspected() {
    let place = Workplace::new();
    place.trained("run", &[]);
    let summary = read_json(&place.path("run/summary.json"));
    assert_eq!((&summary["model"], &summary["complete"]), (&"tiny".into(), &true.into()));
    assert_eq!(summary["split"], serde_json::json!({"train": 144, "validation": 12, "test": 12}));
    assert!(
        summary["step_ms"].as_f64().unwrap() > 0.0
            && summary["peak_mib"].as_f64().is_none_or(|mib| mib > 1.0)
    );

    let best = place.path("run/best.safetensors");
    let eval = |more: &[&str]| {
        json(&cfconv().args(["eval", "--json", "--checkpoint"]).arg(&best).args(more).output().unwrap())
    };
    let test = eval(&["--split", "test"]);
    assert_eq!(test["accuracy"], summary["test_accuracy"]);
    assert_eq!(test["loss"], summary["test_loss"]);
    assert_eq!(test["parameters"], summary["parameters"]);
    let all = eval(&["--batch-size", "50", "--threads", "1"]);
    assert_eq!((&all["images"], &all["skipped"], &all["split"]), (&168.into(), &0.into(), &"all".into()));
    assert_eq!(all["classes"].as_array().unwrap().len(), 12);
    let accuracy = all["accuracy"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&accuracy));
    let larger = eval(&["--batch-size", "168"]);
    assert_eq!(larger["accuracy"], all["accuracy"], "the batch size changed the result");

    let own_size = eval(&["--split", "test", "--size", "8"]);
    assert_eq!(own_size["loss"], test["loss"]);
    let other_size = eval(&["--split", "test", "--size", "12"]);
    assert_eq!((&other_size["size"], &other_size["images"]), (&12.into(), &test["images"]));
    assert_ne!(other_size["loss"], test["loss"], "other images give other losses");
    let loss = |report: &serde_json::Value| report["loss"].as_f64().unwrap();
    assert!((loss(&other_size) - loss(&test)).abs() < 0.5 * loss(&test), "{other_size}");

    let image = place.path("image.png");
    image::RgbImage::from_fn(11, 9, |x, y| image::Rgb([20 * x as u8, 20 * y as u8, 90]))
        .save(&image)
        .unwrap();
    let output = cfconv()
        .args(["predict", "--json", "--top", "12", "--checkpoint"])
        .arg(&best)
        .args([&image, &image])
        .output()
        .unwrap();
    let predictions = json(&output);
    assert_eq!(predictions.as_array().unwrap().len(), 2);
    assert_eq!(predictions[0]["top"], predictions[1]["top"]);
    let top = predictions[0]["top"].as_array().unwrap();
    let total: f64 = top.iter().map(|likely| likely["probability"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-5);
    assert_eq!(top[0]["class"], predictions[0]["class"]);

    for file in ["best.safetensors", "checkpoint.safetensors"] {
        let path = place.path("run").join(file);
        let report = json(&cfconv().args(["inspect", "--json", "--checkpoint"]).arg(path).output().unwrap());
        assert_eq!(report["parameters"], summary["parameters"]);
        // 8×5 frequencies of 3×4 channel pairs, 4×3 of 4×6; complex numbers of 8 bytes; 8 running statistics.
        assert_eq!(report["layers"][0]["state_bytes"], 8 * 5 * 12 * 8);
        assert_eq!(report["layers"][4]["state_bytes"], 4 * 3 * 24 * 8);
        assert!(report["kernels"].is_null());
    }
}

#[test]
fn kernels_are_printed_in_space_and_over_frequencies() {
    let place = Workplace::new();
    place.trained("run", &["--epochs", "1"]);
    let best = place.path("run/best.safetensors");
    let inspect =
        |more: &[&str]| cfconv().args(["inspect", "--checkpoint"]).arg(&best).args(more).output().unwrap();
    let kernels = json(&inspect(&["--json", "--kernels", "3"]))["kernels"].clone();
    let layers: Vec<_> = kernels.as_array().unwrap().iter().map(|layer| layer["layer"].clone()).collect();
    assert_eq!(layers, ["layers.0", "layers.4"]);
    assert_eq!((&kernels[1]["kind"], &kernels[1]["taps"]), (&"cf-conv".into(), &serde_json::json!([4, 4])));
    let pairs = kernels[1]["pairs"].as_array().unwrap();
    assert_eq!((pairs.len(), &pairs[1]["in_channel"], &pairs[1]["out_channel"]), (3, &1.into(), &2.into()));
    let values = |name: &str| -> Vec<f64> {
        pairs[0][name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    // Parseval: 4×4 taps and bins.
    let energy = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let (space, frequencies) = (energy(&values("spatial")), energy(&values("magnitude")));
    assert!((frequencies / 16.0 - space).abs() < 1e-4 * space, "{space} {frequencies}");
    assert!(!inspect(&["--kernels", "3"]).status.success(), "without --json they would not be printed");
}

/// Turned by half a turn, kernels of ordinary convolutions are the weights in the file.
#[test]
fn kernels_of_ordinary_convolutions_are_printed_too() {
    let place = Workplace::new();
    let conv = "network.layers=[{type='conv',out_channels=4},{type='depthwise-conv',kernel_size=5},\
                {type='global-avg-pool'},{type='linear'}]";
    place.trained("run", &["--epochs", "1", "--set", conv, "--set", "average="]);
    let best = place.path("run/best.safetensors");
    let inspect = cfconv().args(["inspect", "--json", "--kernels", "3", "--checkpoint"]).arg(&best).output();
    let kernels = json(&inspect.unwrap())["kernels"].clone();
    let kinds: Vec<_> = kernels.as_array().unwrap().iter().map(|layer| layer["kind"].clone()).collect();
    assert_eq!(kinds, ["conv", "depthwise-conv"]);
    assert_eq!(kernels[0]["taps"], serde_json::json!([3, 3]));
    assert_eq!(kernels[1]["taps"], serde_json::json!([5, 5]));
    assert_eq!(kernels[1]["frequencies"], serde_json::json!([8, 8]), "the image has 8×8 pixels");
    let pair = &kernels[0]["pairs"][1];
    assert_eq!((&pair["in_channel"], &pair["out_channel"]), (&1.into(), &0.into()));
    let spatial: Vec<f32> = serde_json::from_value(pair["spatial"].clone()).unwrap();
    assert_eq!(pair["magnitude"].as_array().unwrap().len(), 64);
    let tensors = cfconv_train::checkpoint::TensorFile::read(&best).unwrap().tensors().unwrap();
    let weights = tensors.iter().find(|tensor| tensor.name.ends_with("layers.0.weight")).unwrap();
    let TensorValues::F32(weights) = &weights.values else { panic!("weights are f32") };
    let turned: Vec<f32> = weights[9..18].iter().rev().copied().collect();
    assert_eq!(spatial, turned, "output channel 0, input channel 1");
}

#[test]
fn mistakes_are_counted_by_class_and_the_worst_become_pictures() {
    let place = Workplace::new();
    place.trained("run", &["--epochs", "1"]);
    let best = place.path("run/best.safetensors");
    let folder = place.path("mistakes");
    let eval =
        |more: &[&str]| cfconv().args(["eval", "--checkpoint"]).arg(&best).args(more).output().unwrap();
    let wanted = ["--mistakes", folder.to_str().unwrap(), "--mistakes-count", "3"];
    let report = json(&eval(&[&["--json"], &wanted[..]].concat()));
    let confusion: Vec<Vec<u64>> = serde_json::from_value(report["confusion"].clone()).unwrap();
    assert_eq!((confusion.len(), confusion[0].len()), (12, 12));
    assert_eq!(confusion.iter().flatten().sum::<u64>(), report["images"].as_u64().unwrap());
    let right: u64 = (0..12).map(|class| confusion[class][class]).sum();
    let (images, accuracy) = (report["images"].as_f64().unwrap(), report["accuracy"].as_f64().unwrap());
    assert!((right as f64 / images - accuracy).abs() < 1e-12, "{right} of {images}: {accuracy}");
    for (class, row) in report["classes"].as_array().unwrap().iter().zip(&confusion) {
        assert_eq!(class["images"], row.iter().sum::<u64>(), "rows are true classes");
    }

    let mistakes = report["mistakes"].as_array().unwrap();
    assert_eq!(mistakes.len(), 3);
    let probability = |mistake: &serde_json::Value| mistake["probability"].as_f64().unwrap();
    assert!(mistakes.windows(2).all(|pair| probability(&pair[0]) >= probability(&pair[1])));
    for mistake in mistakes {
        assert_ne!(mistake["class"], mistake["predicted"]);
        assert!(mistake["image"].as_str().unwrap().starts_with("embedded/"), "{mistake}");
        let picture = folder.join(mistake["file"].as_str().unwrap());
        assert_eq!(image::open(&picture).unwrap().into_rgb8().dimensions(), (8, 8));
        // The picture is what the network saw: it makes the same mistake again.
        let again = cfconv().args(["predict", "--json", "--checkpoint"]).arg(&best).arg(&picture).output();
        let again = json(&again.unwrap());
        assert_eq!(again[0]["class"], mistake["predicted"]);
        let difference = again[0]["top"][0]["probability"].as_f64().unwrap() - probability(mistake);
        assert!(difference.abs() < 1e-3, "{again} {mistake}");
    }

    let text = eval(&wanted);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("confusion (rows: true class"), "{text}");
    assert!(text.contains("mistake-03.png: embedded/") && !text.contains("mistake-04"), "{text}");
    assert!(json(&eval(&["--json"]))["mistakes"].is_null(), "nobody asked for them");
    let count_alone = eval(&["--mistakes-count", "3"]);
    assert!(!count_alone.status.success(), "without a folder there is nowhere to write them");
    let file = place.path("tiny.toml");
    let message = failure(&eval(&["--mistakes", file.to_str().unwrap()]));
    assert!(message.contains("cannot create the folder") && message.contains("tiny.toml"), "{message}");
}

/// Every key of the JSON that the program prints stands in the page about it.
#[test]
fn the_page_about_outputs_has_every_key() {
    let place = Workplace::new();
    place.trained("run", &["--epochs", "1"]);
    let best = place.path("run/best.safetensors");
    let mistakes = place.path("mistakes");
    let eval = cfconv()
        .args(["eval", "--json", "--checkpoint"])
        .arg(&best)
        .arg("--mistakes")
        .arg(&mistakes)
        .output();
    let inspect = cfconv().args(["inspect", "--json", "--kernels", "1", "--checkpoint"]).arg(&best).output();
    let picture = mistakes.join("mistake-01.png");
    let predict = cfconv().args(["predict", "--json", "--checkpoint"]).arg(&best).arg(picture).output();
    let page = std::fs::read_to_string(crate::common::repository().join("docs/outputs.md")).unwrap();
    for (heading, output) in [("eval", eval), ("inspect", inspect), ("predict", predict)] {
        let (_, section) = page.split_once(&format!("## `cfconv {heading} --json`")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let mut keys = Vec::new();
        object_keys("", &json(&output.unwrap()), &mut keys);
        assert!(keys.len() > 3, "{keys:?}");
        let missing: Vec<_> = keys.iter().filter(|key| !section.contains(&format!("| `{key}` |"))).collect();
        assert!(missing.is_empty(), "docs/outputs.md, {heading}: no row for {missing:?}");
    }
}

/// The keys of objects with their paths, each once; the checkpoint's own metadata counts as one key.
fn object_keys(path: &str, value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) if path != "checkpoint." => {
            for (name, value) in fields {
                let key = format!("{path}{name}");
                if !keys.contains(&key) {
                    keys.push(key.clone());
                }
                object_keys(&format!("{key}."), value, keys);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| object_keys(path, item, keys)),
        _ => {}
    }
}

/// The averages that the best model holds need no kernel state, so its file is the smaller one.
#[test]
fn model_files_leave_out_what_phi_gives() {
    let place = Workplace::new();
    place.trained("run", &["--epochs", "1"]);
    let size = |file: &str| std::fs::metadata(place.path("run").join(file)).unwrap().len();
    assert!(size("best.safetensors") + 6000 < size("checkpoint.safetensors"));
    let accuracy = |file: &str| {
        let path = place.path("run").join(file);
        json(&cfconv().args(["eval", "--json", "--checkpoint"]).arg(path).output().unwrap())["loss"].clone()
    };
    assert_eq!(accuracy("best.safetensors"), accuracy("checkpoint.safetensors"));
}

#[test]
fn classes_are_matched_by_name() {
    let place = Workplace::new();
    for (class, level) in [("bright", 230), ("dark", 20)] {
        let folder = place.path("data").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..20_u8 {
            let pixel = image::Rgb([level, level, number]);
            image::RgbImage::from_pixel(9, 9, pixel).save(folder.join(format!("{number}.png"))).unwrap();
        }
    }
    std::fs::write(place.path("data/dark/note.jpg"), "no image").unwrap();
    let data = place.path("data");
    let data = data.to_str().unwrap();
    place.trained(
        "run",
        &["--data", data, "--batch-size", "8", "--epochs", "20", "--set", "optimizer.learning_rate=0.02"],
    );
    let best = place.path("run/best.safetensors");
    let report = json(
        &cfconv()
            .args(["eval", "--json", "--checkpoint"])
            .arg(&best)
            .args(["--data", data])
            .output()
            .unwrap(),
    );
    assert_eq!((&report["images"], &report["skipped"]), (&40.into(), &1.into()));
    assert_eq!(report["accuracy"], 1.0, "{report}");
    // Only the class that came second, in a folder of another case.
    let only = place.path("only/Dark");
    std::fs::create_dir_all(&only).unwrap();
    std::fs::copy(place.path("data/dark/3.png"), only.join("3.png")).unwrap();
    let report = json(
        &cfconv()
            .args(["eval", "--json", "--checkpoint"])
            .arg(&best)
            .arg("--data")
            .arg(place.path("only"))
            .output()
            .unwrap(),
    );
    assert_eq!((&report["images"], &report["accuracy"]), (&1.into(), &1.0.into()));
    let unknown = place.path("unknown/grey");
    std::fs::create_dir_all(&unknown).unwrap();
    std::fs::copy(place.path("data/dark/3.png"), unknown.join("3.png")).unwrap();
    let message = failure(
        &cfconv()
            .args(["eval", "--checkpoint"])
            .arg(&best)
            .arg("--data")
            .arg(place.path("unknown"))
            .output()
            .unwrap(),
    );
    assert!(message.contains("grey") && message.contains("bright"), "{message}");
}

#[test]
fn training_lowers_the_loss() {
    let place = Workplace::new();
    place.trained("run", &["--epochs", "30", "--set", "train.select=last"]);
    let text = std::fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let losses: Vec<f64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "epoch")
        .map(|event| event["train"]["loss"].as_f64().unwrap())
        .collect();
    assert!(losses[29] < 0.9 * losses[0], "{losses:?}");
}

#[test]
fn an_exported_model_predicts_like_its_checkpoint_and_does_not_say_where_images_lay() {
    let place = Workplace::new();
    place.trained("run", &["--set", "average.decay=0.9", "--set", "train.select=\"last\""]);
    let shipped = |file: &str| {
        let out = place.path(&format!("shipped-{file}"));
        let checkpoint = place.path("run").join(file);
        let export = || {
            let mut command = cfconv();
            command.args(["export", "--checkpoint"]).arg(&checkpoint).arg("--out").arg(&out).output().unwrap()
        };
        let output = export();
        assert!(output.status.success(), "{output:?}");
        let message = failure(&export());
        assert!(message.contains("exists already"), "{message}");
        out
    };
    let eval = |file: &std::path::Path| {
        json(&cfconv().args(["eval", "--json", "--checkpoint"]).arg(file).output().unwrap())
    };
    let expected = eval(&place.path("run/best.safetensors"));
    for file in ["best.safetensors", "checkpoint.safetensors"] {
        let out = shipped(file);
        assert_eq!(eval(&out)["loss"], expected["loss"], "{file}");
        let content = std::fs::read(&out).unwrap();
        let contains = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(contains("mlp") && !contains("kernel_state") && !contains("optimizer."), "{file}");
        assert!(content.len() < std::fs::read(place.path("run/checkpoint.safetensors")).unwrap().len() / 2);
    }
}

#[test]
fn shipped_models_are_small_hold_no_kernels_and_predict() {
    let place = Workplace::new();
    let image = place.path("image.png");
    image::RgbImage::from_fn(90, 70, |x, y| image::Rgb([2 * x as u8, 3 * y as u8, (x * y / 40) as u8]))
        .save(&image)
        .unwrap();
    for name in ["cats-vs-dogs", "cats-vs-dogs-conv3x3"] {
        let model = crate::common::repository().join("models").join(format!("{name}.safetensors"));
        let content = std::fs::read(&model).unwrap();
        let contains = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!contains("kernel_state") && !contains("\"path\""), "{name}");
        let layers =
            json(&cfconv().args(["inspect", "--json", "--checkpoint"]).arg(&model).output().unwrap());
        let parameters = layers["parameters"].as_u64().unwrap();
        assert!(parameters <= 59_000 && content.len() < 5 * parameters as usize, "{name}: {parameters}");
        let predictions = json(
            &cfconv().args(["predict", "--json", "--checkpoint"]).arg(&model).arg(&image).output().unwrap(),
        );
        let mut classes: Vec<_> = predictions[0]["top"].as_array().unwrap().iter().collect();
        classes.sort_by_key(|likely| likely["class"].as_str());
        let names: Vec<_> = classes.iter().map(|likely| likely["class"].as_str().unwrap()).collect();
        assert_eq!(names, ["Cat", "Dog"], "{name}");
    }
}
