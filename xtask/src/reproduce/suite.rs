//! The experiments that `cargo xtask reproduce` knows.

use anyhow::{Context, Result, bail};

use super::experiment::Experiment;
use super::images::ImageSet;
use super::memory;
use super::spectral_bias;
use super::study::Study;

/// The name that stands for every experiment.
pub(crate) const ALL: &str = "all";

/// Where an experiment comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A file of `xtask/experiments`.
    File(&'static str),
    Study(Study),
}

/// Names and sources, in the order in which `all` runs them.
const EXPERIMENTS: &[(&str, Source)] = &[
    ("memory", Source::Study(memory::STUDY)),
    ("spectral-bias", Source::Study(spectral_bias::STUDY)),
    ("embedded", Source::File(include_str!("../../experiments/embedded.toml"))),
    ("cats-vs-dogs", Source::File(include_str!("../../experiments/cats-vs-dogs.toml"))),
    ("positions", Source::File(include_str!("../../experiments/positions.toml"))),
    ("parameterizations", Source::File(include_str!("../../experiments/parameterizations.toml"))),
    ("sampling", Source::File(include_str!("../../experiments/sampling.toml"))),
    ("positions-law", Source::File(include_str!("../../experiments/positions-law.toml"))),
    ("complex-activations", Source::File(include_str!("../../experiments/complex-activations.toml"))),
    ("transformer", Source::File(include_str!("../../experiments/transformer.toml"))),
    ("scale-up", Source::File(include_str!("../../experiments/scale-up.toml"))),
    ("resolution", Source::File(include_str!("../../experiments/resolution.toml"))),
];

/// An experiment with its name.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// How an experiment is carried out.
pub(crate) enum Kind {
    Trainings(Box<Experiment>),
    Study(Study),
}

fn entry(&(name, source): &(&'static str, Source)) -> Result<Entry> {
    let kind = match source {
        Source::Study(study) => Kind::Study(study),
        Source::File(text) => {
            Kind::Trainings(toml::from_str(text).with_context(|| format!("xtask/experiments/{name}.toml"))?)
        }
    };
    Ok(Entry { name, kind })
}

/// The names that the command accepts.
pub(crate) fn names() -> Vec<&'static str> {
    EXPERIMENTS.iter().map(|(name, _)| *name).chain([ALL]).collect()
}

/// Finds the experiments that the options mean: the named one, all of them, or else the one for the given images.
///
/// # Errors
/// The user gives images to an experiment that needs none.
pub(crate) fn choose(name: Option<&str>, has_data: bool) -> Result<Vec<Entry>> {
    let name = name.unwrap_or(if has_data { "cats-vs-dogs" } else { "embedded" });
    let named = EXPERIMENTS.iter().filter(|(known, _)| name == ALL || *known == name);
    let entries = named.map(entry).collect::<Result<Vec<_>>>()?;
    let needs_images = |entry: &Entry| match &entry.kind {
        Kind::Trainings(experiment) => experiment.images != ImageSet::Embedded,
        Kind::Study(_) => false,
    };
    if has_data && !entries.iter().any(needs_images) {
        bail!("`{name}` needs no images: leave out --data, or name another experiment");
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::experiment::PARAMETERS;
    use super::*;
    use crate::scale::Scale;

    fn chosen(name: Option<&str>, has_data: bool) -> Vec<&'static str> {
        choose(name, has_data).unwrap().iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn options_choose_the_experiment() {
        assert_eq!(chosen(None, false), ["embedded"]);
        assert_eq!(chosen(None, true), ["cats-vs-dogs"]);
        assert_eq!(chosen(Some("positions"), false), ["positions"]);
        assert_eq!(chosen(Some("memory"), false), ["memory"]);
        assert_eq!(chosen(Some(ALL), true).len(), EXPERIMENTS.len());
        assert!(choose(Some("memory"), true).is_err());
        assert!(choose(Some("embedded"), true).is_err());
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_and_all_valid_ones() {
        let call = ["cargo xtask", "reproduce", "Cats_v_dogs"];
        let message = crate::Cli::try_parse_from(call).err().unwrap().to_string();
        assert!(message.contains("a similar value exists: 'cats-vs-dogs'"), "{message}");
        assert!(message.contains(&names().join(", ")), "{message}");
    }

    #[test]
    fn every_description_can_be_planned_at_every_scale() {
        for listed in EXPERIMENTS {
            let Entry { name, kind: Kind::Trainings(experiment) } = entry(listed).unwrap() else {
                continue;
            };
            for scale in [Scale::Smoke, Scale::Quick, Scale::Full] {
                let variants = experiment.variants(scale);
                assert!(!variants.is_empty(), "{name}");
                let mut names: Vec<_> = variants.iter().map(|variant| variant.name.clone()).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), variants.len(), "{name}: names of variants are not unique");
                for variant in variants {
                    let config = &variant.network.config;
                    assert!(crate::workspace::root().join(config).is_file(), "{name}: {config}");
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
            let is_listed =
                |(known, source): &(&str, Source)| *known == name && matches!(source, Source::File(_));
            assert!(EXPERIMENTS.iter().any(is_listed), "{name} is not in the list");
        }
    }
}
