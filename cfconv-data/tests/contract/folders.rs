//! Class folders and archives of them: layouts, odd files, errors.

use crate::support::{Tree, encoded, jpeg, load_path, picture, png, real_data, small};
use cfconv_data::{DataConfig, DataError, ResizePolicy, SkipReason, Split, load_for_evaluation, load_image};
use image::ImageFormat;

fn two_classes() -> Tree {
    Tree::default().images("Cat", 10).images("Dog", 20)
}

#[test]
fn class_folders_become_classes_in_order_of_names() {
    let data = two_classes().load(&small()).unwrap();
    assert_eq!(data.class_names(), ["Cat", "Dog"]);
    assert_eq!(data.class_counts(Split::All), [10, 20]);
    assert_eq!(data.class_counts(Split::Validation), [1, 2]);
    assert_eq!(data.class_counts(Split::Test), [1, 2]);
    assert_eq!(data.names()[0], "Cat/0.jpg");
    assert!(data.names().is_sorted());
    assert!(data.skipped().is_empty());
}

#[test]
fn wrapping_folders_change_nothing_but_names() {
    let plain = two_classes().load(&small()).unwrap();
    for wrapper in ["PetImages", "a/b/c", "train"] {
        let tree = Tree(
            two_classes().0.into_iter().map(|(name, bytes)| (format!("{wrapper}/{name}"), bytes)).collect(),
        );
        let wrapped = tree.with("readme.txt", b"hello".to_vec()).load(&small()).unwrap();
        assert_eq!(wrapped.class_names(), plain.class_names());
        assert!(wrapped.images() == plain.images());
        assert_eq!(wrapped.indices(Split::Test), plain.indices(Split::Test));
        assert_eq!(wrapped.skip_summary().to_string(), "1 skipped: 1 outside of the class folders");
    }
}

#[test]
fn split_folders_are_kept() {
    let tree = |validation: &str| {
        Tree::default()
            .images("set/train/b", 10)
            .images("set/train/a", 10)
            .images(&format!("set/{validation}/a"), 3)
            .images(&format!("set/{validation}/b"), 4)
    };
    for validation in ["val", "valid", "Validation"] {
        let data = tree(validation).load(&small()).unwrap();
        assert_eq!(data.class_counts(Split::Validation), [3, 4]);
        assert_eq!(data.class_counts(Split::Train), [10, 10]);
        assert!(data.indices(Split::Test).is_empty());
        assert_eq!(data.report_split(), Split::Validation);
    }
    let data = tree("test").load(&small()).unwrap();
    assert_eq!(data.class_counts(Split::Test), [3, 4]);
    assert_eq!(data.class_counts(Split::Validation), [1, 1], "a share of the training images");
    assert_eq!(data.class_counts(Split::Train), [9, 9]);
}

#[test]
fn classes_may_be_called_like_splits() {
    let data = Tree::default().images("test", 3).images("control", 3).load(&small()).unwrap();
    assert_eq!(data.class_names(), ["control", "test"]);
}

#[test]
fn classes_without_training_images_are_refused() {
    let error = two_classes()
        .0
        .into_iter()
        .fold(Tree::default(), |tree, (name, bytes)| tree.with(&format!("train/{name}"), bytes))
        .images("test/Cat", 2)
        .images("test/Horse", 2)
        .load_error(&small());
    assert!(error.contains("[\"Horse\"]"), "{error}");
}

#[test]
fn odd_files_are_skipped_with_their_reasons() {
    let whole = jpeg(1);
    let truncated_png = png(2)[..60].to_vec();
    let mut bomb = png(3);
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let mut damaged = png(4);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let tree = two_classes()
        .with("Cat/a_empty.jpg", vec![])
        .with("Cat/b_truncated.jpg", whole[..whole.len() / 2].to_vec())
        .with("Cat/c_text.jpg", b"this is not an image".to_vec())
        .with("Cat/d_truncated.png", truncated_png)
        .with("Cat/e_bomb.png", bomb)
        .with("Cat/f_damaged.png", damaged)
        .with("Cat/g.gif", b"GIF89a\x01\x00\x01\x00".to_vec())
        .with("Cat/h.bmp", b"BM66666666666666".to_vec())
        .with("Cat/notes.txt", b"notes".to_vec())
        .with("Cat/Thumbs.db", vec![1, 2, 3])
        .with("Cat/.hidden.jpg", jpeg(5))
        .with("__MACOSX/Cat/._0.jpg", vec![0; 20])
        .with("readme.txt", vec![65]);
    let data = tree.load(&small()).unwrap();
    assert_eq!(data.class_counts(Split::All), [10, 20], "every good image is there");
    let reason = |name: &str| {
        let found = data.skipped().iter().find(|skip| skip.name == name);
        found.unwrap_or_else(|| panic!("{name} is not listed")).reason.clone()
    };
    assert_eq!(reason("Cat/a_empty.jpg"), SkipReason::Empty);
    assert_eq!(reason("Cat/b_truncated.jpg"), SkipReason::Truncated);
    assert_eq!(reason("Cat/c_text.jpg"), SkipReason::NotAnImage);
    assert_eq!(reason("Cat/d_truncated.png"), SkipReason::Truncated);
    assert!(matches!(reason("Cat/e_bomb.png"), SkipReason::TooLarge { .. } | SkipReason::Damaged(_)));
    assert!(matches!(reason("Cat/f_damaged.png"), SkipReason::Damaged(_)));
    assert_eq!(reason("Cat/g.gif"), SkipReason::UnsupportedFormat { found: "Gif".into() });
    assert_eq!(reason("Cat/h.bmp"), SkipReason::UnsupportedFormat { found: "Bmp".into() });
    assert_eq!(reason("Cat/notes.txt"), SkipReason::NotAnImage);
    assert_eq!(reason("readme.txt"), SkipReason::OutsideClasses);
    for name in ["Cat/Thumbs.db", "Cat/.hidden.jpg", "__MACOSX/Cat/._0.jpg"] {
        assert_eq!(reason(name), SkipReason::System, "{name}");
    }
    assert_eq!(data.skipped().len(), 13);
    assert_eq!(data.skip_summary().total(), 13);
}

/// A PNG of one colour with a correct header for any size: what a decompression bomb looks like.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8], data: &[u8]| {
        bytes.extend((data.len() as u32).to_be_bytes());
        let body = [kind, data].concat();
        bytes.extend(&body);
        let mut crc = !0_u32;
        for byte in body {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        bytes.extend((!crc).to_be_bytes());
    };
    chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat());
    chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1]);
    chunk(b"IEND", &[]);
    bytes
}

#[test]
fn absurd_dimensions_are_refused_before_anything_is_allocated() {
    let tree = two_classes()
        .with("Cat/z1.png", png_header(60_000, 60_000))
        .with("Cat/z2.png", png_header(u32::MAX >> 1, u32::MAX >> 1))
        .with("Cat/z3.png", png_header(4, 4));
    let data = tree.load(&small()).unwrap();
    let reasons: Vec<_> = data.skipped().iter().map(|skip| skip.reason.clone()).collect();
    assert!(matches!(reasons[0], SkipReason::TooLarge { width: 60_000, height: 60_000, .. }), "{reasons:?}");
    assert!(matches!(reasons[1], SkipReason::TooLarge { .. } | SkipReason::Damaged(_)), "{reasons:?}");
    assert!(matches!(reasons[2], SkipReason::Damaged(_)), "{reasons:?}");
}

#[test]
fn unsafe_names_in_archives_are_skipped() {
    let temp = tempfile::tempdir().unwrap();
    let path = two_classes()
        .with("../../evil.jpg", jpeg(9))
        .with("Cat/../../worse.jpg", jpeg(9))
        .write_zip(&temp.path().join("slip.zip"));
    let data = load_path(&path, &small()).unwrap();
    assert_eq!(data.len(), 30);
    assert_eq!(data.skip_summary().to_string(), "2 skipped: 2 unsafe name");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "nothing is unpacked");
}

#[test]
fn a_damaged_entry_of_an_archive_is_skipped() {
    let temp = tempfile::tempdir().unwrap();
    let path = two_classes().write_zip(&temp.path().join("set.zip"));
    let mut bytes = std::fs::read(&path).unwrap();
    // The first entry's content starts after its 30-byte header and name.
    for byte in &mut bytes[60..90] {
        *byte ^= 0x5a;
    }
    std::fs::write(&path, bytes).unwrap();
    let data = load_path(&path, &small()).unwrap();
    assert_eq!((data.len(), data.skipped().len()), (29, 1));
}

#[test]
fn errors_name_the_path_and_what_is_expected() {
    let temp = tempfile::tempdir().unwrap();
    let config = small();
    let missing = load_path(&temp.path().join("nowhere"), &config).unwrap_err();
    assert!(matches!(missing, DataError::MissingPath { .. }));
    assert!(missing.to_string().contains("nowhere") && missing.to_string().contains("PetImages/CLASS"));

    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(temp.path().join(name), bytes).unwrap();
        load_path(&temp.path().join(name), &config).unwrap_err()
    };
    assert!(matches!(write("broken.zip", b"not a zip"), DataError::Archive { .. }));
    let tar = write("data.tar", b"whatever").to_string();
    assert!(tar.contains("data.tar") && tar.contains(".tar file"), "{tar}");
    let single = write("one.png", &png(1)).to_string();
    assert!(single.contains("single Png image"), "{single}");

    let none = Tree::default().with("Cat/notes.txt", vec![65]).load_error(&config);
    assert!(none.contains("no images found among 1 files"), "{none}");
    let flat = Tree::default().with("a.jpg", jpeg(1)).with("b.jpg", jpeg(2)).load_error(&config);
    assert!(flat.contains("2 images outside class folders"), "{flat}");
    let one = Tree::default().images("Cat", 3).load_error(&config);
    assert!(one.contains("single class, \"Cat\""), "{one}");
    let empty = two_classes().with("Bird/", vec![]).load_error(&config);
    assert!(empty.contains("class \"Bird\" is empty"), "{empty}");
    let empty = two_classes().with("Bird/readme.txt", vec![65]).load_error(&config);
    assert!(empty.contains("class \"Bird\" is empty"), "{empty}");
    let damaged = two_classes().with("Bird/1.jpg", vec![]).with("Bird/2.jpg", vec![1, 2]).load_error(&config);
    assert!(
        damaged.contains("all 2 images of class \"Bird\"") && damaged.contains("Bird/1.jpg: empty file"),
        "{damaged}"
    );
    let memory =
        two_classes().load_error(&DataConfig { size: 1024, cache_limit_mib: 10, ..DataConfig::default() });
    assert!(memory.contains("30 images of 1024×1024") && memory.contains("90 MiB"), "{memory}");
}

#[test]
fn evaluation_takes_part_of_a_models_classes() {
    let temp = tempfile::tempdir().unwrap();
    let model: Vec<String> = ["bird", "CAT", "dog"].map(String::from).to_vec();
    let load = |tree: Tree, name: &str| {
        let path = tree.write_folder(&temp.path().join(name));
        load_for_evaluation(&DataConfig { path: Some(path), ..small() }, &model, &|_, _| ())
    };
    let both = load(two_classes(), "both").unwrap();
    assert_eq!(both.class_names(), model);
    assert_eq!(both.class_counts(Split::All), [0, 10, 20]);
    let one = load(Tree::default().images("Dog", 4), "one").unwrap();
    assert_eq!(one.labels(), [2; 4]);
    let unknown = load(two_classes().images("Horse", 2), "unknown").unwrap_err().to_string();
    assert!(unknown.contains("Horse") && unknown.contains("bird"), "{unknown}");
}

#[test]
fn a_limit_takes_a_part_of_every_class() {
    let config = DataConfig { max_images_per_class: Some(4), ..small() };
    let data = two_classes().load(&config).unwrap();
    assert_eq!(data.class_counts(Split::All), [4, 4]);
    let other = two_classes().load(&DataConfig { split_seed: 1, ..config }).unwrap();
    assert_ne!(data.names(), other.names());
}

#[test]
fn loading_does_not_depend_on_the_number_of_threads() {
    let temp = tempfile::tempdir().unwrap();
    let path = two_classes().write_folder(&temp.path().join("set"));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| load_path(&path, &small()).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn progress_counts_every_image_once() {
    let temp = tempfile::tempdir().unwrap();
    let path = two_classes().write_folder(&temp.path().join("set"));
    let seen = std::sync::Mutex::new(Vec::new());
    let config = DataConfig { path: Some(path), ..small() };
    cfconv_data::load_dataset(&config, &|done, total| seen.lock().unwrap().push((done, total))).unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (1..=30).map(|done| (done, 30)).collect::<Vec<_>>());
}

#[test]
fn single_images_pass_the_same_pipeline() {
    let temp = tempfile::tempdir().unwrap();
    let path = two_classes().write_folder(&temp.path().join("set"));
    let data = load_path(&path, &small()).unwrap();
    let image = load_image(&path.join(&data.names()[3]), 8, ResizePolicy::Crop).unwrap();
    assert_eq!(image, data.image(3));
    let text = temp.path().join("text.jpg");
    std::fs::write(&text, "text").unwrap();
    let error = load_image(&text, 8, ResizePolicy::Crop).unwrap_err().to_string();
    assert!(error.ends_with("text.jpg: not an image"), "{error}");
    assert!(matches!(
        load_image(&path.join("none.jpg"), 8, ResizePolicy::Crop),
        Err(DataError::MissingPath { .. })
    ));
    assert!(load_image(&path, 8, ResizePolicy::Crop).is_err(), "a folder is no image");
}

#[test]
fn images_of_the_right_size_are_copied() {
    let image = picture(8, 8, 3);
    let tree = Tree::default().with("a/1.png", encoded(&image, ImageFormat::Png)).images("b", 1);
    let data = tree.load(&small()).unwrap();
    for (place, pixel) in image.pixels().enumerate() {
        for channel in 0..3 {
            assert_eq!(data.image(0)[channel * 64 + place], pixel.0[channel]);
        }
    }
}

#[test]
fn symbolic_links_that_form_a_ring_end() {
    #[cfg(unix)]
    {
        let temp = tempfile::tempdir().unwrap();
        let path = two_classes().write_folder(&temp.path().join("set"));
        std::os::unix::fs::symlink(&path, path.join("Cat/again")).unwrap();
        assert_eq!(load_path(&path, &small()).unwrap().len(), 30);
    }
}

#[test]
fn real_cats_and_dogs_load_completely() {
    let Some(path) = real_data("cats_vs_dogs_64.zip") else { return };
    let data = load_path(&path, &DataConfig { size: 64, ..DataConfig::default() }).unwrap();
    assert_eq!(data.class_names(), ["Cat", "Dog"]);
    assert_eq!(data.len(), 22_490);
    assert!(data.skipped().is_empty(), "{}", data.skip_summary());
    let parts = [Split::Train, Split::Validation, Split::Test].map(|split| data.indices(split).len());
    assert_eq!(parts.iter().sum::<usize>(), 22_490);
    assert!(parts[1].abs_diff(2249) <= 1 && parts[2].abs_diff(2249) <= 1, "{parts:?}");
    // Photographs: channel means near the middle, deviations near a quarter.
    let normalization = data.normalization(Split::Train).unwrap();
    assert!(normalization.mean.iter().all(|mean| (0.35..0.6).contains(mean)), "{normalization:?}");
    assert!(normalization.std.iter().all(|std| (0.15..0.35).contains(std)), "{normalization:?}");
}

#[test]
fn real_imagenette_keeps_its_splits() {
    let Some(path) = real_data("imagenette_64.zip") else { return };
    let config = DataConfig { size: 32, max_images_per_class: Some(30), ..DataConfig::default() };
    let data = load_path(&path, &config).unwrap();
    assert_eq!(data.num_classes(), 10);
    assert_eq!(data.class_counts(Split::Train), [30; 10]);
    assert_eq!(data.class_counts(Split::Validation), [30; 10]);
    assert!(data.indices(Split::Test).is_empty());
}

#[test]
fn real_cifar_as_jpeg_keeps_its_test_folder() {
    let Some(path) = real_data("cifar10_jpeg.zip") else { return };
    let config = DataConfig { size: 32, max_images_per_class: Some(40), ..DataConfig::default() };
    let data = load_path(&path, &config).unwrap();
    assert_eq!(data.class_counts(Split::Test), [40; 10]);
    assert_eq!(data.class_counts(Split::Validation), [4; 10]);
    assert_eq!(data.class_counts(Split::Train), [36; 10]);
}
