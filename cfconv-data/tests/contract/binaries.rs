//! CIFAR and IDX files.

use std::io::Write;

use crate::support::Tree;
use cfconv_data::{DataConfig, SkipReason, Split};

fn config() -> DataConfig {
    DataConfig { size: 32, ..DataConfig::default() }
}

/// Records of CIFAR-10 or -100: pixel value = 10·label + channel.
fn cifar(labels: &[u8], coarse: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &label in labels {
        bytes.extend(coarse.then_some(19));
        bytes.push(label);
        for channel in 0..3_u8 {
            bytes.extend([label.wrapping_mul(10).wrapping_add(channel); 1024]);
        }
    }
    bytes
}

fn all_labels(times: usize) -> Vec<u8> {
    (0..10).cycle().take(10 * times).collect()
}

#[test]
fn cifar_10_is_read_with_names_and_test_batch() {
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\nlorry\n\n";
    let tree = Tree::default()
        .with("cifar-10-batches-bin/data_batch_1.bin", cifar(&all_labels(6), false))
        .with("cifar-10-batches-bin/data_batch_2.bin", cifar(&all_labels(4), false))
        .with("cifar-10-batches-bin/test_batch.bin", cifar(&all_labels(2), false))
        .with("cifar-10-batches-bin/batches.meta.txt", names.into())
        .with("cifar-10-batches-bin/readme.html", b"hello".to_vec());
    let data = tree.load(&config()).unwrap();
    assert_eq!(data.len(), 120);
    assert_eq!(data.class_names()[9], "lorry");
    assert_eq!(data.class_counts(Split::Test), [2; 10]);
    assert_eq!(data.class_counts(Split::Validation), [1; 10]);
    assert_eq!(data.class_counts(Split::Train), [9; 10]);
    for (index, &label) in data.labels().iter().enumerate() {
        for (channel, plane) in data.image(index).chunks_exact(1024).enumerate() {
            assert!(plane.iter().all(|&value| u32::from(value) == 10 * label + channel as u32));
        }
    }
}

#[test]
fn cifar_without_names_uses_the_known_ones() {
    let data =
        Tree::default().with("data_batch_1.bin", cifar(&all_labels(2), false)).load(&config()).unwrap();
    assert_eq!(data.class_names()[3], "cat");
}

#[test]
fn damaged_cifar_records_are_listed() {
    let mut bytes = cifar(&[0, 1, 200, 3], false);
    bytes.extend(&cifar(&[5], false)[..1000]);
    let data = Tree::default().with("data_batch_1.bin", bytes).load(&config()).unwrap();
    assert_eq!(data.labels(), [0, 1, 3]);
    let skipped = data.skipped();
    assert_eq!(skipped[0].name, "data_batch_1.bin#000002");
    assert_eq!(skipped[0].reason, SkipReason::BadLabel { label: 200, classes: 10 });
    assert_eq!(
        (skipped[1].name.as_str(), &skipped[1].reason),
        ("data_batch_1.bin#000004", &SkipReason::Truncated)
    );
}

#[test]
fn cifar_100_uses_fine_labels() {
    let names: String = (0..100).map(|class| format!("fine{class:02}\n")).collect();
    let tree = Tree::default()
        .with("train.bin", cifar(&[7, 99, 7], true))
        .with("test.bin", cifar(&[99], true))
        .with("fine_label_names.txt", names.into());
    let data = tree.load(&config()).unwrap();
    assert_eq!(data.num_classes(), 100);
    assert_eq!(data.class_names()[99], "fine99");
    assert_eq!(data.labels(), [99, 7, 99, 7], "test.bin comes first");
    assert_eq!(data.indices(Split::Test), [0]);
}

#[test]
fn malformed_cifar_is_an_error() {
    let short = Tree::default().with("train.bin", vec![0; 100]).load_error(&config());
    assert!(short.contains("train.bin") && short.contains("records of 3074 bytes"), "{short}");
    let names = Tree::default()
        .with("data_batch_1.bin", cifar(&[1], false))
        .with("batches.meta.txt", b"one\ntwo".to_vec())
        .load_error(&config());
    assert!(names.contains("expected 10 lines, found 2 lines"), "{names}");
}

fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `count` images of 4×2 pixels whose value is 10·label, with labels 1 and 3 in turn.
fn digits(count: u32) -> (Vec<u8>, Vec<u8>) {
    let labels: Vec<u8> = (0..count).map(|n| if n % 2 == 0 { 1 } else { 3 }).collect();
    let pixels: Vec<u8> = labels.iter().flat_map(|&label| [label * 10; 8]).collect();
    (idx(&[count, 4, 2], &pixels), idx(&[count], &labels))
}

#[test]
fn idx_is_read_plain_and_compressed() {
    let (train, train_labels) = digits(20);
    let (test, test_labels) = digits(6);
    let plain = Tree::default()
        .with("raw/train-images-idx3-ubyte", train.clone())
        .with("raw/train-labels-idx1-ubyte", train_labels.clone())
        .with("raw/t10k-images-idx3-ubyte", test.clone())
        .with("raw/t10k-labels-idx1-ubyte", test_labels.clone())
        .load(&config())
        .unwrap();
    assert_eq!(plain.class_names(), ["1", "3"], "classes are the labels that occur");
    assert_eq!(plain.class_counts(Split::Test), [3, 3]);
    assert_eq!(plain.class_counts(Split::Train), [9, 9]);
    for (index, &label) in plain.labels().iter().enumerate() {
        let value = [10, 30][label as usize];
        assert!(plain.image(index).iter().all(|&byte| byte == value), "grey in all channels");
    }
    let compressed = Tree::default()
        .with("raw/train-images-idx3-ubyte.gz", gzipped(&train))
        .with("raw/train-labels-idx1-ubyte.gz", gzipped(&train_labels))
        .with("raw/t10k-images-idx3-ubyte.gz", gzipped(&test))
        .with("raw/t10k-labels-idx1-ubyte.gz", gzipped(&test_labels))
        .load(&config())
        .unwrap();
    assert!(compressed.images() == plain.images());
    assert_eq!(compressed.labels(), plain.labels());
}

#[test]
fn truncated_idx_is_listed() {
    let (mut images, labels) = digits(10);
    images.truncate(16 + 8 * 6 + 3);
    let tree =
        Tree::default().with("train-images-idx3-ubyte", images).with("train-labels-idx1-ubyte", labels);
    let data = tree.load(&config()).unwrap();
    assert_eq!(data.len(), 6);
    assert_eq!(data.skipped()[0].name, "train-images-idx3-ubyte#000006…9");
}

#[test]
fn malformed_idx_is_an_error() {
    let (images, labels) = digits(4);
    let load = |images: Vec<u8>, labels: Vec<u8>| {
        Tree::default()
            .with("train-images-idx3-ubyte", images)
            .with("train-labels-idx1-ubyte", labels)
            .load_error(&config())
    };
    assert!(load(images.clone(), idx(&[3], &[1, 2, 3])).contains("expected 4 labels"));
    assert!(load(idx(&[4], &[0; 4]), labels.clone()).contains("expected 3 dimensions, found 1 dimensions"));
    assert!(load(vec![], labels.clone()).contains("expected a header of 4 bytes"));
    assert!(load(idx(&[4, 0, 2], &[]), labels.clone()).contains("sides of 1"));
    assert!(load(images.clone(), idx(&[4], &[5; 4])).contains("single class, \"5\""));
    let alone = Tree::default().with("train-images-idx3-ubyte", images).load_error(&config());
    assert!(alone.contains("train-labels-idx1-ubyte does not exist"), "{alone}");
    let broken = Tree::default()
        .with("train-images-idx3-ubyte.gz", vec![1, 2, 3])
        .with("train-labels-idx1-ubyte", labels)
        .load(&config());
    assert!(broken.is_err());
}
