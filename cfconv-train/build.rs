//! Puts the text of the CUDA kernels together; with the feature `cuda-emulation` also compiles it for the host.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The kernels' files in the order in which they use each other. Behind them come those in the folders of operations.
const FILES: [&str; 13] = [
    "common.cuh",
    "tensor_cores.cuh",
    "elementwise.cu",
    "normalization.cu",
    "pooling.cu",
    "classification.cu",
    "convolution.cu",
    "attention.cu",
    "fourier.cu",
    "spectral_mix.cu",
    "lattice.cu",
    "complex.cu",
    "phi.cu",
];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(cuda_emulator)");
    let folder = Path::new("src/device/cuda/kernels");
    let mut source = String::new();
    for path in FILES.iter().map(|file| folder.join(file)).chain(kernels_of_operations()) {
        println!("cargo::rerun-if-changed={}", path.display());
        source +=
            &std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        source.push('\n');
    }
    let names = kernel_names(&source);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    write(&out.join("kernels.cu"), &source);
    let list = names.iter().fold(String::new(), |mut list, name| {
        writeln!(list, "    {name:?},").expect("strings can be written to");
        list
    });
    write(&out.join("kernel_names.rs"), &format!("&[\n{list}]\n"));
    #[cfg(feature = "cuda-emulation")]
    emulation::build(&out, &source, &names);
}

/// `src/nn/<operation>/<name>.cu`, in the order of their paths.
fn kernels_of_operations() -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed=src/nn");
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("a folder of the crate can be read").path()).collect()
    };
    let files = entries(Path::new("src/nn")).into_iter().flat_map(|folder| entries(&folder));
    let mut kernels: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "cu")).collect();
    kernels.sort();
    kernels
}

/// What follows `KERNEL` at the beginning of a line.
fn kernel_names(source: &str) -> Vec<&str> {
    let names = source.lines().filter_map(|line| line.strip_prefix("KERNEL "));
    names.filter_map(|rest| rest.split_once('(').map(|(name, _)| name)).collect()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[cfg(feature = "cuda-emulation")]
mod emulation {
    use super::{Path, write};

    /// Compiles kernels and emulator if there is a compiler for C++; without one the tests say so.
    pub(super) fn build(out: &Path, kernels: &str, names: &[&str]) {
        let folder = Path::new("src/device/cuda/emulation");
        let read = |file: &str| {
            let path = folder.join(file);
            println!("cargo::rerun-if-changed={}", path.display());
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let registry: String = names.iter().map(|name| format!(" ENTRY({name})")).collect();
        let text = format!(
            "{}\n{kernels}\n#define REGISTRY{registry}\n{}",
            read("cuda_emulation.h"),
            read("emulator.cpp")
        );
        let path = out.join("emulated_kernels.cpp");
        write(&path, &text);
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").opt_level(2).flag_if_supported("-ffp-contract=off").file(&path);
        match build.try_compile("cfconv_emulated_kernels") {
            Ok(()) => println!("cargo::rustc-cfg=cuda_emulator"),
            Err(error) => println!("cargo::warning=the CUDA kernels were not compiled for the host: {error}"),
        }
    }
}
