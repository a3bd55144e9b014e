//! The public interface of cfconv-fft against definitions, adjoints and values from NumPy and SciPy.

mod adjoints;
mod common;
mod convolution;
mod golden_values;
mod lanes;
mod padding;
mod spectra;
mod transforms;
