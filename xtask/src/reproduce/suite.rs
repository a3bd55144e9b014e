//! The experiments that `cargo xtask reproduce` knows.

use anyhow::{Context, Result, bail};

use super::experiment::Experiment;
use super::images::ImageSet;
use super::study::Study;

/// The name that stands for every experiment.
pub(crate) const ALL: &str = "all";

/// Names and descriptions, in the order in which `all` runs them.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("embedded", include_str!("../../experiments/embedded.toml")),
    ("cats-vs-dogs", include_str!("../../experiments/cats-vs-dogs.toml")),
    ("positions", include_str!("../../experiments/positions.toml")),
    ("parameterizations", include_str!("../../experiments/parameterizations.toml")),
    ("sampling", include_str!("../../experiments/sampling.toml")),
    ("positions-law", include_str!("../../experiments/positions-law.toml")),
    ("complex-activations", include_str!("../../experiments/complex-activations.toml")),
    ("transformer", include_str!("../../experiments/transformer.toml")),
    ("scale-up", include_str!("../../experiments/scale-up.toml")),
    ("resolution", include_str!("../../experiments/resolution.toml")),
];

/// Experiments without a description of networks to train.
const STUDIES: &[(&str, Study)] = &[("memory", Study::Memory), ("spectral-bias", Study::SpectralBias)];

/// An experiment with its name.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// What an experiment is made of.
pub(crate) enum Kind {
    Trainings(Box<Experiment>),
    Study(Study),
}

fn trainings(&(name, text): &(&'static str, &'static str)) -> Result<Entry> {
    let experiment = toml::from_str(text).with_context(|| format!("xtask/experiments/{name}.toml"))?;
    Ok(Entry { name, kind: Kind::Trainings(Box::new(experiment)) })
}

fn study(&(name, study): &(&'static str, Study)) -> Entry {
    Entry { name, kind: Kind::Study(study) }
}

/// Every name in order.
fn names() -> impl Iterator<Item = &'static str> {
    STUDIES.iter().map(|(name, _)| *name).chain(DESCRIPTIONS.iter().map(|(name, _)| *name))
}

/// Finds the experiments that the options mean: the one named, all of them, else the one for the images given.
///
/// # Errors
/// An unknown name, with the valid ones, nearest first; images given to an experiment that takes none.
pub(crate) fn choose(name: Option<&str>, has_data: bool) -> Result<Vec<Entry>> {
    let name = name.unwrap_or(if has_data { "cats-vs-dogs" } else { "embedded" });
    if name == ALL {
        return STUDIES
            .iter()
            .map(|entry| Ok(study(entry)))
            .chain(DESCRIPTIONS.iter().map(trainings))
            .collect();
    }
    let entry = if let Some(known) = STUDIES.iter().find(|(valid, _)| *valid == name) {
        study(known)
    } else if let Some(description) = DESCRIPTIONS.iter().find(|(valid, _)| *valid == name) {
        trainings(description)?
    } else {
        bail!("there is no experiment `{name}`; there are: {}", nearest_first(name).join(", "));
    };
    let takes_images = match &entry.kind {
        Kind::Trainings(experiment) => experiment.images != ImageSet::Embedded,
        Kind::Study(_) => false,
    };
    if has_data && !takes_images {
        bail!("`{name}` takes no images: leave out --data, or name another experiment");
    }
    Ok(vec![entry])
}

fn nearest_first(name: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = names().chain([ALL]).collect();
    let nearness = |valid: &str| strsim::jaro_winkler(&name.to_lowercase(), valid);
    names.sort_by(|a, b| nearness(b).total_cmp(&nearness(a)));
    names
}

#[cfg(test)]
mod tests {
    use super::super::experiment::PARAMETERS;
    use super::super::scale::Scale;
    use super::*;

    fn chosen(name: Option<&str>, has_data: bool) -> Vec<&'static str> {
        choose(name, has_data).unwrap().iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn options_choose_the_experiment() {
        assert_eq!(chosen(None, false), ["embedded"]);
        assert_eq!(chosen(None, true), ["cats-vs-dogs"]);
        assert_eq!(chosen(Some("positions"), false), ["positions"]);
        assert_eq!(chosen(Some("memory"), false), ["memory"]);
        assert_eq!(chosen(Some(ALL), true).len(), STUDIES.len() + DESCRIPTIONS.len());
        assert!(choose(Some("memory"), true).is_err());
        assert!(choose(Some("embedded"), true).is_err());
    }

    #[test]
    fn unknown_name_lists_the_valid_ones_nearest_first() {
        let message = choose(Some("Cats_v_dogs"), false).err().unwrap().to_string();
        assert!(message.contains("there are: cats-vs-dogs, "), "{message}");
        assert!(message.contains(ALL), "{message}");
    }

    #[test]
    fn every_description_can_be_planned_at_every_scale() {
        for description in DESCRIPTIONS {
            let Entry { name, kind: Kind::Trainings(experiment) } = trainings(description).unwrap() else {
                panic!("a description is of trainings");
            };
            for scale in [Scale::Smoke, Scale::Quick, Scale::Full] {
                let variants = experiment.variants(scale);
                assert!(!variants.is_empty(), "{name}");
                let mut names: Vec<_> = variants.iter().map(|variant| variant.name.clone()).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), variants.len(), "{name}: names of variants are not unique");
                for variant in variants {
                    let config = crate::workspace::root().join(&variant.config);
                    assert!(config.is_file(), "{name}: {}", variant.config);
                }
            }
            if let Some(abscissa) = &experiment.abscissa {
                let known =
                    abscissa == PARAMETERS || experiment.axes.iter().any(|axis| axis.name == *abscissa);
                assert!(known, "{name}: {abscissa}");
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_an_experiment() {
        let folder = crate::workspace::root().join("xtask/experiments");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(DESCRIPTIONS.iter().any(|(known, _)| *known == name), "{name} is not in the list");
        }
    }
}
