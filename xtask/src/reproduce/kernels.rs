//! Pictures of learned kernels, as a part of the page.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::files;

/// Channel pairs of each layer in the pictures.
pub(crate) const PAIRS: usize = 4;

/// Taps on either side of the middle that a report draws: kernels are a few pixels wide.
pub(crate) const REACH: usize = 10;

/// Kernels of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkKernels {
    pub(crate) model: String,
    pub(crate) label: String,
    pub(crate) pictures: Vec<Picture>,
}

/// One kernel: both pictures are PNG files as data URIs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) layer: String,
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

#[derive(Deserialize)]
struct LayerKernels {
    layer: String,
    height: usize,
    width: usize,
    pairs: Vec<ChannelPair>,
}

#[derive(Deserialize)]
struct ChannelPair {
    in_channel: u64,
    out_channel: u64,
    spatial: Vec<f64>,
    magnitude: Vec<f64>,
}

/// Draws the kernels in `path`, which `cfconv inspect --kernels` has written, with `reach` taps on either side of the
/// middle.
pub(crate) fn draw(path: &Path, reach: usize) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for LayerKernels { layer, height, width, pairs } in files::read_json::<Inspection>(path)?.kernels {
        for ChannelPair { in_channel, out_channel, spatial, magnitude } in pairs {
            let plane =
                |values| Plane::new(height, width, values).with_context(|| path.display().to_string());
            pictures.push(Picture {
                layer: layer.clone(),
                in_channel,
                out_channel,
                spatial: plane(spatial)?.middle(reach).png(diverging)?,
                magnitude: plane(magnitude)?.png(sequential)?,
            });
        }
    }
    Ok(pictures)
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

    /// The part within `reach` of the middle.
    fn middle(&self, reach: usize) -> Self {
        let range = |extent: usize| (extent / 2).saturating_sub(reach)..extent.min(extent / 2 + reach + 1);
        let (rows, columns) = (range(self.height), range(self.width));
        let values = rows.clone().flat_map(|h| self.values[h * self.width..][columns.clone()].to_vec());
        Self { height: rows.len(), width: columns.len(), values: values.collect() }
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
        Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&file)))
    }
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

    #[test]
    fn kernels_become_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernels.json");
        let values: Vec<f64> = (0..30).map(|value| f64::from(value) - 10.0).collect();
        let pair = json!({ "in_channel": 1, "out_channel": 2, "spatial": values, "magnitude": values });
        let layer = json!({ "layer": "layers.0", "height": 5, "width": 6, "pairs": [pair] });
        files::replace_json(&path, &json!({ "kernels": [layer] })).unwrap();
        let pictures = draw(&path, REACH).unwrap();
        assert_eq!((pictures.len(), pictures[0].out_channel), (1, 2));
        let data = pictures[0].spatial.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = BASE64_STANDARD.decode(data).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.height, info.width), (5, 6));
        assert!(pixels[2] > pixels[0], "the first value is below zero: blue");
        assert!(pixels[pixels.len() - 3] > pixels[pixels.len() - 1], "the last is above: red");

        std::fs::write(&path, "{}").unwrap();
        assert!(draw(&path, REACH).is_err());
    }

    #[test]
    fn the_middle_is_cut_out() {
        let plane = Plane::new(5, 4, (0..20).map(f64::from).collect()).unwrap();
        let middle = plane.middle(1);
        assert_eq!((middle.height, middle.width), (3, 3));
        assert_eq!(middle.values[4], 10.0, "row 2, column 2");
        assert!(Plane::new(2, 2, vec![1.0]).is_err());
    }

    #[test]
    fn colours_run_from_end_to_end() {
        assert_eq!((diverging(0.0), diverging(1.0)), ([255; 3], [190, 40, 30]));
        assert_eq!(sequential(0.0), [0, 0, 90]);
        assert!(sequential(1.0)[0] == 255 && sequential(1.0)[1] == 240);
    }
}
