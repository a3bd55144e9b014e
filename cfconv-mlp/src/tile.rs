//! One MLP on one tile of places: forward, and backward right after it while everything is in cache.

use cfconv_fft::Real;
use cfconv_fft::simd::LANES;

use crate::GridPoint;
use crate::activation::activate;
use crate::config::{Activation, ComplexOutput};
use crate::layout::{LinearLayout, ParameterLayout};
use crate::linear::{
    LinearDims, PackedMatrix, linear, linear_vjp_bias, linear_vjp_input, linear_vjp_weight, scale_by,
};
use crate::schedule::TILE;

/// What every tile needs and no tile changes.
#[derive(Clone, Copy)]
pub(crate) struct TileMlp<'a, T> {
    pub(crate) layout: &'a ParameterLayout,
    pub(crate) activation: Activation,
    pub(crate) complex_output: ComplexOutput,
    /// The first input feature that depends on parameters (embeddings), if any does.
    pub(crate) first_channel_feature: Option<usize>,
    pub(crate) params: &'a [T],
}

/// Buffers of one thread, `[features][stride]` each; their size depends on the network, not on the positions.
pub(crate) struct TileScratch<T> {
    pub(crate) points: Vec<GridPoint>,
    /// Input features.
    pub(crate) inputs: Vec<T>,
    /// Activations of each hidden layer.
    hidden: Vec<Vec<T>>,
    /// Derivatives of each hidden layer, then gradients of its pre-activations; empty without gradients.
    derivative: Vec<Vec<T>>,
    /// Outputs of the last layer.
    raw: Vec<T>,
    /// Complex values: row 2b real, row 2b + 1 imaginary parts of value b. Backward takes their gradients in
    /// `grad_values`.
    pub(crate) values: Vec<T>,
    /// Gradients of `values`, same rows.
    pub(crate) grad_values: Vec<T>,
    /// cos and sin of the phases of a polar output, rows 2b and 2b + 1.
    phasor: Vec<T>,
    grad_hidden: Vec<T>,
    /// Gradients of the channel features.
    pub(crate) grad_channels: Vec<T>,
    /// The MLP whose weights are packed below.
    packed_mlp: Option<usize>,
    /// Weights of each layer.
    packed: Vec<PackedMatrix<T>>,
    /// Transposed weights of each layer; the first layer's only of the channel features, if those have
    /// gradients.
    transposed: Vec<PackedMatrix<T>>,
}

impl<T: Real> TileScratch<T> {
    pub(crate) fn new(layout: &ParameterLayout, with_gradients: bool) -> Self {
        let rows = |features: usize| vec![T::zero(); features * TILE];
        let hidden_rows = || -> Vec<Vec<T>> {
            layout.layers[..layout.layers.len() - 1].iter().map(|layer| rows(layer.out_features)).collect()
        };
        let outputs = layout.out_features();
        let widest = layout.layers[0].out_features;
        let for_gradients = |features: usize| if with_gradients { rows(features) } else { Vec::new() };
        Self {
            points: Vec::with_capacity(TILE),
            inputs: rows(layout.in_features()),
            hidden: hidden_rows(),
            derivative: if with_gradients { hidden_rows() } else { Vec::new() },
            raw: rows(outputs),
            values: rows(outputs),
            grad_values: for_gradients(outputs),
            phasor: rows(outputs),
            grad_hidden: for_gradients(widest),
            grad_channels: for_gradients(layout.in_features()),
            packed_mlp: None,
            packed: vec![PackedMatrix::default(); layout.layers.len()],
            transposed: vec![PackedMatrix::default(); if with_gradients { layout.layers.len() } else { 0 }],
        }
    }

    /// Distance between features for the current points.
    pub(crate) fn stride(&self) -> usize {
        self.points.len().next_multiple_of(LANES)
    }
}

impl<T: Real> TileMlp<'_, T> {
    fn dims(layer: &LinearLayout, scratch: &TileScratch<T>) -> LinearDims {
        LinearDims {
            in_features: layer.in_features,
            out_features: layer.out_features,
            len: scratch.points.len(),
            stride: scratch.stride(),
        }
    }

    /// Packs the weights of MLP `mlp`, unless they are those of the last tile.
    fn pack_weights(&self, mlp: usize, scratch: &mut TileScratch<T>) {
        if scratch.packed_mlp == Some(mlp) {
            return;
        }
        for (index, layer) in self.layout.layers.iter().enumerate() {
            let weight = &self.params[layer.weight_range(mlp)];
            let (outputs, inputs) = (layer.out_features, layer.in_features);
            scratch.packed[index].pack(weight, outputs, inputs);
            let first_input = if index == 0 { self.first_channel_feature } else { Some(0) };
            if let (Some(first), Some(transposed)) = (first_input, scratch.transposed.get_mut(index)) {
                transposed.pack_transposed(weight, outputs, inputs, first);
            }
        }
        scratch.packed_mlp = Some(mlp);
    }

    /// Evaluates MLP `mlp` on `scratch.inputs` into `scratch.values`. With `GRAD`, keeps what
    /// [`backward`](Self::backward) reads.
    pub(crate) fn forward<const GRAD: bool>(&self, mlp: usize, scratch: &mut TileScratch<T>) {
        self.pack_weights(mlp, scratch);
        let stride = scratch.stride();
        let (output, hidden_layers) = self.layout.layers.split_last().expect("there is an output layer");
        for (index, layer) in hidden_layers.iter().enumerate() {
            let (before, after) = scratch.hidden.split_at_mut(index);
            let input = before.last().unwrap_or(&scratch.inputs);
            let z = &mut after[0][..layer.out_features * stride];
            linear(stride, &scratch.packed[index], &self.params[layer.bias_range(mlp)], input, z);
            let derivative = match scratch.derivative.get_mut(index) {
                Some(derivative) if GRAD => &mut derivative[..layer.out_features * stride],
                _ => &mut [],
            };
            activate::<T, GRAD>(self.activation, z, derivative);
        }
        let input = scratch.hidden.last().expect("there is a hidden layer");
        let rows = output.out_features * stride;
        let target = match self.complex_output {
            ComplexOutput::Cartesian => &mut scratch.values,
            ComplexOutput::Polar => &mut scratch.raw,
        };
        let bias = &self.params[output.bias_range(mlp)];
        linear(stride, &scratch.packed[hidden_layers.len()], bias, input, &mut target[..rows]);
        if self.complex_output == ComplexOutput::Polar {
            polar(stride, &scratch.raw[..rows], &mut scratch.phasor[..rows], &mut scratch.values[..rows]);
        }
    }

    /// Adds to `grad_mlp` (the parameters of one MLP: each layer's weight, then its bias) the gradient for
    /// `scratch.grad_values`, which is overwritten. Fills `scratch.grad_channels` from input feature
    /// `first_channel_feature` on, if there is one. [`forward`](Self::forward) of the same tile came before.
    pub(crate) fn backward(&self, scratch: &mut TileScratch<T>, grad_mlp: &mut [T]) {
        let stride = scratch.stride();
        let (output, hidden_layers) = self.layout.layers.split_last().expect("there is an output layer");
        let rows = output.out_features * stride;
        let grad_values = &mut scratch.grad_values[..rows];
        if self.complex_output == ComplexOutput::Polar {
            polar_vjp(stride, &scratch.phasor[..rows], &scratch.values[..rows], grad_values);
        }
        let dims = Self::dims(output, scratch);
        let input = scratch.hidden.last().expect("there is a hidden layer");
        accumulate_layer(output, dims, input, &scratch.grad_values[..rows], grad_mlp);
        let transposed = &scratch.transposed[hidden_layers.len()];
        linear_vjp_input(stride, transposed, &scratch.grad_values[..rows], &mut scratch.grad_hidden);
        for (index, layer) in hidden_layers.iter().enumerate().rev() {
            let dims = Self::dims(layer, scratch);
            let rows = layer.out_features * stride;
            let grad_z = &mut scratch.derivative[index][..rows];
            scale_by(grad_z, &scratch.grad_hidden[..rows]);
            let input = if index == 0 { &scratch.inputs } else { &scratch.hidden[index - 1] };
            accumulate_layer(layer, dims, input, grad_z, grad_mlp);
            let transposed = &scratch.transposed[index];
            if index > 0 {
                linear_vjp_input(stride, transposed, grad_z, &mut scratch.grad_hidden);
            } else if self.first_channel_feature.is_some() {
                linear_vjp_input(stride, transposed, grad_z, &mut scratch.grad_channels);
            }
        }
    }
}

/// Adds the gradient of one layer's weight and bias at its place in `grad_mlp`.
fn accumulate_layer<T: Real>(
    layer: &LinearLayout,
    dims: LinearDims,
    input: &[T],
    grad_output: &[T],
    grad_mlp: &mut [T],
) {
    let grad_layer = &mut grad_mlp[layer.local..][..layer.weight_len() + layer.out_features];
    let (grad_weight, grad_bias) = grad_layer.split_at_mut(layer.weight_len());
    linear_vjp_weight(dims, input, grad_output, grad_weight);
    linear_vjp_bias(dims, grad_output, grad_bias);
}

/// Rows (r, θ) of `raw` to rows (r·cos θ, r·sin θ) of `values`; keeps (cos θ, sin θ) in `phasor`.
fn polar<T: Real>(stride: usize, raw: &[T], phasor: &mut [T], values: &mut [T]) {
    let rows = raw
        .chunks_exact(2 * stride)
        .zip(phasor.chunks_exact_mut(2 * stride))
        .zip(values.chunks_exact_mut(2 * stride));
    for ((raw, phasor), values) in rows {
        let (amplitude, phase) = raw.split_at(stride);
        let (cosine, sine) = phasor.split_at_mut(stride);
        sine.copy_from_slice(phase);
        activate::<T, true>(Activation::Sine, sine, cosine);
        let (re, im) = values.split_at_mut(stride);
        for lane in 0..stride {
            re[lane] = amplitude[lane] * cosine[lane];
            im[lane] = amplitude[lane] * sine[lane];
        }
    }
}

/// Gradients of (re, im) to gradients of (r, θ), in place:
/// `dr = cos θ·dre + sin θ·dim`, `dθ = re·dim − im·dre`.
fn polar_vjp<T: Real>(stride: usize, phasor: &[T], values: &[T], grad: &mut [T]) {
    let rows = phasor
        .chunks_exact(2 * stride)
        .zip(values.chunks_exact(2 * stride))
        .zip(grad.chunks_exact_mut(2 * stride));
    for ((phasor, values), grad) in rows {
        let (cosine, sine) = phasor.split_at(stride);
        let (re, im) = values.split_at(stride);
        let (first, second) = grad.split_at_mut(stride);
        for lane in 0..stride {
            let (grad_re, grad_im) = (first[lane], second[lane]);
            first[lane] = cosine[lane] * grad_re + sine[lane] * grad_im;
            second[lane] = re[lane] * grad_im - im[lane] * grad_re;
        }
    }
}
