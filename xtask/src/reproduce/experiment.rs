//! An experiment that trains networks, as its file describes it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::images::ImageSet;
use crate::scale::Scale;

/// Networks trained on the same images with the same budget: a file of `xtask/experiments`.
///
/// Each network is trained at each combination of the points of all axes, from each seed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    /// What it compares, in a sentence or two.
    pub(crate) about: String,
    /// What it asks.
    pub(crate) question: String,
    /// What the paper says about it.
    pub(crate) paper: Option<String>,
    pub(crate) images: ImageSet,
    /// Settings of all networks; a network's own come after them.
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    scales: Scales,
    pub(crate) networks: Vec<NetworkSpec>,
    #[serde(default)]
    pub(crate) axes: Vec<Axis>,
    /// The axis along which figures are drawn, or [`PARAMETERS`].
    pub(crate) abscissa: Option<String>,
    /// Image sizes at which the trained networks are tested besides their own.
    #[serde(default)]
    pub(crate) evaluate_sizes: Vec<u64>,
    /// Whether the learned kernels are drawn.
    #[serde(default)]
    pub(crate) draw_kernels: bool,
    /// Whether the report shows which classes networks confuse, and their worst mistakes.
    #[serde(default)]
    pub(crate) show_mistakes: bool,
    /// Whether a law is fitted to the numbers of positions that networks need.
    #[serde(default)]
    pub(crate) fit_positions_law: bool,
}

/// The abscissa that every network has a place on.
pub(crate) const PARAMETERS: &str = "parameters";

/// Settings for `cfconv train` at each scale.
type Scales = BTreeMap<Scale, Vec<String>>;

/// The settings at smoke scale if an experiment has none: one epoch of a few images.
const SMOKE: &[&str] = &[
    "train.epochs=1",
    "train.batch_size=16",
    "data.max_images_per_class=10",
    "data.embedded_images=120",
    "data.size=16",
    "data.validation_fraction=0.2",
    "data.test_fraction=0.2",
];

/// One network.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkSpec {
    /// Its name in the report and in folders.
    pub(crate) name: String,
    /// Its name for readers.
    pub(crate) label: String,
    /// The line of a figure that it belongs to; its label if absent.
    pub(crate) group: Option<String>,
    /// Its configuration file, from the top of the repository.
    pub(crate) config: String,
    /// Settings that differ from the file.
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// The accuracy that the paper reports.
    pub(crate) paper: Option<f64>,
    /// Most seeds that it is trained from, whatever `--seeds` says: for networks that take much longer.
    pub(crate) max_seeds: Option<u64>,
    /// Its own settings at each scale, after the experiment's.
    #[serde(default)]
    scales: Scales,
}

/// Something that the experiment varies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// One value of an axis.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    pub(crate) label: String,
    /// Where it stands on the axis; absent if it is not a number.
    pub(crate) value: Option<f64>,
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// Other images than those of the experiment.
    pub(crate) images: Option<ImageSet>,
    /// Left out, with a note, where its images are not found.
    #[serde(default)]
    pub(crate) if_found: bool,
    /// Left out at smaller scales.
    #[serde(default)]
    pub(crate) full_only: bool,
}

/// One network at one combination of points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) network: NetworkSpec,
    pub(crate) name: String,
    pub(crate) label: String,
    /// Its place on a line of a figure is the abscissa; all the rest is its group.
    pub(crate) group: String,
    pub(crate) set: Vec<String>,
    pub(crate) images: ImageSet,
    /// Left out, with a note, where its images are not found.
    pub(crate) if_found: bool,
    /// Name and place on each axis.
    pub(crate) coordinates: Vec<(String, Option<f64>)>,
}

impl Experiment {
    /// All combinations at a scale: networks outermost, the last axis innermost.
    pub(crate) fn variants(&self, scale: Scale) -> Vec<Variant> {
        let network = |network: &NetworkSpec| Variant {
            network: network.clone(),
            name: network.name.clone(),
            label: network.label.clone(),
            group: network.group.clone().unwrap_or_else(|| network.label.clone()),
            set: [&self.set[..], &network.set].concat(),
            images: self.images,
            if_found: false,
            coordinates: vec![],
        };
        let mut variants: Vec<Variant> = self.networks.iter().map(network).collect();
        for axis in &self.axes {
            let on_line = self.abscissa.as_deref() == Some(&axis.name);
            let points = points(axis, scale);
            let at_points = |variant: &Variant| {
                points.iter().map(|point| variant.at(axis, point, on_line)).collect::<Vec<_>>()
            };
            variants = variants.iter().flat_map(at_points).collect();
        }
        let default = if scale == Scale::Smoke { SMOKE } else { &[] };
        let default = || default.iter().map(|&setting| setting.to_owned()).collect();
        let of_scale = self.scales.get(&scale).cloned().unwrap_or_else(default);
        for variant in &mut variants {
            variant.set.extend_from_slice(&of_scale);
            variant.set.extend_from_slice(variant.network.scales.get(&scale).map_or(&[][..], |set| set));
        }
        variants
    }
}

/// The points of an axis at a scale; a smoke run has only the first and the last.
fn points(axis: &Axis, scale: Scale) -> Vec<&Point> {
    let mut points: Vec<_> =
        axis.points.iter().filter(|point| scale == Scale::Full || !point.full_only).collect();
    if scale == Scale::Smoke && points.len() > 2 {
        points.drain(1..points.len() - 1);
    }
    points
}

impl Variant {
    /// Whether `name` means it: by itself, or together with the other points of its network.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.network.name == name
    }

    fn at(&self, axis: &Axis, point: &Point, on_line: bool) -> Self {
        let mut variant = self.clone();
        variant.name += &format!("-{}", slug(&point.label));
        variant.label += &format!(", {}", point.label);
        if !on_line {
            variant.group += &format!(", {}", point.label);
        }
        variant.set.extend(point.set.iter().cloned());
        variant.images = point.images.unwrap_or(self.images);
        variant.if_found |= point.if_found;
        variant.coordinates.push((axis.name.clone(), point.value));
        variant
    }
}

/// A label as a part of a folder's name.
fn slug(label: &str) -> String {
    label.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        about = "a"
        question = "q"
        images = "cats-vs-dogs"
        abscissa = "positions"
        [scales]
        quick = ["train.epochs=3"]
        [[networks]]
        name = "n"
        label = "N"
        config = "c.toml"
        set = ["seed=1"]
        [[networks]]
        name = "m"
        label = "M"
        config = "c.toml"
        scales = { quick = ["train.epochs=9"], full = ["train.epochs=36"] }
        [[axes]]
        name = "images"
        points = [
            { label = "CIFAR", images = "cifar-10" },
            { label = "cats", set = ["cats=1"], full_only = true },
        ]
        [[axes]]
        name = "positions"
        points = [
            { label = "2^1", value = 2, set = ["p=2"] },
            { label = "2^2", value = 4, set = ["p=4"] },
            { label = "all", set = ["p=all"] },
        ]
    "#;

    fn experiment() -> Experiment {
        toml::from_str(TEXT).unwrap()
    }

    #[test]
    fn networks_are_combined_with_all_points() {
        let variants = experiment().variants(Scale::Full);
        assert_eq!(variants.len(), 2 * 2 * 3);
        let first = &variants[0];
        assert_eq!((first.name.as_str(), first.label.as_str()), ("n-cifar-21", "N, CIFAR, 2^1"));
        assert_eq!(first.group, "N, CIFAR", "the abscissa is no part of it");
        assert_eq!(first.set, ["seed=1", "p=2"]);
        assert_eq!(first.images, ImageSet::Cifar10);
        assert_eq!(first.coordinates, [("images".to_owned(), None), ("positions".to_owned(), Some(2.0))]);
        assert_eq!(variants[5].images, ImageSet::CatsVsDogs);
        let mut names: Vec<_> = variants.iter().map(|variant| &variant.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), variants.len());
    }

    #[test]
    fn smaller_scales_have_fewer_points_and_further_settings() {
        let quick = experiment().variants(Scale::Quick);
        assert_eq!(quick.len(), 2 * 3);
        assert_eq!(quick[0].set, ["seed=1", "p=2", "train.epochs=3"]);
        assert_eq!(quick[3].set, ["p=2", "train.epochs=3", "train.epochs=9"], "a network's own come last");
        let smoke = experiment().variants(Scale::Smoke);
        assert_eq!(smoke.len(), 2 * 2, "of the positions the first and the last, and one set of images");
        assert_eq!(smoke[2].set.last().map(String::as_str), SMOKE.last().copied());
        assert!(smoke[1].name.ends_with("all") && smoke[0].set.contains(&SMOKE[0].to_owned()));
    }

    #[test]
    fn settings_of_the_experiment_come_before_those_of_a_network() {
        let text = TEXT.replace("abscissa =", "set = ['all=1']\n        abscissa =");
        let variants = toml::from_str::<Experiment>(&text).unwrap().variants(Scale::Full);
        assert_eq!(variants[0].set, ["all=1", "seed=1", "p=2"]);
        assert_eq!(variants[6].set, ["all=1", "p=2", "train.epochs=36"]);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Experiment>(&TEXT.replace("question", "qestion")).is_err());
        assert!(toml::from_str::<Experiment>(&TEXT.replace("full_only", "fullonly")).is_err());
    }
}
