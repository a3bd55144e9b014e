//! The embedded data set, batches and loaders.

use std::sync::Arc;

use cfconv_data::{
    AugmentConfig, Batch, BatchAssembler, DataConfig, DataError, Dataset, EmbeddedConfig, EmbeddedTask,
    EpochOrder, FillMode, Loader, Normalization, Split, embedded_dataset, load_dataset,
};
use proptest::prelude::*;

fn dataset(size: usize, num_images: usize) -> Arc<Dataset> {
    Arc::new(
        embedded_dataset(&EmbeddedConfig { size, num_images, seed: 5, ..EmbeddedConfig::default() }).unwrap(),
    )
}

fn everything() -> AugmentConfig {
    AugmentConfig {
        flip: true,
        crop_padding: 2,
        fill: FillMode::Zeros,
        resized_crop: Some([0.5, 1.0]),
        rotation_degrees: 20.0,
        brightness: 0.3,
        contrast: 0.3,
        saturation: 0.3,
        cutout: 4,
        cutout_probability: 0.5,
    }
}

const NORMALIZATION: Normalization = Normalization { mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.3] };

fn assembled(
    data: &Dataset,
    assembler: &BatchAssembler,
    indices: &[usize],
    epoch: u64,
    first: usize,
) -> Vec<f32> {
    let mut images = vec![f32::NAN; indices.len() * 3 * data.size() * data.size()];
    let mut labels = vec![u32::MAX; indices.len()];
    assembler.clone().assemble(data, indices, epoch, first, &mut images, &mut labels).unwrap();
    assert!(labels.iter().zip(indices).all(|(&label, &index)| label == data.labels()[index]));
    images
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn embedded_bytes_are_the_same_everywhere() {
    // Golden values of these very generators: a change of a generator is a change of its data set.
    let golden = [
        (EmbeddedTask::TexturedShapes, 32, 60, 0, 0x1820_03dd_67eb_be4c_u64),
        (EmbeddedTask::TexturedShapes, 17, 24, 9, 0x367e_9cdb_5023_2e14),
        (EmbeddedTask::StripePhase, 17, 24, 9, 0x6d06_4a05_957c_d278),
        (EmbeddedTask::MarkPair, 17, 24, 9, 0x9bd1_5c52_e5fc_862f),
        (EmbeddedTask::CurveEnds, 17, 24, 9, 0x1bd3_b97e_2009_9ac7),
    ];
    for (task, size, num_images, seed, expected) in golden {
        let data =
            embedded_dataset(&EmbeddedConfig { task, size, num_images, seed, distance: None }).unwrap();
        let found = checksum(data.images());
        assert_eq!(found, expected, "{task:?}, size {size}, seed {seed}: {found:#018x}");
    }
}

#[test]
fn embedded_images_do_not_depend_on_their_number_or_on_threads() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for task in EmbeddedTask::ALL {
        let draw = |num_images, seed| {
            let config = EmbeddedConfig { task, size: 16, num_images, seed, distance: None };
            embedded_dataset(&config).unwrap().images().to_vec()
        };
        let few = draw(12, 2);
        assert_eq!(few, pool.install(|| draw(36, 2))[..few.len()], "{task:?}");
        assert_ne!(few, draw(12, 3), "{task:?}");
    }
}

#[test]
fn configuration_without_a_path_gives_embedded_data() {
    let config = DataConfig { size: 8, embedded_images: 120, test_fraction: 0.2, ..DataConfig::default() };
    let data = load_dataset(&config, &|_, _| ()).unwrap();
    assert_eq!(data.class_counts(Split::Test), [2; 12]);
    assert_eq!(data.class_counts(Split::Validation), [1; 12]);
    let too_large = DataConfig { cache_limit_mib: 1, size: 1024, ..config };
    assert!(matches!(load_dataset(&too_large, &|_, _| ()), Err(DataError::CacheLimit { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn plain_batch_is_the_normalised_transpose(size in 1_usize..9, batch in 1_usize..40) {
        let data = dataset(size, 40);
        let indices: Vec<usize> = (0..batch).map(|n| (n * 7) % 40).collect();
        let images = assembled(&data, &BatchAssembler::evaluation(NORMALIZATION), &indices, 0, 0);
        let plane = size * size;
        for (b, &index) in indices.iter().enumerate() {
            for (pixel, &byte) in data.image(index).iter().enumerate() {
                let channel = pixel / plane;
                let expected = (f32::from(byte) / 255.0 - NORMALIZATION.mean[channel]) / NORMALIZATION.std[channel];
                prop_assert!((images[pixel * batch + b] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn augmentation_depends_on_position_not_on_batches(size in 5_usize..12, cut in 1_usize..11, epoch in 0_u64..3) {
        let data = dataset(size, 24);
        let assembler = BatchAssembler::training(NORMALIZATION, everything(), 3);
        let indices: Vec<usize> = (0..12).collect();
        let whole = assembled(&data, &assembler, &indices, epoch, 100);
        let (left, right) = indices.split_at(cut);
        let first = assembled(&data, &assembler, left, epoch, 100);
        let second = assembled(&data, &assembler, right, epoch, 100 + cut);
        for pixel in 0..3 * size * size {
            for b in 0..12 {
                let part = if b < cut { first[pixel * cut + b] } else { second[pixel * (12 - cut) + b - cut] };
                prop_assert_eq!(whole[pixel * 12 + b], part);
                prop_assert!(part.is_finite());
            }
        }
    }
}

#[test]
fn batches_are_identical_for_any_number_of_threads() {
    let data = dataset(16, 48);
    let assembler = BatchAssembler::training(NORMALIZATION, everything(), 1);
    let indices: Vec<usize> = (0..37).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| assembled(&data, &assembler, &indices, 4, 64))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn augmentation_changes_with_seed_epoch_and_position() {
    let data = dataset(16, 12);
    let with = |seed, epoch, first| {
        assembled(
            &data,
            &BatchAssembler::training(NORMALIZATION, everything(), seed),
            &[0, 1, 2],
            epoch,
            first,
        )
    };
    let base = with(1, 0, 0);
    assert_eq!(base, with(1, 0, 0));
    assert_ne!(base, with(2, 0, 0));
    assert_ne!(base, with(1, 1, 0));
    assert_ne!(base, with(1, 0, 3));
}

#[test]
fn every_augmentation_has_an_effect_of_its_own() {
    let data = dataset(16, 12);
    let indices: Vec<usize> = (0..12).collect();
    let plain = assembled(&data, &BatchAssembler::evaluation(NORMALIZATION), &indices, 0, 0);
    let off = AugmentConfig::default();
    let single = [
        AugmentConfig { flip: true, ..off.clone() },
        AugmentConfig { crop_padding: 3, ..off.clone() },
        AugmentConfig { crop_padding: 3, fill: FillMode::Zeros, ..off.clone() },
        AugmentConfig { resized_crop: Some([0.3, 0.8]), ..off.clone() },
        AugmentConfig { rotation_degrees: 30.0, ..off.clone() },
        AugmentConfig { brightness: 0.5, ..off.clone() },
        AugmentConfig { contrast: 0.5, ..off.clone() },
        AugmentConfig { saturation: 0.5, ..off.clone() },
        AugmentConfig { cutout: 5, ..off.clone() },
    ];
    let mut seen = vec![plain];
    for augment in single {
        augment.validate(16).unwrap();
        let images =
            assembled(&data, &BatchAssembler::training(NORMALIZATION, augment.clone(), 0), &indices, 0, 0);
        assert!(!seen.contains(&images), "{augment:?}");
        seen.push(images);
    }
    let never = AugmentConfig { cutout: 5, cutout_probability: 0.0, ..off };
    assert_eq!(seen[0], assembled(&data, &BatchAssembler::training(NORMALIZATION, never, 0), &indices, 0, 0));
}

#[test]
fn wrong_buffers_and_indices_are_refused() {
    let data = dataset(4, 12);
    let mut assembler = BatchAssembler::evaluation(NORMALIZATION);
    let mut images = vec![0.0; 96];
    assert!(matches!(
        assembler.assemble(&data, &[0, 12], 0, 0, &mut images, &mut [0; 2]),
        Err(DataError::OutOfRange { got: 12, .. })
    ));
    assert!(matches!(
        assembler.assemble(&data, &[0, 1], 0, 0, &mut images, &mut [0; 3]),
        Err(DataError::LengthMismatch { .. })
    ));
    assert!(matches!(
        assembler.assemble(&data, &[0], 0, 0, &mut images, &mut [0; 1]),
        Err(DataError::LengthMismatch { .. })
    ));
    assert!(assembler.assemble_images(&[&[0; 47]], 4, &mut images[..48]).is_err());
    assert!(assembler.assemble(&data, &[], 0, 0, &mut [], &mut []).is_ok());
}

#[test]
fn loader_resumes_within_an_epoch() {
    let loader = Loader::training(dataset(8, 60), 7, NORMALIZATION, everything(), 11).unwrap();
    let epoch: Vec<Batch> = loader.epoch(2, 0).collect();
    assert_eq!(epoch.len(), loader.batches_per_epoch());
    assert_eq!(loader.epoch(2, 3).collect::<Vec<_>>(), epoch[3..]);
    assert_eq!(loader.epoch(2, 99).count(), 0);
    assert!(epoch.iter().all(|batch| batch.len() == 7));
    let joined: Vec<usize> = epoch.iter().flat_map(|batch| batch.indices.clone()).collect();
    let order = EpochOrder::shuffled(&loader.dataset().indices(Split::Train), 11, 2);
    assert_eq!(joined, order.as_slice()[..joined.len()]);
    assert_ne!(epoch, loader.epoch(3, 0).collect::<Vec<_>>());
}

#[test]
fn recycled_batches_hold_nothing_old() {
    let loader = Loader::evaluation(dataset(8, 50), Split::All, 16, NORMALIZATION).unwrap();
    let fresh: Vec<Batch> = loader.epoch(0, 0).collect();
    let mut batches = loader.epoch(0, 0);
    let mut count = 0;
    while let Some(batch) = batches.next() {
        assert_eq!(batch, fresh[count]);
        batches.recycle(batch);
        count += 1;
    }
    assert_eq!(count, 4);
    assert_eq!(fresh[3].len(), 2);
}

#[test]
fn a_loader_can_be_left_at_any_time() {
    let loader = Loader::evaluation(dataset(8, 50), Split::All, 5, NORMALIZATION).unwrap();
    for taken in 0..3 {
        let mut batches = loader.epoch(0, 0);
        assert_eq!(batches.by_ref().take(taken).count(), taken);
        drop(batches);
    }
}

#[test]
fn loaders_refuse_what_cannot_work() {
    let data = dataset(8, 12);
    assert!(matches!(
        Loader::evaluation(data.clone(), Split::All, 0, NORMALIZATION),
        Err(DataError::Config { .. })
    ));
    let wild = AugmentConfig { cutout: 9, ..AugmentConfig::default() };
    assert!(matches!(Loader::training(data, 4, NORMALIZATION, wild, 0), Err(DataError::Config { .. })));
    let own = DataConfig { size: 8, embedded_images: 12, test_fraction: 0.0, ..DataConfig::default() };
    let untested = Arc::new(load_dataset(&own, &|_, _| ()).unwrap());
    let error = Loader::evaluation(untested, Split::Test, 4, NORMALIZATION).unwrap_err().to_string();
    assert!(error.contains("the test split of the embedded data set"), "{error}");
}
