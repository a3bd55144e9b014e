//! The step `documents` of `cargo xtask test`: every command that a document shows is run, at small scale.
//!
//! A shell runs each block as it stands, in a copy of the repository made of links. `cargo`, `python` and the programs
//! of `target/release` are scripts there; they hand their arguments to this program, and [`mod@stand_in`] decides what
//! runs in their place. A command that it does not know fails the step. Of commands in sentences, which are often
//! incomplete, only the options are checked.

mod markdown;
mod stand_in;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::markdown::{Mention, Script};
use crate::build::{self, Profile};
use crate::cuda_toolkit::{link, succeed};
use crate::workspace;

/// Options of `cargo xtask stand-in`, which the scripts call.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program that it stands for.
    name: String,
    /// The program's arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Folders that commands read.
const LINKS: [&str; 3] = ["cfconv-bench", "configs", "models"];

/// Placeholders of the documents for folders of images, and for one image.
const FOLDERS: [&str; 2] = ["PATH", "DIR"];
const IMAGES: [&str; 2] = ["IMAGE.jpg", "photo.jpg"];

/// Images of each class in those folders, enough for a training, validation and test split.
const IMAGES_PER_CLASS: u32 = 20;

/// Runs what stands for a command.
///
/// # Errors
/// As for [`stand_in::run`].
pub(crate) fn stand_in(args: &Args) -> Result<()> {
    stand_in::run(&args.name, &args.arguments)
}

/// Runs or checks all commands of all documents; skips none.
///
/// # Errors
/// Names the documents and lines of commands that fail, with what they print.
pub(crate) fn run(_skipped: &mut Vec<String>) -> Result<()> {
    let place = Place::make()?;
    let (mut failed, mut count) = (Vec::new(), 0);
    for document in documents()? {
        let text = std::fs::read_to_string(workspace::root().join(&document))
            .with_context(|| document.display().to_string())?;
        let (scripts, mentions) = markdown::commands(&text);
        count += scripts.len();
        for Script { line, text, expected } in scripts {
            eprintln!("{}:{line}", document.display());
            let outcome = place.shell(&text, false).and_then(|output| match expected {
                Some(expected) => compare(&output, &expected),
                None => Ok(()),
            });
            failed.extend(outcome.err().map(|error| format!("{}:{line}: {error:#}", document.display())));
        }
        for Mention { line, text } in mentions {
            let outcome = place.shell(&text, true);
            failed.extend(outcome.err().map(|error| format!("{}:{line}: {error:#}", document.display())));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    if count == 0 {
        bail!("no document shows a command");
    }
    Ok(())
}

/// The documents with commands for users, relative to the top folder.
fn documents() -> Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for folder in ["", "docs", "docs/derivations", "models"] {
        let path = workspace::root().join(folder);
        for entry in std::fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let name = PathBuf::from(entry?.file_name());
            if name.extension().is_some_and(|extension| extension == "md") {
                documents.push(Path::new(folder).join(name));
            }
        }
    }
    documents.sort();
    Ok(documents)
}

/// Where scripts run.
struct Place {
    /// The copy of the repository.
    folder: PathBuf,
    /// The stand-ins of programs that are found by their names.
    bin: PathBuf,
    programs: PathBuf,
}

impl Place {
    /// Builds the programs and makes the copy anew.
    fn make() -> Result<Self> {
        let program = build::program("cfconv-train", "cfconv", Profile::Dev)?;
        let programs = program.parent().context("programs lie in a folder")?.to_owned();
        let top = workspace::root().join("target/documents");
        if top.exists() {
            std::fs::remove_dir_all(&top).with_context(|| format!("removing {}", top.display()))?;
        }
        let (folder, bin) = (top.join("repository"), top.join("bin"));
        std::fs::create_dir_all(folder.join("target/release"))?;
        std::fs::create_dir_all(&bin)?;
        for name in LINKS {
            link(&workspace::root().join(name), &folder.join(name))?;
        }
        let xtask = programs.join("xtask");
        for name in stand_in::NAMES {
            let script = if name.contains('/') { folder.join(name) } else { bin.join(name) };
            write_script(&script, &format!("exec '{}' stand-in {name} -- \"$@\"", xtask.display()))?;
        }
        for images in FOLDERS {
            for (class, tint) in [("Cat", 40), ("Dog", 200)] {
                for number in 0..IMAGES_PER_CLASS {
                    let image = folder.join(images).join("PetImages").join(class);
                    std::fs::create_dir_all(&image)?;
                    write_image(&image.join(format!("{number}.png")), tint, number)?;
                }
            }
        }
        for image in IMAGES {
            write_image(&folder.join(image), 90, 7)?;
        }
        Ok(Self { folder, bin, programs })
    }

    /// Runs a script and returns what it prints.
    fn shell(&self, script: &str, only_check: bool) -> Result<String> {
        let mut command = Command::new("sh");
        command.args(["-e", "-u", "-c", script]).current_dir(&self.folder);
        // Behind its stand-in, the real one.
        command.env("CARGO", std::env::var_os("CARGO").context("start this by cargo: CARGO is not set")?);
        let mut folders = vec![self.bin.clone()];
        if only_check {
            command.env(stand_in::ONLY_CHECK, "1");
            // Sentences leave the folder out.
            folders.push(self.folder.join("target/release"));
        }
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        command.env("PATH", std::env::join_paths(folders)?).env(stand_in::PROGRAMS, &self.programs);
        let output = command.output().context("starting sh")?;
        if !output.status.success() {
            bail!("{}\n{script}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn write_script(path: &Path, line: &str) -> Result<()> {
    std::fs::write(path, format!("#!/bin/sh\n{line}\n")).with_context(|| path.display().to_string())?;
    succeed("making a stand-in executable", Command::new("chmod").arg("+x").arg(path))
}

/// A small picture that differs with `tint` and `number`.
fn write_image(path: &Path, tint: u32, number: u32) -> Result<()> {
    const SIDE: u32 = 24;
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut encoder = png::Encoder::new(file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    let pixels = (0..SIDE * SIDE).flat_map(|at| {
        let (row, column) = (at / SIDE, at % SIDE);
        [tint, row * number, column * (tint / 20 + number)].map(|value| (value % 256) as u8)
    });
    encoder.write_header()?.write_image_data(&pixels.collect::<Vec<_>>())?;
    Ok(())
}

/// Compares outputs in all but numbers and spaces; a line `…` stands for any lines.
fn compare(output: &str, expected: &str) -> Result<()> {
    let (got, wanted) = (lines_without_numbers(output), lines_without_numbers(expected));
    let mut rest = &got[..];
    let mut any = false;
    for line in &wanted {
        if line == "…" {
            any = true;
            continue;
        }
        let at = rest.iter().position(|got| got == line);
        match at {
            Some(at) if any || at == 0 => rest = &rest[at + 1..],
            _ => bail!("the document shows the line `{line}`, which is not in\n{output}"),
        }
        any = false;
    }
    if !any && !rest.is_empty() {
        bail!("the document does not show the line `{}` in\n{output}", rest[0]);
    }
    Ok(())
}

/// Lines with `#` for each number and one space for several.
fn lines_without_numbers(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().map(without_numbers).collect::<Vec<_>>().join(" ");
    text.trim().lines().map(words).collect()
}

fn without_numbers(word: &str) -> String {
    let mut masked = String::new();
    for (at, c) in word.char_indices() {
        let in_number = masked.ends_with('#')
            && ".,".contains(c)
            && word[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        if c.is_ascii_digit() || in_number {
            if !masked.ends_with('#') {
                masked.push('#');
            }
        } else {
            masked.push(c);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_may_differ_in_numbers_and_left_out_lines() {
        let output = "loss 0.25, 1,234 images\nmore\nCat   97.5 %\n";
        assert!(compare(output, "loss 1.5, 20 images\nmore\nCat 3 %").is_ok());
        assert!(compare(output, "loss 1.5, 20 images\n…\nCat 3 %").is_ok());
        assert!(compare(output, "…\nCat 3 %").is_ok());
        assert!(compare(output, "loss 1.5, 20 images").is_err(), "a line is missing at the end");
        assert!(compare(output, "loss 1.5, 20 images\nCat 3 %").is_err(), "a line is missing in between");
        assert!(compare(output, "loss 1.5, 20 images\nmore\nDog 3 %").is_err());
    }

    #[test]
    fn documents_are_found() {
        assert!(documents().unwrap().iter().any(|path| path == Path::new("docs/experiments.md")));
    }
}
