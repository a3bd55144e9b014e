//! Learned kernels as pictures: in space and over frequencies.

use cfconv_fft::{Complex, FftNorm, irfft2, rfft2};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::error::Result;
use super::network::Network;
use crate::device::Device;

/// Some kernels of one CF-Conv layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerKernels {
    /// The layer's place in the configuration.
    pub layer: String,
    /// Rows of the torus that the kernels live on.
    pub height: usize,
    /// Its columns.
    pub width: usize,
    /// The kernels.
    pub pairs: Vec<PairKernel>,
}

/// The kernel from one input to one output channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairKernel {
    /// The input channel.
    pub in_channel: usize,
    /// The output channel.
    pub out_channel: usize,
    /// Its taps, `[height, width]`; the tap of offset zero is at `[height/2, width/2]`.
    pub spatial: Vec<f32>,
    /// The absolute values of its spectrum, `[height, width]`; frequency zero is at `[height/2, width/2]`.
    pub magnitude: Vec<f32>,
}

impl<D: Device> Network<D> {
    /// The kernels of the current evaluation of up to `count` channel pairs of each CF-Conv layer, evenly spread over
    /// the pairs.
    ///
    /// # Errors
    /// If no evaluation has begun.
    ///
    /// # Examples
    /// ```
    /// use cfconv_train::device::Cpu;
    /// use cfconv_train::networks::{InputShape, Network, NetworkConfig};
    /// use cfconv_train::nn::KernelSource;
    ///
    /// let config: NetworkConfig = toml::from_str(
    ///     "layers = [{ type = 'cf-conv', out_channels = 2 }, { type = 'global-avg-pool' }]",
    /// )?;
    /// let input = InputShape { channels: 1, height: 8, width: 8 };
    /// let mut network = Network::try_new(Cpu::default(), &config, input, 2, 1)?;
    /// network.initialize(0)?;
    /// network.begin_evaluation(KernelSource::Configured)?;
    /// let kernels = network.kernels(1)?;
    /// assert_eq!((kernels[0].layer.as_str(), kernels[0].pairs[0].spatial.len()), ("layers.0", 64));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kernels(&self, count: usize) -> Result<Vec<LayerKernels>> {
        let mut all = Vec::new();
        for layer in &self.layers {
            let Some(cf_conv) = layer.cf_conv() else { continue };
            let function =
                cf_conv.transfer_function().map_err(|source| Self::layer_error(&layer.plan, source))?;
            let grid = function.grid;
            let pairs = grid.num_channel_pairs();
            // The grid of a depthwise layer has one axis of channels, for both.
            let depthwise = layer.plan.kernel.is_some_and(|kernel| kernel.depthwise);
            let count = count.min(pairs);
            let pair = |number: usize| {
                let pair = number * pairs / count;
                let spectrum: Array2<Complex<f32>> =
                    Array2::from_shape_fn((grid.height, grid.half_width()), |(p, q)| {
                        function.values[(p * grid.half_width() + q) * pairs + pair]
                    });
                let (in_channel, out_channel) = if depthwise {
                    (pair, pair)
                } else {
                    (pair / grid.out_channels, pair % grid.out_channels)
                };
                picture(spectrum.view(), grid.width, in_channel, out_channel)
            };
            all.push(LayerKernels {
                layer: layer.plan.name.clone(),
                height: grid.height,
                width: grid.width,
                pairs: (0..count).map(pair).collect(),
            });
        }
        Ok(all)
    }
}

/// Both pictures of a half spectrum.
fn picture(
    spectrum: ArrayView2<'_, Complex<f32>>,
    width: usize,
    in_channel: usize,
    out_channel: usize,
) -> PairKernel {
    let fits = "the spectrum has the columns of this width";
    let taps = irfft2(spectrum, width, FftNorm::Backward).expect(fits);
    // Transformed back it has lost the part that has no effect on real images.
    let effective = rfft2(taps.view(), FftNorm::Backward).expect(fits);
    let height = taps.nrows();
    let magnitude = Array2::from_shape_fn((height, width), |(p, q)| {
        let value = if q < effective.ncols() {
            effective[[p, q]]
        } else {
            effective[[(height - p) % height, width - q]]
        };
        value.norm()
    });
    PairKernel { in_channel, out_channel, spatial: centred(&taps), magnitude: centred(&magnitude) }
}

/// Moves the origin to the middle.
fn centred(plane: &Array2<f32>) -> Vec<f32> {
    let (height, width) = plane.dim();
    let place = |at: usize, extent: usize| (at + extent - extent / 2) % extent;
    Array2::from_shape_fn((height, width), |(h, w)| plane[[place(h, height), place(w, width)]])
        .into_raw_vec_and_offset()
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_one_tap_beside_the_middle_and_flat_over_frequencies() {
        for (height, width) in [(4, 6), (5, 3), (1, 7)] {
            let mut taps = Array2::<f32>::zeros((height, width));
            taps[[0, 1]] = 2.0;
            let spectrum = rfft2(taps.view(), FftNorm::Backward).unwrap();
            let kernel = picture(spectrum.view(), width, 3, 4);
            let middle = (height / 2) * width + width / 2;
            for (at, tap) in kernel.spatial.iter().enumerate() {
                let expected = if at == middle + 1 { 2.0 } else { 0.0 };
                assert!((tap - expected).abs() < 1e-5, "{height}×{width}, {at}: {tap}");
            }
            assert!(kernel.magnitude.iter().all(|m| (m - 2.0).abs() < 1e-5), "{:?}", kernel.magnitude);
        }
    }

    #[test]
    fn spectra_are_symmetric_about_the_middle() {
        let (height, width) = (5, 7);
        let spectrum = Array2::from_shape_fn((height, width / 2 + 1), |(p, q)| {
            Complex::new((p * 3 + q) as f32, (p + 5 * q) as f32 - 2.0)
        });
        let magnitude = picture(spectrum.view(), width, 0, 0).magnitude;
        let mirrored: Vec<_> = magnitude.iter().rev().copied().collect();
        for (a, b) in magnitude.iter().zip(&mirrored) {
            assert!((a - b).abs() < 1e-4 * a.max(1.0), "{a} {b}");
        }
        assert!((magnitude[(height / 2) * width + width / 2 + 2] - spectrum[[0, 2]].norm()).abs() < 1e-4);
    }
}
