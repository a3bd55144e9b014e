//! Learned kernels as pictures: in space and over frequencies.

use cfconv_core::engine::TransferFunction;
use cfconv_fft::{Complex, FftNorm, irfft2, rfft2};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::error::Result;
use super::layers::PlannedTaps;
use super::network::Network;
use super::plan::PlannedLayer;
use crate::device::{Device, Span};

/// Some kernels of one layer that convolves.
///
/// All are kernels k of true convolutions, y\[h\] = Σ k\[s\]·x\[h − s\], so that those of all kinds compare. The
/// weights of `conv` and `depthwise-conv`, which multiply x\[h + s\], are therefore turned by half a turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerKernels {
    /// The layer's place in the configuration.
    pub layer: String,
    /// Its type in the configuration.
    pub kind: &'static str,
    /// Rows and columns in space: of the torus on which the kernels of a CF-Conv layer live, or of stored taps.
    pub taps: [usize; 2],
    /// Rows and columns of frequencies: those of the torus, or of the image that a layer with stored taps sees (of its
    /// taps if they are more).
    pub frequencies: [usize; 2],
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
    /// Its taps, rows and columns as [`LayerKernels::taps`] says; the tap of offset zero is at `[rows/2, columns/2]`.
    pub spatial: Vec<f32>,
    /// The absolute values of its spectrum, rows and columns as [`LayerKernels::frequencies`] says; frequency zero is
    /// at `[rows/2, columns/2]`.
    pub magnitude: Vec<f32>,
}

impl<D: Device> Network<D> {
    /// The kernels of up to `count` channel pairs of each layer that convolves, evenly spread over the pairs. CF-Conv
    /// layers give those of the current evaluation.
    ///
    /// # Errors
    /// If there is a CF-Conv layer and no evaluation has begun.
    ///
    /// # Examples
    /// ```
    /// use cfconv_train::device::Cpu;
    /// use cfconv_train::networks::{InputShape, Network, NetworkConfig};
    /// use cfconv_train::nn::KernelSource;
    ///
    /// let config: NetworkConfig = toml::from_str(
    ///     "layers = [
    ///          { type = 'cf-conv', out_channels = 2 },
    ///          { type = 'conv', out_channels = 2 },
    ///          { type = 'global-avg-pool' },
    ///      ]",
    /// )?;
    /// let input = InputShape { channels: 1, height: 8, width: 8 };
    /// let mut network = Network::try_new(Cpu::default(), &config, input, 2, 1)?;
    /// network.initialize(0)?;
    /// network.begin_evaluation(KernelSource::Configured)?;
    /// let kernels = network.kernels(1)?;
    /// assert_eq!((kernels[0].kind, kernels[0].taps, kernels[0].frequencies), ("cf-conv", [8, 8], [8, 8]));
    /// assert_eq!((kernels[1].kind, kernels[1].taps, kernels[1].frequencies), ("conv", [3, 3], [8, 8]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kernels(&self, count: usize) -> Result<Vec<LayerKernels>> {
        let mut all = Vec::new();
        for layer in &self.layers {
            let kernels = match (layer.cf_conv(), layer.plan.taps) {
                (Some(cf_conv), _) => {
                    let function = cf_conv.transfer_function();
                    let function = function.map_err(|source| Self::layer_error(&layer.plan, source))?;
                    cf_conv_kernels(&layer.plan, &function, count)
                }
                (None, Some(taps)) => {
                    let params = self.device.to_host(Span::new(&self.params, layer.plan.params.clone()))?;
                    stored_kernels(&layer.plan, taps, &params, count)
                }
                (None, None) => continue,
            };
            all.push(kernels);
        }
        Ok(all)
    }
}

/// Up to `count` numbers below `pairs`, evenly spread.
fn spread(count: usize, pairs: usize) -> impl Iterator<Item = usize> {
    let count = count.min(pairs);
    (0..count).map(move |number| number * pairs / count)
}

/// Input and output channel of a pair; a depthwise layer has one axis of channels, for both.
fn channels(pair: usize, out_channels: usize, depthwise: bool) -> (usize, usize) {
    if depthwise { (pair, pair) } else { (pair / out_channels, pair % out_channels) }
}

fn cf_conv_kernels(plan: &PlannedLayer, function: &TransferFunction<f32>, count: usize) -> LayerKernels {
    let grid = function.grid;
    let pairs = grid.num_channel_pairs();
    let depthwise = plan.kernel.is_some_and(|kernel| kernel.depthwise);
    let one = |pair: usize| {
        let spectrum: Array2<Complex<f32>> =
            Array2::from_shape_fn((grid.height, grid.half_width()), |(p, q)| {
                function.values[(p * grid.half_width() + q) * pairs + pair]
            });
        let (in_channel, out_channel) = channels(pair, grid.out_channels, depthwise);
        picture(spectrum.view(), grid.width, in_channel, out_channel)
    };
    LayerKernels {
        layer: plan.name.clone(),
        kind: plan.kind,
        taps: [grid.height, grid.width],
        frequencies: [grid.height, grid.width],
        pairs: spread(count, pairs).map(one).collect(),
    }
}

/// Kernels whose taps begin the layer's parameters.
fn stored_kernels(plan: &PlannedLayer, taps: PlannedTaps, params: &[f32], count: usize) -> LayerKernels {
    let PlannedTaps { in_channels, out_channels, kernel_size: size, height, width, depthwise } = taps;
    let frequencies = [height.max(size), width.max(size)];
    let pairs = if depthwise { in_channels } else { in_channels * out_channels };
    let one = |pair: usize| {
        let (in_channel, out_channel) = channels(pair, out_channels, depthwise);
        let place = if depthwise { pair } else { out_channel * in_channels + in_channel };
        let weights = &params[place * size * size..][..size * size];
        // Half a turn reverses rows and columns: all taps.
        let spatial: Vec<f32> = weights.iter().rev().copied().collect();
        let mut plane = Array2::zeros(frequencies);
        for (at, &tap) in spatial.iter().enumerate() {
            let offset = |place: usize, extent: usize| (place + extent - size / 2) % extent;
            plane[[offset(at / size, frequencies[0]), offset(at % size, frequencies[1])]] = tap;
        }
        PairKernel { in_channel, out_channel, spatial, magnitude: magnitude(&plane) }
    };
    LayerKernels {
        layer: plan.name.clone(),
        kind: plan.kind,
        taps: [size, size],
        frequencies,
        pairs: spread(count, pairs).map(one).collect(),
    }
}

/// Both pictures of a half spectrum.
fn picture(
    spectrum: ArrayView2<'_, Complex<f32>>,
    width: usize,
    in_channel: usize,
    out_channel: usize,
) -> PairKernel {
    let taps =
        irfft2(spectrum, width, FftNorm::Backward).expect("the spectrum has the columns of this width");
    // Transformed back it has lost the part that has no effect on real images.
    PairKernel { in_channel, out_channel, spatial: centred(&taps), magnitude: magnitude(&taps) }
}

/// The absolute values of the spectrum of taps whose origin is the first one; zero frequency in the middle.
fn magnitude(taps: &Array2<f32>) -> Vec<f32> {
    let (height, width) = taps.dim();
    let spectrum = rfft2(taps.view(), FftNorm::Backward).expect("there are taps");
    let magnitude = Array2::from_shape_fn((height, width), |(p, q)| {
        let value = if q < spectrum.ncols() {
            spectrum[[p, q]]
        } else {
            spectrum[[(height - p) % height, width - q]]
        };
        value.norm()
    });
    centred(&magnitude)
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
    use crate::device::Cpu;
    use crate::networks::{InputShape, NetworkConfig};
    use crate::nn::KernelSource;

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

    /// A network of one convolution, its kernels, and its answer to a single bright pixel of channel `bright`.
    fn convolve(layer: &str, input: InputShape, bright: usize) -> (LayerKernels, Vec<f32>) {
        let text = format!("layers = [{layer}, {{ type = 'flatten' }}]");
        let config: NetworkConfig = toml::from_str(&text).unwrap();
        let outputs = input.height * input.width * 2;
        let mut network = Network::try_new(Cpu::default(), &config, input, outputs, 1).unwrap();
        network.initialize(3).unwrap();
        network.begin_evaluation(KernelSource::Configured).unwrap();
        let plane = input.height * input.width;
        let mut image = vec![0.0; input.channels * plane];
        image[bright * plane + (input.height / 2) * input.width + input.width / 2] = 1.0;
        network.forward(1, &image).unwrap();
        let output = network.logits().unwrap().to_vec();
        (network.kernels(6).unwrap().remove(0), output)
    }

    /// Stored taps are what a layer makes of one bright pixel, as the kernels of CF-Conv layers are.
    #[test]
    fn stored_taps_are_the_answer_to_one_bright_pixel() {
        let input = InputShape { channels: 2, height: 5, width: 7 };
        for kind in [
            "{ type = 'conv', out_channels = 2, bias = false }",
            "{ type = 'depthwise-conv', bias = false }",
            "{ type = 'conv', kernel_size = 5, out_channels = 2 }",
        ] {
            for bright in 0..2 {
                let (kernels, output) = convolve(kind, input, bright);
                let [size, _] = kernels.taps;
                assert_eq!(kernels.frequencies, [5, 7]);
                let from_bright = kernels.pairs.iter().filter(|pair| pair.in_channel == bright);
                let mut found = 0;
                for pair in from_bright {
                    found += 1;
                    for (at, &tap) in pair.spatial.iter().enumerate() {
                        let (row, column) = (at / size + 2 - size / 2, at % size + 3 - size / 2);
                        assert_eq!(output[pair.out_channel * 35 + row * 7 + column], tap, "{kind}, {at}");
                    }
                    let energy = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
                    let (space, frequencies) = (energy(&pair.spatial), energy(&pair.magnitude) / 35.0);
                    assert!((frequencies - space).abs() < 1e-4 * space, "{kind}: {space} {frequencies}");
                    let sum: f32 = pair.spatial.iter().sum();
                    let zero = pair.magnitude[2 * 7 + 3];
                    assert!(
                        (zero - sum.abs()).abs() < 1e-4,
                        "{kind}: {zero} at zero frequency, taps sum to {sum}"
                    );
                }
                assert!(found > 0, "{kind}");
            }
        }
    }

    #[test]
    fn taps_that_are_more_than_the_image_have_frequencies_of_their_own() {
        let input = InputShape { channels: 1, height: 1, width: 4 };
        let (kernels, _) = convolve("{ type = 'conv', out_channels = 2 }", input, 0);
        assert_eq!((kernels.taps, kernels.frequencies), ([3, 3], [3, 4]));
    }
}
