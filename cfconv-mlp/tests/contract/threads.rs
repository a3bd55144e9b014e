//! Results have the same bits on any number of threads.

use cfconv_mlp::{ChannelEncoding, KernelGrid, KernelMlpConfig, Parameterization, Positions};
use num_complex::Complex;

use crate::common::{kernel, random_positions, random_values, unwritten};

/// Bits of the values and of the gradient, computed on `num_threads` threads.
fn bits(
    config: &KernelMlpConfig,
    grid: KernelGrid,
    list: &[u32],
    num_threads: usize,
) -> (Vec<u32>, Vec<u32>) {
    let (phi, params) = kernel::<f32>(config, grid, 3);
    let grad_output: Vec<Complex<f32>> = random_values(list.len(), 4);
    let mut values = unwritten(list.len());
    let mut grad = vec![0.0; params.len()];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(num_threads).build().unwrap();
    pool.install(|| {
        phi.evaluate(&params, Positions::List(list), &mut values).unwrap();
        phi.evaluate_vjp(&params, Positions::List(list), &grad_output, &mut grad).unwrap();
    });
    let value_bits = values.iter().flat_map(|value| [value.re.to_bits(), value.im.to_bits()]).collect();
    (value_bits, grad.iter().map(|value: &f32| value.to_bits()).collect())
}

#[test]
fn one_two_and_three_threads_give_the_same_bits() {
    let grid = KernelGrid { height: 24, width: 20, in_channels: 12, out_channels: 8 };
    let list = random_positions(grid, 0.7, 1);
    for parameterization in Parameterization::ALL {
        for channel_encoding in [ChannelEncoding::Coordinate, ChannelEncoding::Embedding] {
            let hidden_width = if parameterization == Parameterization::HwCinCout { 32 } else { 8 };
            let config =
                KernelMlpConfig { parameterization, channel_encoding, hidden_width, ..Default::default() };
            if config.validate().is_err() {
                continue;
            }
            let one = bits(&config, grid, &list, 1);
            for num_threads in [2, 3] {
                assert!(one == bits(&config, grid, &list, num_threads), "{num_threads} threads, {config:?}");
            }
        }
    }
}
