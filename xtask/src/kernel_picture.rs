//! `cargo xtask kernel-picture`: draws kernels that a network learned, for the README.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::build::{self, Profile};
use crate::command::stdout;
use crate::reproduce::kernels::{self, Picture};
use crate::{files, workspace};

/// Kernels of each layer.
const PAIRS: usize = 3;

/// Taps on either side of the middle: the shipped kernels have 5×5 taps.
const REACH: usize = 3;

/// Side of one picture in the drawing, and the gaps between pictures and between layers.
const SIDE: usize = 72;
const GAP: usize = 4;
const LAYER_GAP: usize = 14;

/// Space around all pictures, and above them for two lines of text.
const MARGIN: usize = 16;
const HEAD: usize = 46;

/// Options of `cargo xtask kernel-picture`. Paths are relative to the repository.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model whose kernels are drawn.
    #[arg(long, value_name = "FILE", default_value = "models/cats-vs-dogs.safetensors")]
    checkpoint: PathBuf,
    /// A built `cfconv`. Default: builds one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// The SVG file to write.
    #[arg(long, value_name = "FILE", default_value = "docs/images/kernels.svg")]
    out: PathBuf,
}

/// Asks `cfconv inspect` for kernels and writes the drawing.
///
/// # Errors
/// The program cannot be built or fails, or a file cannot be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = match &args.program {
        Some(program) => workspace::root().join(program),
        None => build::program("cfconv-train", "cfconv", Profile::Release)?,
    };
    let mut command = Command::new(program);
    command.args(["inspect", "--json", "--kernels", &PAIRS.to_string(), "--checkpoint"]);
    command.arg(&args.checkpoint);
    let answer = stdout(&mut command)?;
    let json = tempfile::NamedTempFile::new()?;
    std::fs::write(json.path(), answer)?;
    let out = workspace::root().join(&args.out);
    let layers = kernels::read(json.path())?;
    let layers = layers.iter().map(|layer| layer.draw(REACH)).collect::<Result<Vec<_>>>()?;
    files::replace(&out, &drawing(&layers))?;
    eprintln!("written: {}", out.display());
    Ok(())
}

/// One column of kernels for each layer: taps on the left, magnitude on the right.
fn drawing(layers: &[Vec<Picture>]) -> String {
    let rows = layers.iter().map(Vec::len).max().unwrap_or_default();
    let column = 2 * SIDE + GAP;
    let width = 2 * MARGIN + layers.len() * (column + LAYER_GAP) - LAYER_GAP.min(layers.len() * LAYER_GAP);
    let height = HEAD + rows * (SIDE + GAP) - GAP.min(rows * GAP) + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Learned kernels of {} layers\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <style>image {{ image-rendering: pixelated; }} .tile {{ fill: none; stroke: #d8dee4; }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"12\" fill=\"#ffffff\"/>\n",
        layers.len()
    );
    for (n, layer) in layers.iter().enumerate() {
        let left = MARGIN + n * (column + LAYER_GAP);
        let right = left + SIDE + GAP;
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"20\" fill=\"#1b1f24\" font-weight=\"600\">Layer {}</text>\n\
             <g fill=\"#59636e\"><text x=\"{left}\" y=\"38\">space</text>\
             <text x=\"{right}\" y=\"38\">frequency</text></g>",
            n + 1
        );
        for (row, picture) in layer.iter().enumerate() {
            let y = HEAD + row * (SIDE + GAP);
            for (x, data) in [(left, &picture.spatial), (right, &picture.magnitude)] {
                let place = format!("x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\"");
                let _ = writeln!(svg, "<image {place} href=\"{data}\"/><rect class=\"tile\" {place}/>");
            }
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_is_a_column() {
        let picture = || Picture {
            in_channel: 0,
            out_channel: 0,
            spatial: "data:taps".to_owned(),
            magnitude: "data:magnitude".to_owned(),
        };
        let svg = drawing(&[vec![picture(), picture()], vec![picture()]]);
        assert_eq!((svg.matches("Layer ").count(), svg.matches("<image ").count()), (2, 6));
        assert!(svg.contains("viewBox=\"0 0 342 210\""), "{svg}");
        assert!(drawing(&[]).ends_with("</svg>\n"), "no layer, no picture, no failure");
    }
}
