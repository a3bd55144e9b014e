//! The shipped configurations, and the list of keys in `docs/configuration.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cfconv_train::config::{ConfigError, TrainConfig};
use cfconv_train::networks::{InputShape, LayerConfig, NetworkPlan};

use crate::common::repository;

fn parameters(name: &str, classes: usize) -> usize {
    let path = repository().join("configs").join(name);
    let config = TrainConfig::load(&path, &[]).unwrap();
    let size = config.data.size;
    let input = InputShape { channels: 3, height: size, width: size };
    NetworkPlan::try_new(&config.network, input, classes).unwrap().num_parameters()
}

#[test]
fn shipped_configurations_keep_the_parameter_budget() {
    let counts = [
        ("cats-vs-dogs-cfconv.toml", 2, 58_118),
        ("cats-vs-dogs-cfconv-pairs.toml", 2, 56_466),
        ("cats-vs-dogs-cfconv-basis.toml", 2, 58_482),
        ("cats-vs-dogs-conv3x3.toml", 2, CONV3X3),
        ("cats-vs-dogs-complex.toml", 2, 57_946),
        ("cats-vs-dogs-cfconv-lattice.toml", 2, 58_402),
        ("cats-vs-dogs-mixer-cfconv.toml", 2, MIXER_CFCONV),
        ("cats-vs-dogs-mixer-attention.toml", 2, 58_854),
        ("cats-vs-dogs-mixer-depthwise3x3.toml", 2, 58_762),
        ("embedded-cfconv.toml", 12, EMBEDDED_CFCONV),
        ("embedded-cfconv-lattice.toml", 12, EMBEDDED_LATTICE),
        ("embedded-conv3x3.toml", 12, EMBEDDED_CONV3X3),
        ("positions-law.toml", 12, 4_220),
        ("long-range-cfconv.toml", 2, 4_922),
        ("long-range-conv3x3.toml", 2, 4_912),
        ("long-range-conv3x3-pooled.toml", 2, 4_912),
        ("long-range-depthwise3x3.toml", 2, 5_458),
        ("long-range-attention.toml", 2, 11_618),
    ];
    for (name, classes, expected) in counts {
        assert_eq!(parameters(name, classes), expected, "{name}");
        assert!(expected <= 59_000, "{name}");
    }
    for (name, _, cfconv) in counts.iter().filter(|(name, ..)| !name.contains("mixer")) {
        let opponent = match name.split('-').next() {
            Some("cats") => CONV3X3,
            Some("embedded") => EMBEDDED_CONV3X3,
            _ => continue,
        };
        assert!(cfconv.abs_diff(opponent) * 100 <= 3 * cfconv, "{name}");
    }
    for (name, _, opponent) in counts.iter().filter(|(name, ..)| name.contains("mixer")) {
        assert!(MIXER_CFCONV.abs_diff(*opponent) * 100 <= 2 * MIXER_CFCONV, "{name}");
    }
    let files: BTreeSet<String> = std::fs::read_dir(repository().join("configs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> = counts.iter().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(files, named, "every shipped configuration belongs into this test");
}

const CONV3X3: usize = 57_852;
const MIXER_CFCONV: usize = 58_850;
const EMBEDDED_CFCONV: usize = 28_469;
const EMBEDDED_LATTICE: usize = 29_436;
const EMBEDDED_CONV3X3: usize = 29_180;

/// A TOML text with a key that does not exist in the table of a section of the documentation.
fn probe(section: &str) -> String {
    let quoted = section.split('`').nth(1).unwrap_or_default();
    let layers = "[network]\nlayers = [{ type = 'flatten' }]\n";
    match (section, quoted) {
        ("Top level", _) => format!("zzz = 1\n{layers}"),
        (_, "[network]") => "[network]\nzzz = 1\nlayers = []".to_owned(),
        (_, "[[network.layers]]") => unreachable!("this section has no keys"),
        (_, table) if table.starts_with('[') => format!("{layers}\n{table}\nzzz = 1"),
        (_, kind) if kind.starts_with("kind") => format!("{layers}\n[network.sampler]\n{kind}\nzzz = 1"),
        (_, layer) => format!("[[network.layers]]\n{layer}\nzzz = 1"),
    }
}

/// The keys of each section of `docs/configuration.md`, with their defaults.
fn documented() -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let mut sections = BTreeMap::<String, BTreeMap<String, String>>::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("### ").or_else(|| line.strip_prefix("## ")) {
            section = title.to_owned();
            sections.insert(section.clone(), BTreeMap::new());
        } else if line.starts_with("| `") {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let key = cells[1].trim_matches('`').to_owned();
            let default = cells[2].trim_matches('`').to_owned();
            sections.get_mut(&section).unwrap().insert(key, default);
        }
    }
    sections
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let sections = documented();
    let layers: BTreeSet<&str> = sections
        .keys()
        .filter_map(|section| section.strip_prefix("`type = \"")?.strip_suffix("\"`"))
        .collect();
    assert_eq!(layers, LayerConfig::KINDS.iter().copied().collect(), "every kind of layer has its section");
    for (section, keys) in sections {
        if section == "`[[network.layers]]`" || section == "`[network.sampler]`" {
            assert!(keys.is_empty());
            continue;
        }
        let text = probe(&section);
        let error = TrainConfig::parse(Path::new("probe.toml"), &text, &[]).unwrap_err();
        let ConfigError::UnknownKey { valid, key, .. } = &error else { panic!("{section}: {error}") };
        assert!(key.ends_with("zzz"), "{section}: {key}");
        // The tag selects the table; in the documentation it is the table's title.
        let tagged = section.starts_with("`kind") || section.starts_with("`type");
        let valid: BTreeSet<&str> = valid
            .iter()
            .map(String::as_str)
            .filter(|&key| !(tagged && key == if section.starts_with("`kind") { "kind" } else { "type" }))
            .collect();
        let documented: BTreeSet<&str> = keys.keys().map(String::as_str).collect();
        assert_eq!(documented, valid, "{section}");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let minimal = "[network]\nlayers = [\n{ type = 'flatten' }\n]\n[average]\n";
    let config = TrainConfig::parse(Path::new("minimal.toml"), minimal, &[]).unwrap();
    let complete: toml::Table = toml::from_str(&config.to_toml().unwrap()).unwrap();
    for (section, keys) in documented() {
        let Some(path) = section.strip_prefix("`[").and_then(|rest| rest.strip_suffix("]`")) else {
            continue;
        };
        if path.starts_with('[') {
            continue;
        }
        let mut table = &complete;
        for name in path.split('.') {
            table = table[name].as_table().unwrap();
        }
        for (key, default) in keys {
            match table.get(&key) {
                None => assert_eq!(default, "–", "{path}.{key} has no default"),
                Some(toml::Value::Table(_) | toml::Value::Array(_)) => assert_eq!(default, "–"),
                Some(value) => {
                    let written: toml::Table = toml::from_str(&format!("value = {default}")).unwrap();
                    assert_eq!(&written["value"], value, "{path}.{key}");
                }
            }
        }
    }
}
