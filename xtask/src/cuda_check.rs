//! `cargo xtask cuda-check`: what can be checked of the CUDA device without a graphics card.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cuda_toolkit::{self, succeed};
use crate::workspace;

/// Architectures that the kernels must compile for: A100, H100.
const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90"];

/// The same for NVRTC, which compiles the kernels where the device is opened.
const VIRTUAL_ARCHITECTURES: [&str; 2] = ["compute_80", "compute_90"];

/// Compiles a file with NVRTC as the device does; fails with its messages. Needs no graphics card.
const NVRTC: &str = r#"
import ctypes, sys
library, source = ctypes.CDLL("libnvrtc.so.13"), open(sys.argv[1], "rb").read()
for architecture in sys.argv[2:]:
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source, None, 0, None, None) == 0
    option = (ctypes.c_char_p * 1)(f"--gpu-architecture={architecture}".encode())
    code = library.nvrtcCompileProgram(program, 1, option)
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    if code != 0 or log.value:
        sys.exit(f"{architecture}: {log.value.decode()}")
"#;

/// Where the kernels are: `cfconv-train/build.rs` lists those that several operations use, in order.
const KERNELS: &str = "cfconv-train/src/device/cuda/kernels";
const OPERATIONS: &str = "cfconv-train/src/nn";
const BUILD_SCRIPT: &str = "cfconv-train/build.rs";

/// Options of `cargo xtask cuda-check`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The toolkit's folder, as for `cargo xtask cuda-toolkit`.
    #[arg(long, value_name = "DIR")]
    toolkit: Option<PathBuf>,
    /// Only compile the kernels; leave out the tests that run them on the host.
    #[arg(long)]
    compile_only: bool,
}

/// Compiles all kernels with nvcc and NVRTC, then runs the tests of the device with its kernels compiled for the host.
///
/// # Errors
/// The toolkit cannot be assembled, a kernel does not compile, or a test fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let toolkit = cuda_toolkit::assemble(args.toolkit.as_deref())?;
    let folder = workspace::root().join("target/cuda-check");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let source = folder.join("kernels.cu");
    std::fs::write(&source, joined_kernels()?).with_context(|| format!("writing {}", source.display()))?;
    for architecture in ARCHITECTURES {
        let target = folder.join(format!("kernels.{architecture}.cubin"));
        let mut nvcc = Command::new(toolkit.nvcc());
        nvcc.args(["-std=c++17", "-Werror", "all-warnings", "-cubin", "-arch", architecture, "-o"]);
        succeed(&format!("nvcc for {architecture}"), nvcc.arg(&target).arg(&source))?;
        let bytes = std::fs::metadata(&target).with_context(|| target.display().to_string())?.len();
        eprintln!("{architecture}: all kernels compile, {bytes} bytes");
    }
    let mut nvrtc = Command::new(toolkit.python());
    nvrtc.env("LD_LIBRARY_PATH", toolkit.libraries()).args(["-c", NVRTC]).arg(&source);
    succeed("NVRTC", nvrtc.args(VIRTUAL_ARCHITECTURES))?;
    eprintln!("NVRTC: all kernels compile for {}", VIRTUAL_ARCHITECTURES.join(" and "));
    if args.compile_only {
        return Ok(());
    }
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--locked", "--package", "cfconv-train", "--features", "cuda-emulation"]);
    cargo.args(["--lib", "--test", "nn"]);
    let status = cargo.status().context("could not start cargo")?;
    if !status.success() {
        bail!("the tests of the emulated device failed");
    }
    Ok(())
}

/// The kernels in the order of the build script: its list, then the files in the folders of operations.
fn joined_kernels() -> Result<String> {
    let read = |path: &Path| {
        let path = workspace::root().join(path);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let script = read(Path::new(BUILD_SCRIPT))?;
    let files = listed_files(&script);
    if files.is_empty() {
        bail!("{BUILD_SCRIPT} lists no kernels");
    }
    let listed = files.into_iter().map(|file| Path::new(KERNELS).join(file));
    listed.chain(kernels_of_operations()?).map(|file| read(&file).map(|text| text + "\n")).collect()
}

/// `<operation>/<name>.cu` in the folder of operations, in the order of their paths.
fn kernels_of_operations() -> Result<Vec<PathBuf>> {
    let entries = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut kernels = Vec::new();
    for operation in entries(&workspace::root().join(OPERATIONS))?.into_iter().filter(|path| path.is_dir()) {
        kernels.extend(
            entries(&operation)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "cu")),
        );
    }
    kernels.sort();
    Ok(kernels)
}

/// Names of `.cu` and `.cuh` files that stand alone on a line, in quotation marks.
fn listed_files(script: &str) -> Vec<&str> {
    let quoted = script.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    quoted.filter(|name| name.ends_with(".cu") || name.ends_with(".cuh")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_in_the_build_script() {
        let script = std::fs::read_to_string(workspace::root().join(BUILD_SCRIPT)).unwrap();
        let mut listed = listed_files(&script);
        assert_eq!(listed[0], "common.cuh");
        let folder = std::fs::read_dir(workspace::root().join(KERNELS)).unwrap();
        let mut found: Vec<_> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        listed.sort_unstable();
        found.sort_unstable();
        assert_eq!(listed, found);
    }
}
