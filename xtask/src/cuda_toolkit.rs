//! `cargo xtask cuda-toolkit`: what building with the feature `cuda` needs, without root, driver or graphics card.
//!
//! NVIDIA's wheels go into a Python environment. A folder beside it has the layout that `CUDA_ROOT` asks for: links to
//! the headers and libraries of the wheels, and a stand-in for the driver's library that is good for linking only. A
//! stand-in for `nvidia-smi` tells build scripts an architecture. With an installed toolkit and driver you need none
//! of this.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{command, files, workspace};

/// Exactly this version: drivers of the 580 series accept no newer PTX.
const VERSION: &str = "13.0";
const WHEELS: [&str; 7] = [
    "nvidia-cuda-nvcc",
    "nvidia-cuda-crt",
    "nvidia-cuda-runtime",
    "nvidia-cuda-cccl",
    "nvidia-cuda-nvrtc",
    "nvidia-nvvm",
    "nvidia-cublas",
];

/// The architecture that build scripts are told.
const COMPUTE_CAPABILITY: &str = "9.0";

/// Options of `cargo xtask cuda-toolkit`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the toolkit. Default: target/cuda-toolkit in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A toolkit.
#[derive(Clone, Debug)]
pub(crate) struct Toolkit {
    folder: PathBuf,
    /// `bin`, `include` and `lib` of the wheels.
    wheels: PathBuf,
}

impl Toolkit {
    /// The compiler.
    pub(crate) fn nvcc(&self) -> PathBuf {
        self.wheels.join("bin/nvcc")
    }

    /// The folder of the libraries, for programs that open them.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.wheels.join("lib")
    }

    /// The Python that the wheels belong to.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("python/bin/python")
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Lines for a shell.
    fn environment(&self) -> String {
        format!(
            "export CUDA_ROOT='{}'\nexport PATH='{}:{}':\"$PATH\"\nexport LD_LIBRARY_PATH='{}'\"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n",
            self.root().display(),
            self.wheels.join("bin").display(),
            self.folder.join("bin").display(),
            self.libraries().display(),
        )
    }
}

/// Assembles the toolkit and prints the shell lines that make cargo find it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let toolkit = assemble(args.out.as_deref())?;
    print!("{}", toolkit.environment());
    eprintln!("run the lines above in your shell, then: cargo build --release --features cuda");
    Ok(())
}

/// The toolkit in `folder`, which is assembled if it is not there.
pub(crate) fn assemble(folder: Option<&Path>) -> Result<Toolkit> {
    let is_linux = cfg!(target_os = "linux");
    ensure!(is_linux, "the toolkit is assembled on Linux only; elsewhere install CUDA {VERSION}");
    let folder = files::results_folder(folder, "target/cuda-toolkit")?;
    let environment = folder.join("python");
    let wheels = match installed(&environment) {
        Some(wheels) => wheels,
        None => install(&environment)?,
    };
    let toolkit = Toolkit { folder, wheels };
    link_root(&toolkit)?;
    driver_stand_in(&toolkit)?;
    nvidia_smi_stand_in(&toolkit)?;
    Ok(toolkit)
}

/// The folder of the wheels in an environment; `None` if one is missing.
fn installed(environment: &Path) -> Option<PathBuf> {
    let libraries = std::fs::read_dir(environment.join("lib")).ok()?;
    let found = libraries.flatten().map(|entry| entry.path().join("site-packages/nvidia/cu13"));
    found.into_iter().find(|wheels| {
        ["bin/nvcc", "bin/ptxas", "include/cuda.h", "include/nvrtc.h", "include/cublas_v2.h", "nvvm/bin/cicc"]
            .iter()
            .all(|file| wheels.join(file).exists())
    })
}

fn install(environment: &Path) -> Result<PathBuf> {
    eprintln!(
        "making {} and installing NVIDIA's wheels {VERSION} (about 1.5 GB, once)",
        environment.display()
    );
    if environment.exists() {
        std::fs::remove_dir_all(environment)
            .with_context(|| format!("removing {}", environment.display()))?;
    }
    succeed("making a virtual environment", Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    let wheels = WHEELS.map(|wheel| format!("{wheel}=={VERSION}.*"));
    let python = environment.join("bin/python");
    succeed("pip install", Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(wheels))?;
    installed(environment).context("the installed wheels lack files")
}

/// Links `include` and `lib64` to the wheels; libraries also get the names that linkers look for.
fn link_root(toolkit: &Toolkit) -> Result<()> {
    let libraries = toolkit.root().join("lib64");
    std::fs::create_dir_all(&libraries).with_context(|| format!("creating {}", libraries.display()))?;
    link(&toolkit.wheels.join("include"), &toolkit.root().join("include"))?;
    let lib = toolkit.wheels.join("lib");
    for entry in std::fs::read_dir(&lib).with_context(|| format!("reading {}", lib.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(plain) = unversioned(&name) {
            link(&entry.path(), &libraries.join(&plain))?;
            link(&entry.path(), &libraries.join(&name))?;
        }
    }
    Ok(())
}

/// `libx.so` for `libx.so.13`.
fn unversioned(library: &str) -> Option<String> {
    let (stem, version) = library.split_once(".so")?;
    version.starts_with('.').then(|| format!("{stem}.so"))
}

/// Makes a symbolic link, in place of one that is there.
///
/// # Errors
/// It cannot be made.
#[cfg(unix)]
pub(crate) fn link(target: &Path, link: &Path) -> Result<()> {
    if std::fs::read_link(link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(link).with_context(|| format!("removing {}", link.display()))?;
    }
    std::os::unix::fs::symlink(target, link).with_context(|| format!("creating {}", link.display()))
}

#[cfg(not(unix))]
pub(crate) fn link(_target: &Path, _link: &Path) -> Result<()> {
    anyhow::bail!("links are made on Unix only")
}

/// Makes a `libcuda.so` in which the functions that cudarc declares are empty. A program that was linked with it needs
/// the real `libcuda.so.1` to start.
fn driver_stand_in(toolkit: &Toolkit) -> Result<()> {
    let library = toolkit.root().join("lib64/libcuda.so");
    if library.exists() {
        return Ok(());
    }
    let source = toolkit.folder.join("libcuda.c");
    let declarations = declarations()?;
    let functions = driver_functions(&declarations);
    ensure!(!functions.is_empty(), "cudarc declares no functions of the driver");
    let text: String = functions.iter().map(|name| format!("void {name}(void) {{}}\n")).collect();
    files::replace(&source, &text)?;
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]).arg(&library).arg(&source);
    succeed("compiling the stand-in for libcuda", &mut command)
}

/// The source of cudarc that lists the driver's functions.
fn declarations() -> Result<String> {
    let metadata =
        command::stdout(workspace::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("reading cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let cudarc = packages
        .iter()
        .find(|package| {
            package["name"] == "cudarc" && package["version"].as_str().is_some_and(|v| v.starts_with("0.9."))
        })
        .context("the workspace does not use cudarc 0.9")?;
    let manifest = Path::new(cudarc["manifest_path"].as_str().context("cudarc has no manifest")?);
    files::read(&manifest.with_file_name("src").join("driver/sys.rs"))
}

/// The names after `pub fn` that begin with `cu`, each once.
fn driver_functions(source: &str) -> Vec<&str> {
    let mut names: Vec<_> = source
        .split("pub fn ")
        .skip(1)
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("cu") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Makes an `nvidia-smi` that answers the question of build scripts.
fn nvidia_smi_stand_in(toolkit: &Toolkit) -> Result<()> {
    let path = toolkit.folder.join("bin/nvidia-smi");
    files::replace(&path, &format!("#!/bin/sh\necho compute_cap\necho {COMPUTE_CAPABILITY}\n"))?;
    succeed("making nvidia-smi executable", Command::new("chmod").arg("755").arg(&path))
}

/// Runs a command that does `what`.
pub(crate) fn succeed(what: &str, command: &mut Command) -> Result<()> {
    command::stdout(command).map(drop).with_context(|| format!("{what} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_lose_their_version() {
        assert_eq!(unversioned("libcublas.so.13").as_deref(), Some("libcublas.so"));
        assert_eq!(unversioned("libnvrtc-builtins.so.13.0").as_deref(), Some("libnvrtc-builtins.so"));
        assert_eq!(unversioned("libcudart.so"), None);
        assert_eq!(unversioned("libcudart_static.a"), None);
    }

    #[test]
    fn functions_of_the_driver_are_found_once() {
        let source = "extern \"C\" { pub fn cuInit(Flags: c_uint) -> CUresult; pub fn cuInit(a: u8);\n\
            pub fn cuMemAlloc_v2(\n dptr: u8); } pub fn result(self) {}";
        assert_eq!(driver_functions(source), ["cuInit", "cuMemAlloc_v2"]);
    }
}
