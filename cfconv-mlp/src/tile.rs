//! One MLP on one tile of places: forward, and backward right after it while everything is in cache.

use cfconv_fft::Real;
use cfconv_fft::simd::{LANES, LaneVec};

use crate::GridPoint;
use crate::activation::activate;
use crate::angle_addition::AngleAddition;
use crate::config::{Activation, ComplexOutput};
use crate::coords::InputEncoder;
use crate::layout::ParameterLayout;
use crate::linear::{GradLinear, PackedMatrix, Rows, linear, linear_vjp_input, row_stride};
use crate::schedule::TILE;

/// What every tile needs and no tile changes.
#[derive(Clone, Copy)]
pub(crate) struct TileMlp<'a, T> {
    pub(crate) layout: &'a ParameterLayout,
    pub(crate) activation: Activation,
    pub(crate) complex_output: ComplexOutput,
    pub(crate) encoder: &'a InputEncoder<T>,
    pub(crate) params: &'a [T],
}

/// Rows of features, one for each position of a tile.
pub(crate) struct TileRows<T> {
    lanes: LaneVec<T>,
    features: usize,
    stride: usize,
}

impl<T: Real> TileRows<T> {
    fn new(features: usize) -> Self {
        let stride = row_stride(features);
        Self { lanes: LaneVec::zeros(TILE * stride / LANES), features, stride }
    }

    /// Rows that are never asked for.
    fn none() -> Self {
        Self { lanes: LaneVec::zeros(0), features: 0, stride: LANES }
    }

    fn view(&self) -> Rows<'_, T> {
        Rows { values: self.values(), stride: self.stride }
    }

    fn values(&self) -> &[T] {
        self.lanes.as_flattened()
    }

    fn values_mut(&mut self) -> &mut [T] {
        self.lanes.as_flattened_mut()
    }

    /// The features of one position.
    pub(crate) fn row(&self, position: usize) -> &[T] {
        &self.values()[position * self.stride..][..self.features]
    }

    /// The features of one position.
    pub(crate) fn row_mut(&mut self, position: usize) -> &mut [T] {
        let Self { features, stride, .. } = *self;
        &mut self.values_mut()[position * stride..][..features]
    }
}

/// Buffers of one thread; their size depends on the network, not on the positions.
pub(crate) struct TileScratch<T> {
    pub(crate) points: Vec<GridPoint>,
    /// Input features.
    inputs: TileRows<T>,
    /// The first layer, where angle addition gives it.
    first_layer: Option<AngleAddition<T>>,
    /// Activations of each hidden layer.
    hidden: Vec<TileRows<T>>,
    /// Derivatives of each hidden layer, then gradients of its pre-activations; empty without gradients.
    derivative: Vec<TileRows<T>>,
    /// Outputs of the last layer, of a polar output.
    raw: TileRows<T>,
    /// Complex values, as pairs of real and imaginary part. Backward takes their gradients in `grad_values`.
    pub(crate) values: TileRows<T>,
    /// Gradients of `values`.
    pub(crate) grad_values: TileRows<T>,
    /// sin and cos of `raw`.
    sine: TileRows<T>,
    cosine: TileRows<T>,
    /// Gradients of the channel features.
    pub(crate) grad_channels: TileRows<T>,
    /// The MLP whose weights are packed below.
    packed_mlp: Option<usize>,
    /// Weights of each layer.
    packed: Vec<PackedMatrix<T>>,
    /// Transposed weights of each layer; the first layer's only of the channel features, if those have
    /// gradients.
    transposed: Vec<PackedMatrix<T>>,
    /// Gradients of each layer's parameters, summed over tiles of one MLP.
    grad_layers: Vec<GradLinear<T>>,
}

impl<T: Real> TileScratch<T> {
    pub(crate) fn new(mlp: &TileMlp<'_, T>, with_gradients: bool) -> Self {
        let layout = mlp.layout;
        let hidden = &layout.layers[..layout.layers.len() - 1];
        let hidden_rows = || hidden.iter().map(|layer| TileRows::new(layer.out_features)).collect();
        let outputs = layout.out_features();
        let rows_if =
            |wanted: bool, features| if wanted { TileRows::new(features) } else { TileRows::none() };
        let polar = mlp.complex_output == ComplexOutput::Polar;
        let channel_features = mlp.first_channel_feature().map_or(0, |first| layout.in_features() - first);
        let first_layer = mlp.first_layer_by_angles();
        Self {
            points: Vec::with_capacity(TILE),
            inputs: rows_if(with_gradients || !first_layer, layout.in_features()),
            first_layer: first_layer.then(|| AngleAddition::new(mlp.encoder, layout.layers[0].out_features)),
            hidden: hidden_rows(),
            derivative: if with_gradients { hidden_rows() } else { Vec::new() },
            raw: rows_if(polar, outputs),
            values: TileRows::new(outputs),
            grad_values: rows_if(with_gradients, outputs),
            sine: rows_if(polar, outputs),
            cosine: rows_if(polar, outputs),
            grad_channels: rows_if(with_gradients && channel_features > 0, channel_features),
            packed_mlp: None,
            packed: vec![PackedMatrix::default(); layout.layers.len()],
            transposed: vec![PackedMatrix::default(); if with_gradients { layout.layers.len() } else { 0 }],
            grad_layers: if with_gradients {
                layout.layers.iter().map(|l| GradLinear::new(l.in_features, l.out_features)).collect()
            } else {
                Vec::new()
            },
        }
    }
}

impl<T: Real> TileScratch<T> {
    /// Takes the points of a tile.
    pub(crate) fn load(&mut self, points: impl Iterator<Item = GridPoint>) {
        self.points.clear();
        self.points.extend(points);
    }
}

impl<T: Real> TileMlp<'_, T> {
    /// The first input feature that depends on parameters (embeddings), if any does.
    pub(crate) fn first_channel_feature(&self) -> Option<usize> {
        self.encoder.has_embeddings().then(|| self.encoder.frequency_features())
    }

    /// Whether the first layer is one of sines whose phases are sums over axes.
    fn first_layer_by_angles(&self) -> bool {
        self.activation == Activation::Sine && self.encoder.channel_counts().next().is_some()
    }

    /// Packs the weights of MLP `mlp`, unless they are those of the last tile.
    fn pack_weights(&self, mlp: usize, scratch: &mut TileScratch<T>) {
        if scratch.packed_mlp == Some(mlp) {
            return;
        }
        for (index, layer) in self.layout.layers.iter().enumerate() {
            let (weight, bias) = (&self.params[layer.weight_range(mlp)], &self.params[layer.bias_range(mlp)]);
            let (outputs, inputs) = (layer.out_features, layer.in_features);
            match &mut scratch.first_layer {
                Some(first_layer) if index == 0 => {
                    first_layer.tabulate(self.encoder, self.params, weight, bias);
                }
                _ => scratch.packed[index].pack(weight, bias, inputs),
            }
            let first_input = if index == 0 { self.first_channel_feature() } else { Some(0) };
            if let (Some(first), Some(transposed)) = (first_input, scratch.transposed.get_mut(index)) {
                transposed.pack_transposed(weight, outputs, inputs, first);
            }
        }
        scratch.packed_mlp = Some(mlp);
    }

    /// Evaluates MLP `mlp` at `scratch.points`, which are sorted, into `scratch.values`. With `GRAD`, keeps what
    /// [`backward`](Self::backward) reads.
    pub(crate) fn forward<const GRAD: bool>(&self, mlp: usize, scratch: &mut TileScratch<T>) {
        self.pack_weights(mlp, scratch);
        let len = scratch.points.len();
        if GRAD || scratch.first_layer.is_none() {
            for (position, &point) in scratch.points.iter().enumerate() {
                self.encoder.encode(point, self.params, scratch.inputs.row_mut(position));
            }
        }
        let (output, hidden_layers) = self.layout.layers.split_last().expect("there is an output layer");
        for (index, layer) in hidden_layers.iter().enumerate() {
            let (before, after) = scratch.hidden.split_at_mut(index);
            let input = before.last().unwrap_or(&scratch.inputs).view();
            let stride = after[0].stride;
            let z = &mut after[0].values_mut()[..len * stride];
            let derivative = match scratch.derivative.get_mut(index) {
                Some(derivative) if GRAD => &mut derivative.values_mut()[..len * stride],
                _ => &mut [],
            };
            if let (0, Some(first_layer)) = (index, &mut scratch.first_layer) {
                first_layer.evaluate::<GRAD>(self.encoder, &scratch.points, z, derivative);
                continue;
            }
            linear(len, layer.out_features, &scratch.packed[index], input, z, stride);
            activate::<T, GRAD>(self.activation, z, derivative);
        }
        let input = scratch.hidden.last().expect("there is a hidden layer").view();
        let target = match self.complex_output {
            ComplexOutput::Cartesian => &mut scratch.values,
            ComplexOutput::Polar => &mut scratch.raw,
        };
        let packed = &scratch.packed[hidden_layers.len()];
        let stride = target.stride;
        linear(len, output.out_features, packed, input, target.values_mut(), stride);
        if self.complex_output == ComplexOutput::Polar {
            polar(scratch);
        }
    }

    /// Adds the gradient for `scratch.grad_values`, which is overwritten, to the sums of the layers' gradients.
    /// Fills `scratch.grad_channels` from input feature `first_channel_feature` on, if there is one.
    /// [`forward`](Self::forward) of the same tile came before.
    pub(crate) fn backward(&self, scratch: &mut TileScratch<T>) {
        if self.complex_output == ComplexOutput::Polar {
            polar_vjp(scratch);
        }
        let len = scratch.points.len();
        let TileScratch { derivative, hidden, grad_layers, transposed, .. } = scratch;
        for index in (0..grad_layers.len()).rev() {
            let input = if index == 0 { scratch.inputs.view() } else { hidden[index - 1].view() };
            let (before, grad_output) = derivative.split_at_mut(index);
            let grad_output = grad_output.first().unwrap_or(&scratch.grad_values).view();
            grad_layers[index].accumulate(len, input, grad_output);
            if let Some(target) = before.last_mut() {
                let stride = target.stride;
                linear_vjp_input::<T, true>(
                    len,
                    &transposed[index],
                    grad_output,
                    target.values_mut(),
                    stride,
                );
            } else if self.first_channel_feature().is_some() {
                let target = &mut scratch.grad_channels;
                let stride = target.stride;
                linear_vjp_input::<T, false>(
                    len,
                    &transposed[index],
                    grad_output,
                    target.values_mut(),
                    stride,
                );
            }
        }
    }

    /// Adds the sums of the layers' gradients to `grad_mlp` (the parameters of one MLP: each layer's weight, then
    /// its bias), and starts again from zero.
    pub(crate) fn drain_gradients(&self, scratch: &mut TileScratch<T>, grad_mlp: &mut [T]) {
        for (layer, sums) in self.layout.layers.iter().zip(&mut scratch.grad_layers) {
            let grad_layer = &mut grad_mlp[layer.local..][..layer.weight_len() + layer.out_features];
            let (grad_weight, grad_bias) = grad_layer.split_at_mut(layer.weight_len());
            sums.drain_into(grad_weight, grad_bias);
        }
    }
}

/// Pairs (r, θ) of `raw` to pairs (r·cos θ, r·sin θ) of `values`.
fn polar<T: Real>(scratch: &mut TileScratch<T>) {
    let TileScratch { points, raw, values, sine, cosine, .. } = scratch;
    let len = points.len() * raw.stride;
    sine.values_mut()[..len].copy_from_slice(&raw.values()[..len]);
    activate::<T, true>(Activation::Sine, &mut sine.values_mut()[..len], &mut cosine.values_mut()[..len]);
    for position in 0..points.len() {
        let (raw, sine, cosine) = (raw.row(position), sine.row(position), cosine.row(position));
        let values = values.row_mut(position);
        for re in (0..values.len()).step_by(2) {
            values[re] = raw[re] * cosine[re + 1];
            values[re + 1] = raw[re] * sine[re + 1];
        }
    }
}

/// Gradients of (re, im) to gradients of (r, θ), in place:
/// `dr = cos θ·dre + sin θ·dim`, `dθ = re·dim − im·dre`.
fn polar_vjp<T: Real>(scratch: &mut TileScratch<T>) {
    let TileScratch { points, values, grad_values, sine, cosine, .. } = scratch;
    for position in 0..points.len() {
        let (values, sine, cosine) = (values.row(position), sine.row(position), cosine.row(position));
        let grad = grad_values.row_mut(position);
        for re in (0..grad.len()).step_by(2) {
            let (grad_re, grad_im) = (grad[re], grad[re + 1]);
            grad[re] = cosine[re + 1] * grad_re + sine[re + 1] * grad_im;
            grad[re + 1] = values[re] * grad_im - values[re + 1] * grad_re;
        }
    }
}
