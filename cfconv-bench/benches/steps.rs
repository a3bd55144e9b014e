//! Benches of single steps, with the code that the program `cfconv-bench` measures: `cargo bench -p cfconv-bench`.
//!
//! Sizes are small, so that all of them take seconds and a test run, which does each once, no time; the program
//! measures any size.

use cfconv_bench::ShapeArgs;
use cfconv_bench::conv3x3::ConvStep;
use cfconv_bench::fft::FftStep;
use cfconv_bench::layer::{KernelArgs, KernelNetworkStep, LayerStep};
use divan::{Bencher, counter::ItemsCount};

fn main() {
    divan::main();
}

fn shape(batch: usize, channels: usize, size: usize) -> ShapeArgs {
    ShapeArgs { batch, in_channels: channels, out_channels: channels, height: size, width: size }
}

/// A power of two, two mixed sizes, a prime.
#[divan::bench(args = [64, 60, 96, 31])]
fn rfft2_and_irfft2(bencher: Bencher, size: usize) {
    let mut step = FftStep::new(shape(8, 4, size)).expect("the size is valid");
    bencher.counter(ItemsCount::new(32_usize)).bench_local(|| step.run().expect("shapes fit"));
}

#[divan::bench(args = [1 << 10, 1 << 13])]
fn kernel_network(bencher: Bencher, positions: usize) {
    let mut step =
        LayerStep::new(shape(1, 8, 32), &KernelArgs::sampled(positions)).expect("the layer is valid");
    step.run(0).expect("shapes fit");
    let mut network = KernelNetworkStep::new(&step);
    bencher.counter(ItemsCount::new(positions)).bench_local(|| network.run().expect("shapes fit"));
}

#[divan::bench(args = [1 << 10, 1 << 13])]
fn layer_sampled(bencher: Bencher, positions: usize) {
    bench_layer(bencher, &KernelArgs::sampled(positions));
}

#[divan::bench(args = [3, 5])]
fn layer_lattice(bencher: Bencher, size: usize) {
    bench_layer(bencher, &KernelArgs::lattice(size));
}

fn bench_layer(bencher: Bencher, kernel: &KernelArgs) {
    let mut step = LayerStep::new(shape(8, 8, 32), kernel).expect("the layer is valid");
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        step.run(number).expect("shapes fit")
    });
}

#[divan::bench(args = [3, 5])]
fn convolution(bencher: Bencher, kernel_size: usize) {
    let mut step = ConvStep::new(shape(8, 8, 32), kernel_size, false).expect("the size is odd");
    bencher.bench_local(|| step.run());
}
