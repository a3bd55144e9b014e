//! Pictures of learned kernels, as a part of the page.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::files;

/// Channel pairs of each layer in the pictures.
pub(crate) const PAIRS: usize = 4;

/// Most taps on either side of the middle that a report draws.
const MAX_REACH: usize = 10;

/// Fewest taps on either side of the middle, so that 3×3 taps have a border.
const MIN_REACH: usize = 2;

/// Share of a kernel's energy that its picture holds.
const ENERGY: f64 = 0.95;

/// Kernels of the layers that have the same place in each network, drawn with the same reach to compare them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayerPictures {
    /// Taps on either side of the middle.
    pub(crate) reach: usize,
    /// One entry for each network that has so many layers with kernels.
    pub(crate) networks: Vec<NetworkPictures>,
}

/// Kernels of one layer of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkPictures {
    pub(crate) model: String,
    pub(crate) label: String,
    /// The layer's place in the configuration.
    pub(crate) layer: String,
    pub(crate) kind: String,
    pub(crate) pictures: Vec<Picture>,
}

/// One kernel: both pictures are PNG files as data URIs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) in_channel: u64,
    pub(crate) out_channel: u64,
    /// Taps around the middle, blue below and red above zero.
    pub(crate) spatial: String,
    /// Absolute values over frequencies, zero in the middle, dark to bright.
    pub(crate) magnitude: String,
}

/// What `cfconv inspect --kernels` prints.
#[derive(Deserialize)]
struct Inspection {
    kernels: Vec<LayerKernels>,
}

/// Some kernels of a layer.
#[derive(Deserialize)]
pub(crate) struct LayerKernels {
    pub(crate) layer: String,
    kind: String,
    taps: [usize; 2],
    frequencies: [usize; 2],
    pairs: Vec<ChannelPair>,
}

#[derive(Deserialize)]
struct ChannelPair {
    in_channel: u64,
    out_channel: u64,
    spatial: Vec<f64>,
    magnitude: Vec<f64>,
}

/// Reads what `cfconv inspect --kernels` has written.
pub(crate) fn read(path: &Path) -> Result<Vec<LayerKernels>> {
    Ok(files::read_json::<Inspection>(path)?.kernels)
}

/// Draws the kernels of several networks, layer by layer. Leaves out layers whose kernels are one tap, which have
/// nothing to show.
pub(crate) fn compare(networks: Vec<(&str, &str, Vec<LayerKernels>)>) -> Result<Vec<LayerPictures>> {
    let drawable = |(model, label, layers): (_, _, Vec<LayerKernels>)| {
        let layers = layers.into_iter().filter(|layer| layer.taps != [1, 1]);
        (model, label, layers.collect::<Vec<_>>())
    };
    let networks: Vec<(&str, &str, Vec<LayerKernels>)> = networks.into_iter().map(drawable).collect();
    let most = networks.iter().map(|(_, _, layers)| layers.len()).max().unwrap_or(0);
    let at_place = |place: usize| {
        let layers = || {
            networks.iter().filter_map(|(model, label, layers)| Some((*model, *label, layers.get(place)?)))
        };
        let reaches = layers().map(|(_, _, layer)| layer.reach()).collect::<Result<Vec<_>>>()?;
        let reach = reaches.into_iter().max().unwrap_or(MIN_REACH);
        let of_network = |(model, label, layer): (&str, &str, &LayerKernels)| {
            Ok(NetworkPictures {
                model: model.to_owned(),
                label: label.to_owned(),
                layer: layer.layer.clone(),
                kind: layer.kind.clone(),
                pictures: layer.draw(reach)?,
            })
        };
        Ok(LayerPictures { reach, networks: layers().map(of_network).collect::<Result<_>>()? })
    };
    (0..most).map(at_place).collect()
}

impl LayerKernels {
    /// Draws each kernel with `reach` taps on either side of the middle.
    pub(crate) fn draw(&self, reach: usize) -> Result<Vec<Picture>> {
        let picture = |pair: &ChannelPair| {
            let magnitude = self.plane(self.frequencies, &pair.magnitude)?;
            Ok(Picture {
                in_channel: pair.in_channel,
                out_channel: pair.out_channel,
                spatial: self.plane(self.taps, &pair.spatial)?.window(reach).png(diverging)?,
                magnitude: magnitude.png(sequential)?,
            })
        };
        self.pairs.iter().map(picture).collect()
    }

    /// The reach at which pictures of all its kernels hold nearly all of them.
    fn reach(&self) -> Result<usize> {
        let mut reach = MIN_REACH;
        for pair in &self.pairs {
            let plane = self.plane(self.taps, &pair.spatial)?;
            let (most, whole) = (plane.height.max(plane.width) / 2, plane.energy());
            while reach < most.min(MAX_REACH) && plane.window(reach).energy() < ENERGY * whole {
                reach += 1;
            }
        }
        Ok(reach)
    }

    fn plane(&self, [height, width]: [usize; 2], values: &[f64]) -> Result<Plane> {
        Plane::new(height, width, values.to_vec()).with_context(|| self.layer.clone())
    }
}

struct Plane {
    height: usize,
    width: usize,
    values: Vec<f64>,
}

impl Plane {
    fn new(height: usize, width: usize, values: Vec<f64>) -> Result<Self> {
        ensure!(
            values.len() == height * width && height * width > 0,
            "{} values for {height}×{width}",
            values.len()
        );
        Ok(Self { height, width, values })
    }

    fn energy(&self) -> f64 {
        self.values.iter().map(|value| value * value).sum()
    }

    /// What lies within `reach` of the middle, with zeros beyond the border.
    fn window(&self, reach: usize) -> Self {
        let side = 2 * reach + 1;
        let place = |at: usize, extent: usize| (at + extent / 2).checked_sub(reach).filter(|at| *at < extent);
        let value = |at: usize| {
            let (row, column) = (place(at / side, self.height)?, place(at % side, self.width)?);
            Some(self.values[row * self.width + column])
        };
        let values = (0..side * side).map(|at| value(at).unwrap_or(0.0));
        Self { height: side, width: side, values: values.collect() }
    }

    /// A PNG file as a data URI; `colour` gets values divided by the largest absolute one.
    fn png(&self, colour: fn(f64) -> [u8; 3]) -> Result<String> {
        let largest = self.values.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
        let pixels: Vec<u8> = self.values.iter().flat_map(|value| colour(value / largest)).collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(data_uri(&file))
    }
}

/// A PNG file as a part of a page.
pub(crate) fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

/// From −1, blue, over white to 1, red.
fn diverging(value: f64) -> [u8; 3] {
    let end = if value < 0.0 { [33.0, 88.0, 190.0] } else { [190.0, 40.0, 30.0] };
    end.map(|end| (255.0 + (end - 255.0) * value.abs().min(1.0)).round() as u8)
}

/// From 0, dark, to 1, bright.
fn sequential(value: f64) -> [u8; 3] {
    let value = value.clamp(0.0, 1.0);
    [(255.0 * value.powf(0.6)) as u8, (240.0 * value.powf(1.1)) as u8, (90.0 + 110.0 * value * value) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A layer with one kernel whose `near` taps around the middle are 1 and all others `far`.
    fn layer(kind: &str, side: usize, near: usize, far: f64) -> LayerKernels {
        let is_near = |at: usize| at.abs_diff(side / 2) <= near;
        let tap = |at: usize| if is_near(at / side) && is_near(at % side) { 1.0 } else { far };
        let spatial: Vec<f64> = (0..side * side).map(tap).collect();
        serde_json::from_value(json!({
            "layer": "layers.0", "kind": kind, "taps": [side, side], "frequencies": [2, 3],
            "pairs": [{ "in_channel": 1, "out_channel": 2, "spatial": spatial, "magnitude": [0, 1, 2, 3, 4, 5] }],
        }))
        .unwrap()
    }

    fn pixels(uri: &str) -> (u32, u32, Vec<u8>) {
        let bytes = BASE64_STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.height, info.width, pixels)
    }

    #[test]
    fn kernels_become_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernels.json");
        let values: Vec<f64> = (0..25).map(|value| f64::from(value) - 10.0).collect();
        let pair =
            json!({ "in_channel": 1, "out_channel": 2, "spatial": values, "magnitude": [0, 1, 2, 3, 4, 5] });
        let layer = json!({
            "layer": "layers.0", "kind": "cf-conv", "taps": [5, 5], "frequencies": [2, 3], "pairs": [pair],
        });
        files::replace_json(&path, &json!({ "kernels": [layer] })).unwrap();
        let pictures = read(&path).unwrap()[0].draw(2).unwrap();
        assert_eq!((pictures.len(), pictures[0].out_channel), (1, 2));
        let (height, width, spatial) = pixels(&pictures[0].spatial);
        assert_eq!((height, width), (5, 5));
        assert!(spatial[2] > spatial[0], "the first value is below zero: blue");
        assert!(spatial[spatial.len() - 3] > spatial[spatial.len() - 1], "the last is above: red");
        assert_eq!(pixels(&pictures[0].magnitude).0, 2);

        std::fs::write(&path, "{}").unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn layers_of_several_networks_are_drawn_to_the_same_scale() {
        let networks = vec![
            ("cfconv", "CF-Conv", vec![layer("cf-conv", 32, 3, 0.0), layer("cf-conv", 16, 0, 0.0)]),
            ("conv3x3", "3×3", vec![layer("conv", 1, 0, 0.0), layer("conv", 3, 1, 0.0)]),
        ];
        let layers = compare(networks).unwrap();
        let labels = |at: usize| layers[at].networks.iter().map(|it| it.label.as_str()).collect::<Vec<_>>();
        assert_eq!((labels(0), labels(1)), (vec!["CF-Conv", "3×3"], vec!["CF-Conv"]), "1×1 has no picture");
        assert_eq!((layers[0].reach, layers[1].reach), (3, MIN_REACH));
        for network in &layers[0].networks {
            let (height, width, _) = pixels(&network.pictures[0].spatial);
            assert_eq!((height, width), (7, 7), "{}", network.label);
        }
        let white = pixels(&layers[0].networks[1].pictures[0].spatial).2;
        assert_eq!(
            (&white[..3], &white[3 * 24..][..3]),
            (&[255; 3][..], &[190, 40, 30][..]),
            "border, middle"
        );
        assert!(compare(vec![]).unwrap().is_empty());
    }

    #[test]
    fn kernels_that_spread_over_the_image_are_cut_off() {
        assert_eq!(layer("cf-conv", 64, 1, 0.5).reach().unwrap(), MAX_REACH);
        assert_eq!(layer("cf-conv", 9, 1, 0.5).reach().unwrap(), 4, "no farther than the torus");
        assert_eq!(layer("cf-conv", 64, 5, 1e-3).reach().unwrap(), 5);
    }

    #[test]
    fn the_middle_is_cut_out_and_the_border_is_filled_up() {
        let plane = Plane::new(5, 4, (0..20).map(f64::from).collect()).unwrap();
        let middle = plane.window(1);
        assert_eq!((middle.height, middle.width), (3, 3));
        assert_eq!(middle.values[4], 10.0, "row 2, column 2");
        let whole = plane.window(3);
        assert_eq!((whole.values[3 * 7 + 3], whole.values[0], whole.values[7 + 1]), (10.0, 0.0, 0.0));
        assert_eq!(whole.energy(), plane.energy());
        assert!(Plane::new(2, 2, vec![1.0]).is_err());
    }

    #[test]
    fn colours_run_from_end_to_end() {
        assert_eq!((diverging(0.0), diverging(1.0)), ([255; 3], [190, 40, 30]));
        assert_eq!(sequential(0.0), [0, 0, 90]);
        assert!(sequential(1.0)[0] == 255 && sequential(1.0)[1] == 240);
    }
}
