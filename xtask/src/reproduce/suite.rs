//! The experiments that `cargo xtask reproduce` knows.

use anyhow::{Context, Result, bail};

use super::experiment::Experiment;
use super::images::ImageSet;

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
    ("scale-up", include_str!("../../experiments/scale-up.toml")),
    ("resolution", include_str!("../../experiments/resolution.toml")),
];

/// An experiment with its name.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) experiment: Experiment,
}

fn entry(&(name, text): &(&'static str, &'static str)) -> Result<Entry> {
    let experiment = toml::from_str(text).with_context(|| format!("xtask/experiments/{name}.toml"))?;
    Ok(Entry { name, experiment })
}

/// Finds the experiments that the options mean: the one named, all of them, else the one for the images given.
///
/// # Errors
/// An unknown name, with the valid ones, nearest first; images given to an experiment that makes its own.
pub(crate) fn choose(name: Option<&str>, has_data: bool) -> Result<Vec<Entry>> {
    let name = name.unwrap_or(if has_data { "cats-vs-dogs" } else { "embedded" });
    if name == ALL {
        return DESCRIPTIONS.iter().map(entry).collect();
    }
    let Some(description) = DESCRIPTIONS.iter().find(|(valid, _)| *valid == name) else {
        bail!("there is no experiment `{name}`; there are: {}", nearest_first(name).join(", "));
    };
    let entry = entry(description)?;
    if has_data && entry.experiment.images == ImageSet::Embedded {
        bail!("`{name}` makes its own images: leave out --data, or name another experiment");
    }
    Ok(vec![entry])
}

fn nearest_first(name: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = DESCRIPTIONS.iter().map(|(name, _)| *name).chain([ALL]).collect();
    let nearness = |valid: &str| strsim::jaro_winkler(&name.to_lowercase(), valid);
    names.sort_by(|a, b| nearness(b).total_cmp(&nearness(a)));
    names
}

#[cfg(test)]
mod tests {
    use super::super::experiment::PARAMETERS;
    use super::super::scale::Scale;
    use super::*;

    fn names(name: Option<&str>, has_data: bool) -> Vec<&'static str> {
        choose(name, has_data).unwrap().iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn options_choose_the_experiment() {
        assert_eq!(names(None, false), ["embedded"]);
        assert_eq!(names(None, true), ["cats-vs-dogs"]);
        assert_eq!(names(Some("positions"), false), ["positions"]);
        assert_eq!(names(Some(ALL), true).len(), DESCRIPTIONS.len());
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
            let Entry { name, experiment } = entry(description).unwrap();
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
