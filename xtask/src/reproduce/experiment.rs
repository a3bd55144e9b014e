//! An experiment made of trainings, as a file describes it.

use serde::Deserialize;

use super::images::ImageSet;
use super::scale::Scale;

/// Networks trained on the same images with the same budget: a file of `xtask/experiments`.
///
/// Each network is trained at each combination of the points of all axes, from each seed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    /// What is compared, in a sentence or two.
    pub(crate) about: String,
    /// What it wants to know.
    pub(crate) question: String,
    /// What the paper says about it.
    pub(crate) paper: Option<String>,
    pub(crate) images: ImageSet,
    /// Settings of all networks, before their own.
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    scales: Scales,
    pub(crate) networks: Vec<NetworkSpec>,
    #[serde(default)]
    pub(crate) axes: Vec<Axis>,
    /// The axis along which figures are drawn, or [`PARAMETERS`].
    pub(crate) abscissa: Option<String>,
    /// Sizes at which the trained networks are tested besides their own.
    #[serde(default)]
    pub(crate) evaluate_sizes: Vec<usize>,
    /// Whether the learned kernels are drawn.
    #[serde(default)]
    pub(crate) draw_kernels: bool,
    /// Whether a law of the positions that are needed is fitted.
    #[serde(default)]
    pub(crate) fit_positions_law: bool,
}

/// The abscissa that every network has a place on.
pub(crate) const PARAMETERS: &str = "parameters";

/// What the configurations become at each scale, as settings of `cfconv train`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scales {
    /// In place of [`SMOKE`].
    smoke: Option<Vec<String>>,
    quick: Vec<String>,
    full: Vec<String>,
}

impl Scales {
    fn at(&self, scale: Scale) -> Option<&[String]> {
        match scale {
            Scale::Smoke => self.smoke.as_deref(),
            Scale::Quick => Some(&self.quick),
            Scale::Full => Some(&self.full),
        }
    }
}

/// One epoch of a few images.
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkSpec {
    /// Its name in the report and in folders.
    pub(crate) name: String,
    /// Its name for readers.
    pub(crate) label: String,
    /// The line of a figure that it stands on; its label if absent.
    pub(crate) group: Option<String>,
    /// Its configuration file, from the top of the repository.
    pub(crate) config: String,
    /// Settings that differ from the file.
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// The accuracy that the paper reports.
    pub(crate) paper: Option<f64>,
    /// Trained from no more seeds than this, whatever `--seeds` says: for networks that take much longer.
    pub(crate) max_seeds: Option<u64>,
    /// Settings of its own at each scale, behind the experiment's.
    #[serde(default)]
    scales: Scales,
}

/// Something that is varied.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// A value of what is varied.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    pub(crate) label: String,
    /// Where it stands on the axis; absent for what is no number.
    pub(crate) value: Option<f64>,
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// Other images than the experiment's.
    pub(crate) images: Option<ImageSet>,
    /// Left out, with a note, where its images are not found.
    #[serde(default)]
    pub(crate) if_found: bool,
    /// At smaller scales it is left out.
    #[serde(default)]
    pub(crate) full_only: bool,
}

/// One network at one combination of points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    /// The network's name, which all points have in common.
    pub(crate) network: String,
    pub(crate) name: String,
    pub(crate) label: String,
    /// What it has in common with others on a line of a figure: all but the abscissa.
    pub(crate) group: String,
    pub(crate) config: String,
    pub(crate) set: Vec<String>,
    pub(crate) images: ImageSet,
    /// Left out, with a note, where its images are not found.
    pub(crate) if_found: bool,
    pub(crate) paper: Option<f64>,
    /// Trained from no more seeds than this.
    pub(crate) max_seeds: Option<u64>,
    /// Name and place on each axis.
    pub(crate) coordinates: Vec<(String, Option<f64>)>,
    /// The network's own settings at each scale.
    pub(crate) scales: Scales,
}

impl Experiment {
    /// All combinations at a scale: networks outermost, the last axis innermost.
    pub(crate) fn variants(&self, scale: Scale) -> Vec<Variant> {
        let mut variants: Vec<Variant> = self.networks.iter().map(|network| self.variant(network)).collect();
        for axis in &self.axes {
            let on_line = self.abscissa.as_deref() == Some(&axis.name);
            variants = variants
                .iter()
                .flat_map(|variant| points(axis, scale).map(|point| variant.at(axis, point, on_line)))
                .collect();
        }
        for variant in &mut variants {
            variant.set.extend(self.scale_settings(scale));
            variant.set.extend_from_slice(variant.scales.at(scale).unwrap_or_default());
        }
        variants
    }

    fn variant(&self, network: &NetworkSpec) -> Variant {
        Variant {
            network: network.name.clone(),
            name: network.name.clone(),
            label: network.label.clone(),
            group: network.group.clone().unwrap_or_else(|| network.label.clone()),
            config: network.config.clone(),
            set: [self.set.as_slice(), &network.set].concat(),
            images: self.images,
            if_found: false,
            paper: network.paper,
            max_seeds: network.max_seeds,
            coordinates: vec![],
            scales: network.scales.clone(),
        }
    }

    fn scale_settings(&self, scale: Scale) -> Vec<String> {
        let smoke = || SMOKE.iter().map(|&setting| setting.to_owned()).collect();
        self.scales.at(scale).map_or_else(smoke, <[String]>::to_vec)
    }
}

/// The points of an axis at a scale: of a smoke run the first and the last.
fn points(axis: &Axis, scale: Scale) -> impl Iterator<Item = &Point> {
    let taken: Vec<_> = axis.points.iter().filter(|point| scale == Scale::Full || !point.full_only).collect();
    let last = taken.len().saturating_sub(1);
    let ends = move |index: usize| index == 0 || index == last;
    taken
        .into_iter()
        .enumerate()
        .filter(move |(index, _)| scale != Scale::Smoke || ends(*index))
        .map(|(_, p)| p)
}

impl Variant {
    /// Whether `name` means it: alone, or with its network's other points.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.network == name
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

/// The part of a folder's name that a label becomes.
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
        [[axes.points]]
        label = "CIFAR"
        images = "cifar-10"
        [[axes.points]]
        label = "cats"
        set = ["cats=1"]
        full_only = true
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
