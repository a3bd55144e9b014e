//! The experiments that `cargo xtask reproduce` knows.

use anyhow::{Context, Result, ensure};

use super::experiment::Experiment;
use super::images::ImageSet;
use super::memory;
use super::spectral_bias;
use super::study::Study;

/// The name that stands for every experiment.
pub(crate) const ALL: &str = "all";

/// How an experiment is described.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// Networks to train: the text of a file of `xtask/experiments`.
    Networks(&'static str),
    Study(Study),
}

/// Names and sources, in the order in which `all` runs them.
const EXPERIMENTS: &[(&str, Source)] = &[
    ("memory", Source::Study(memory::STUDY)),
    ("spectral-bias", Source::Study(spectral_bias::STUDY)),
    ("long-range", Source::Networks(include_str!("../../experiments/long-range.toml"))),
    ("long-range-marks", Source::Networks(include_str!("../../experiments/long-range-marks.toml"))),
    ("long-range-curves", Source::Networks(include_str!("../../experiments/long-range-curves.toml"))),
    ("embedded", Source::Networks(include_str!("../../experiments/embedded.toml"))),
    ("cats-vs-dogs", Source::Networks(include_str!("../../experiments/cats-vs-dogs.toml"))),
    ("positions", Source::Networks(include_str!("../../experiments/positions.toml"))),
    ("parameterizations", Source::Networks(include_str!("../../experiments/parameterizations.toml"))),
    ("sampling", Source::Networks(include_str!("../../experiments/sampling.toml"))),
    ("positions-law", Source::Networks(include_str!("../../experiments/positions-law.toml"))),
    ("complex-activations", Source::Networks(include_str!("../../experiments/complex-activations.toml"))),
    ("transformer", Source::Networks(include_str!("../../experiments/transformer.toml"))),
    ("scale-up", Source::Networks(include_str!("../../experiments/scale-up.toml"))),
    ("resolution", Source::Networks(include_str!("../../experiments/resolution.toml"))),
];

/// The names that the command accepts.
pub(crate) fn names() -> Vec<&'static str> {
    EXPERIMENTS.iter().map(|(name, _)| *name).chain([ALL]).collect()
}

/// Reads the description of an experiment.
pub(crate) fn parse(name: &str, text: &str) -> Result<Experiment> {
    toml::from_str(text).with_context(|| format!("xtask/experiments/{name}.toml"))
}

/// Experiments that run if none is named and no images are given: together some ten minutes on two cores.
const DEFAULT: [&str; 2] = ["long-range", "embedded"];

/// Finds the experiments that the options mean: the named one, all of them, or else those for the given images.
/// Refuses images for an experiment that needs none.
pub(crate) fn choose(name: Option<&str>, has_data: bool) -> Result<Vec<(&'static str, Source)>> {
    let names: &[&str] = match &name {
        Some(name) => std::slice::from_ref(name),
        None if has_data => &["cats-vs-dogs"],
        None => &DEFAULT,
    };
    let is_meant = |known: &str| names.contains(&known) || names == [ALL];
    let chosen: Vec<_> = EXPERIMENTS.iter().copied().filter(|(known, _)| is_meant(known)).collect();
    let needs_images = |(name, source): &(&str, Source)| match source {
        Source::Networks(text) => parse(name, text).is_ok_and(|it| it.images != ImageSet::Embedded),
        Source::Study(_) => false,
    };
    let fits = !has_data || chosen.iter().any(needs_images);
    ensure!(fits, "`{}` needs no images: leave out --data, or name another experiment", names.join("`, `"));
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::experiment::PARAMETERS;
    use super::*;
    use crate::scale::Scale;

    fn chosen(name: Option<&str>, has_data: bool) -> Vec<&'static str> {
        choose(name, has_data).unwrap().iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn options_choose_the_experiment() {
        assert_eq!(chosen(None, false), ["long-range", "embedded"]);
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
        for (name, source) in EXPERIMENTS {
            let Source::Networks(text) = source else { continue };
            let experiment = parse(name, text).unwrap();
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
                |(known, source): &(&str, Source)| *known == name && matches!(source, Source::Networks(_));
            assert!(EXPERIMENTS.iter().any(is_listed), "{name} is not in the list");
        }
    }
}
