//! Reading a whole data set into memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::config::DataConfig;
use crate::dataset::{CHANNELS, Dataset, DatasetParts};
use crate::decode::square_into;
use crate::embedded::embedded_with_shares;
use crate::error::{DataError, Result};
use crate::formats::{self, Contents, Item};
use crate::skipped::{SkipReason, Skipped};
use crate::source::Source;
use crate::split::{Shares, Split, divide, rank};

/// Called with (images done, images in all) from any thread, in no particular order.
pub type ProgressCallback<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Loads the data set that `config` names.
///
/// A folder and a zip archive of it give the same data set: images are ordered by path, classes by name.
///
/// # Errors
/// A [`DataError`] that names the path and what was expected there: nothing there, no images, no class folders, a
/// single class, an empty class, a class without any usable image, an unsupported format, too little memory allowed.
/// Single files that cannot be used are not an error; [`Dataset::skipped`] lists them.
///
/// # Examples
/// ```
/// use cfconv_data::{DataConfig, Split, load_dataset};
///
/// let config = DataConfig { size: 16, embedded_images: 120, ..DataConfig::default() };
/// let dataset = load_dataset(&config, &|_done, _total| ()).unwrap();
/// assert_eq!(dataset.len(), 120);
/// assert_eq!(dataset.indices(Split::Test).len(), 12);
/// ```
pub fn load_dataset(config: &DataConfig, progress: &ProgressCallback<'_>) -> Result<Dataset> {
    load(config, progress, false)
}

/// Loads data to evaluate a trained model on: a single class is allowed, and labels are those of the model.
///
/// # Errors
/// As [`load_dataset`], and [`DataError::UnknownClasses`] for classes that the model does not have.
pub fn load_for_evaluation(
    config: &DataConfig,
    model_class_names: &[String],
    progress: &ProgressCallback<'_>,
) -> Result<Dataset> {
    let mut dataset = load(config, progress, true)?;
    dataset.remap_classes(model_class_names)?;
    Ok(dataset)
}

fn load(config: &DataConfig, progress: &ProgressCallback<'_>, single_class_allowed: bool) -> Result<Dataset> {
    config.validate()?;
    let Some(path) = &config.path else {
        check_memory(config, config.embedded_images)?;
        let dataset = embedded_with_shares(&config.embedded(), shares(config))?;
        progress(dataset.len(), dataset.len());
        return Ok(dataset);
    };
    let source = Source::open(path)?;
    let contents = formats::read(&source)?;
    if let ([class], false) = (contents.class_names.as_slice(), single_class_allowed) {
        return Err(DataError::SingleClass { path: path.clone(), class: class.clone() });
    }
    gather(config, &source, contents, progress)
}

fn shares(config: &DataConfig) -> Shares {
    Shares { validation: config.validation_fraction, test: config.test_fraction, seed: config.split_seed }
}

fn check_memory(config: &DataConfig, images: usize) -> Result<()> {
    let bytes = images as u128 * (CHANNELS * config.size * config.size) as u128;
    if bytes > (config.cache_limit_mib as u128) << 20 {
        return Err(DataError::CacheLimit {
            images,
            size: config.size,
            needed_mib: u64::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u64::MAX),
            limit_mib: config.cache_limit_mib,
        });
    }
    Ok(())
}

/// Decodes all items in parallel, each into its own place, then closes the gaps of those that failed.
fn gather(
    config: &DataConfig,
    source: &Source,
    contents: Contents<'_>,
    progress: &ProgressCallback<'_>,
) -> Result<Dataset> {
    let Contents { class_names, items, skipped, decode } = contents;
    let chosen = choose(&items, config.max_images_per_class, config.split_seed);
    check_memory(config, chosen.len())?;
    let pixels = CHANNELS * config.size * config.size;
    let mut images = vec![0; chosen.len() * pixels];
    let done = AtomicUsize::new(0);
    let failures: Vec<Option<SkipReason>> = images
        .par_chunks_exact_mut(pixels)
        .zip(&chosen)
        .map(|(output, &item)| {
            let decoded = decode(item);
            let failure = decoded.map(|image| square_into(&image, config.size, config.resize, output)).err();
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, chosen.len());
            failure
        })
        .collect();

    let mut parts = DatasetParts {
        origin: source.root.display().to_string(),
        size: config.size,
        class_names: class_names.clone(),
        ..DatasetParts::default()
    };
    let (mut keys, mut own) = (Vec::new(), Vec::new());
    let mut damaged: Vec<Vec<Skipped>> = vec![Vec::new(); class_names.len()];
    for (slot, (&item, failure)) in chosen.iter().zip(failures).enumerate() {
        let Item { name, key, label, split } = items[item].clone();
        if let Some(reason) = failure {
            damaged[label as usize].push(Skipped { name, reason });
            continue;
        }
        let kept = parts.labels.len();
        images.copy_within(slot * pixels..(slot + 1) * pixels, kept * pixels);
        parts.labels.push(label);
        parts.names.push(name);
        keys.push(key);
        own.push(split);
    }
    for (class, failures) in damaged.iter().enumerate() {
        if let Some(first) = failures.first().filter(|_| !parts.labels.contains(&(class as u32))) {
            return Err(DataError::AllDamaged {
                path: source.root.clone(),
                class: class_names[class].clone(),
                skipped: failures.len(),
                first: first.name.clone(),
                reason: first.reason.to_string(),
            });
        }
    }
    images.truncate(parts.labels.len() * pixels);
    images.shrink_to_fit();
    let damaged = damaged.into_iter().flatten();
    let mut skipped: Vec<Skipped> = source.skipped.iter().cloned().chain(skipped).chain(damaged).collect();
    skipped.sort_by(|a, b| a.name.cmp(&b.name));
    parts.splits = divide(&parts.labels, &keys, &own, shares(config));
    Dataset::try_from_parts(DatasetParts { images, skipped, ..parts })
}

/// All items, or at most `limit` of each class and part: those whose hash of (seed, key) is lowest. Ascending.
fn choose(items: &[Item], limit: Option<usize>, seed: u64) -> Vec<usize> {
    let Some(limit) = limit else {
        return (0..items.len()).collect();
    };
    // A seed of its own: otherwise a limit would take the images that the split sets aside first.
    let mut ranked: Vec<(u32, Option<Split>, u64, usize)> = items
        .iter()
        .enumerate()
        .map(|(index, item)| (item.label, item.split, rank(!seed, &item.key), index))
        .collect();
    ranked.sort_unstable();
    let mut chosen: Vec<usize> = ranked
        .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
        .flat_map(|group| group.iter().take(limit).map(|&(_, _, _, index)| index))
        .collect();
    chosen.sort_unstable();
    chosen
}
