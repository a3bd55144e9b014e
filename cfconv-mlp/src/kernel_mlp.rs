//! The kernel Φ: evaluation and vjp at positions.

use std::ops::Range;

use cfconv_fft::Real;
use ndarray::Array4;
use num_complex::Complex;
use rand::Rng;
use rayon::prelude::*;

use crate::config::KernelMlpConfig;
use crate::coords::InputEncoder;
use crate::input_tables::InputTables;
use crate::layout::{ParameterLayout, ParameterSegment};
use crate::schedule::{Frequencies, Schedule, Tile, items};
use crate::shared_basis::{GradMixing, Mixing};
use crate::tile::{TileMlp, TileScratch};
use crate::{GridPoint, KernelGrid, MlpError, Positions, Result, init};

/// A complex kernel Φ on a [`KernelGrid`], given by coordinate MLPs.
///
/// The parameters are one flat slice that the caller owns; [`parameter_segments`](Self::parameter_segments)
/// names its parts. Evaluation runs tile by tile: scratch memory depends on the network's width, not on the
/// number of positions. Results are bit-identical for any number of threads.
///
/// # Examples
/// ```
/// use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, Positions};
/// use num_complex::Complex;
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
///
/// let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 4 };
/// let phi = KernelMlp::<f32>::try_new(&KernelMlpConfig::default(), grid)?;
/// let mut params = vec![0.0; phi.num_parameters()];
/// phi.initialize(&mut ChaCha8Rng::seed_from_u64(1), &mut params);
///
/// // Every value of the kernel, `[8, 5, 3, 4]`.
/// let mut kernel = vec![Complex::default(); grid.num_positions()];
/// phi.evaluate(&params, Positions::All, &mut kernel)?;
///
/// // Three of them.
/// let mut values = vec![Complex::default(); 3];
/// phi.evaluate(&params, Positions::List(&[0, 7, 100]), &mut values)?;
/// assert!((values[1] - kernel[7]).norm() < 1e-5);
/// # Ok::<(), cfconv_mlp::MlpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelMlp<T: Real> {
    config: KernelMlpConfig,
    grid: KernelGrid,
    layout: ParameterLayout,
    encoder: InputEncoder<T>,
    output_scale: T,
}

impl<T: Real> KernelMlp<T> {
    /// Lays out the parameters and tabulates the coordinates of `grid`; the output scale is 1.
    ///
    /// # Errors
    /// An option out of range or without effect ([`KernelMlpConfig::validate`]), a grid with a size of zero
    /// or with more than `u32::MAX` positions.
    pub fn try_new(config: &KernelMlpConfig, grid: KernelGrid) -> Result<Self> {
        config.validate()?;
        grid.validate()?;
        let layout = ParameterLayout::new(config, &grid);
        let encoder = InputEncoder::new(config, &grid, &layout);
        Ok(Self { config: config.clone(), grid, layout, encoder, output_scale: T::one() })
    }

    /// The same Φ on the grid of another image size: same parameters, same output scale.
    ///
    /// With `frequency_grid = "signed"` coordinates are frequencies, so that the value at one frequency is
    /// the same on every grid that has it.
    ///
    /// # Errors
    /// A size of zero, or too many positions.
    pub fn with_size(&self, height: usize, width: usize) -> Result<Self> {
        let other = Self::try_new(&self.config, self.grid.with_size(height, width))?;
        Ok(Self { output_scale: self.output_scale, ..other })
    }

    /// The configuration this kernel was made from.
    pub fn config(&self) -> &KernelMlpConfig {
        &self.config
    }

    /// The grid of positions.
    pub fn grid(&self) -> KernelGrid {
        self.grid
    }

    /// Length of the flat parameter slice.
    pub fn num_parameters(&self) -> usize {
        self.layout.num_parameters()
    }

    /// Where each parameter lies in the flat slice.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// The named parts of the flat parameter slice, in order and without gaps.
    pub fn parameter_segments(&self) -> &[ParameterSegment] {
        &self.layout.segments
    }

    /// The numbers that enter the networks, for evaluation elsewhere, such as on another device.
    pub fn input_tables(&self) -> InputTables<T> {
        InputTables::new(&self.encoder, &self.grid)
    }

    /// The fixed factor on Φ; it is not a parameter.
    pub fn output_scale(&self) -> T {
        self.output_scale
    }

    /// Sets the fixed factor on Φ. With 1 and fresh parameters, |Φ|² is about 1 in the mean.
    pub fn set_output_scale(&mut self, output_scale: T) {
        self.output_scale = output_scale;
    }

    /// Fills `params` with initial values drawn from `rng`.
    ///
    /// First layer: coordinate weights uniform in ±omega/n (n coordinates), biases that spread the units over
    /// the domain. Other layers: unit variance of every pre-activation, unit mean square of Φ.
    ///
    /// # Panics
    /// If `params` is not [`num_parameters`](Self::num_parameters) long.
    ///
    /// # Source
    /// Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions" (2020), section
    /// 3.2; omega is part of the initial weights here, and later layers use the exact second moment of the
    /// activation in place of 1/2.
    pub fn initialize<R: Rng + ?Sized>(&self, rng: &mut R, params: &mut [T]) {
        assert_eq!(params.len(), self.num_parameters(), "initialize: length of params");
        init::initialize(&self.config, &self.grid, &self.layout, &self.encoder, rng, params);
    }

    /// Writes Φ at `positions` to `output`, in their order.
    ///
    /// # Errors
    /// A slice of the wrong length; a list that is not strictly increasing or leaves the grid.
    pub fn evaluate(&self, params: &[T], positions: Positions<'_>, output: &mut [Complex<T>]) -> Result<()> {
        self.validate("evaluate", params, positions, "output", output.len())?;
        if let Some(mixing) = &self.layout.mixing {
            self.evaluate_shared_basis(params, mixing.clone(), positions, output);
            return Ok(());
        }
        let schedule = Schedule::grouped(self.config.parameterization, &self.grid, positions);
        match &schedule.order {
            None => self.evaluate_tiles(params, positions, &schedule, output),
            Some(order) => {
                let mut sorted = vec![Complex::default(); output.len()];
                self.evaluate_tiles(params, positions, &schedule, &mut sorted);
                for (&entry, value) in order.iter().zip(sorted) {
                    output[entry as usize] = value;
                }
            }
        }
        Ok(())
    }

    /// The whole kernel spectrum K.
    ///
    /// # Shapes
    /// `[height, width/2 + 1, in_channels, out_channels]`.
    ///
    /// # Errors
    /// `params` of the wrong length.
    pub fn kernel(&self, params: &[T]) -> Result<Array4<Complex<T>>> {
        let KernelGrid { height, in_channels, out_channels, .. } = self.grid;
        let mut kernel = Array4::from_elem(
            [height, self.grid.half_width(), in_channels, out_channels],
            Complex::new(T::zero(), T::zero()),
        );
        let values = kernel.as_slice_mut().expect("a fresh array is contiguous");
        self.evaluate(params, Positions::All, values)?;
        Ok(kernel)
    }

    /// Adds to `grad_params` the gradient of a loss whose gradient with respect to Φ at `positions` is
    /// `grad_output`. Φ is evaluated again, tile by tile; nothing is kept from [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_vjp(
        &self,
        params: &[T],
        positions: Positions<'_>,
        grad_output: &[Complex<T>],
        grad_params: &mut [T],
    ) -> Result<()> {
        const OP: &str = "evaluate_vjp";
        self.validate(OP, params, positions, "grad_output", grad_output.len())?;
        check_length(OP, "grad_params", self.num_parameters(), grad_params.len())?;
        match &self.layout.mixing {
            Some(mixing) => {
                self.vjp_shared_basis(params, mixing.clone(), positions, grad_output, grad_params);
            }
            None => self.vjp_tiles(params, positions, grad_output, grad_params),
        }
        Ok(())
    }

    fn validate(
        &self,
        op: &'static str,
        params: &[T],
        positions: Positions<'_>,
        operand: &'static str,
        values: usize,
    ) -> Result<()> {
        check_length(op, "params", self.num_parameters(), params.len())?;
        check_length(op, operand, positions.len(&self.grid), values)?;
        positions.validate(&self.grid, op)
    }

    fn tile_mlp<'a>(&'a self, params: &'a [T]) -> TileMlp<'a, T> {
        TileMlp {
            layout: &self.layout,
            activation: self.config.activation,
            complex_output: self.config.complex_output,
            encoder: &self.encoder,
            params,
        }
    }

    /// Evaluates every tile of `schedule` to `output`, one value for each item.
    fn evaluate_tiles(
        &self,
        params: &[T],
        positions: Positions<'_>,
        schedule: &Schedule,
        output: &mut [Complex<T>],
    ) {
        let mlp = self.tile_mlp(params);
        let position = |item: usize| positions.at(schedule.entry(item));
        let chunks: Vec<&[Tile]> = schedule.chunks().collect();
        let outputs = split_by(output, chunks.iter().map(|chunk| items(chunk).len()));
        chunks.par_iter().zip(outputs).for_each_init(
            || TileScratch::new(&mlp, false),
            |scratch, (chunk, output)| {
                let first = items(chunk).start;
                let mut cursor = self.grid.cursor();
                for &tile in *chunk {
                    scratch.load(tile.items().map(|item| cursor.decode(position(item))));
                    mlp.forward::<false>(tile.mlp, scratch);
                    let output = &mut output[tile.start - first..][..tile.len];
                    for (position, value) in output.iter_mut().enumerate() {
                        let pair = scratch.values.row(position);
                        *value = Complex::new(self.output_scale * pair[0], self.output_scale * pair[1]);
                    }
                }
            },
        );
    }

    fn vjp_tiles(
        &self,
        params: &[T],
        positions: Positions<'_>,
        grad_output: &[Complex<T>],
        grad_params: &mut [T],
    ) {
        let schedule = Schedule::grouped(self.config.parameterization, &self.grid, positions);
        let mlp = self.tile_mlp(params);
        let position = |item: usize| positions.at(schedule.entry(item));
        let chunks: Vec<&[Tile]> = schedule.chunks().collect();
        let grads: Vec<ChunkGrad<T>> = chunks
            .par_iter()
            .map_init(
                || TileScratch::new(&mlp, true),
                |scratch, chunk| {
                    let mut grad = ChunkGrad::new(&self.layout, chunk);
                    let mut cursor = self.grid.cursor();
                    for (index, &tile) in chunk.iter().enumerate() {
                        scratch.load(tile.items().map(|item| cursor.decode(position(item))));
                        mlp.forward::<true>(tile.mlp, scratch);
                        for (row, item) in tile.items().enumerate() {
                            let value = grad_output[schedule.entry(item)];
                            let pair = scratch.grad_values.row_mut(row);
                            pair[0] = self.output_scale * value.re;
                            pair[1] = self.output_scale * value.im;
                        }
                        self.backward_tile(&mlp, &chunk[index..], scratch, &mut grad);
                    }
                    grad
                },
            )
            .collect();
        for grad in &grads {
            grad.add_to(&self.layout, grad_params);
        }
    }

    /// Backward of the first of `tiles`, whose `grad_values` are filled, into the gradients of its chunk; the others
    /// follow it.
    fn backward_tile(
        &self,
        mlp: &TileMlp<'_, T>,
        tiles: &[Tile],
        scratch: &mut TileScratch<T>,
        grad: &mut ChunkGrad<T>,
    ) {
        mlp.backward(scratch);
        let tile = tiles[0];
        if tiles.get(1).is_none_or(|next| next.mlp != tile.mlp) {
            let local = (tile.mlp - grad.first_mlp) * self.layout.network_len;
            mlp.drain_gradients(scratch, &mut grad.mlps[local..local + self.layout.network_len]);
        }
        if mlp.first_channel_feature().is_some() {
            let first = self.layout.first_embedding();
            for (position, &point) in scratch.points.iter().enumerate() {
                let grad_channels = scratch.grad_channels.row(position);
                self.encoder.encode_vjp(point, grad_channels, first, &mut grad.embeddings);
            }
        }
    }

    /// [`evaluate`](Self::evaluate) of a shared basis, whose coefficients are the parameters `mixing`.
    fn evaluate_shared_basis(
        &self,
        params: &[T],
        mixing: Range<usize>,
        positions: Positions<'_>,
        output: &mut [Complex<T>],
    ) {
        let frequencies = Frequencies::new(&self.grid, positions);
        let schedule = Schedule::single(frequencies.len(&self.grid));
        let mlp = self.tile_mlp(params);
        let mixing = Mixing::new(&params[mixing], self.config.basis_size);
        let point = |item: usize| self.frequency_point(frequencies.frequency(item));
        let start = |item: usize| frequencies.start(&self.grid, item);
        let chunks: Vec<&[Tile]> = schedule.chunks().collect();
        let entries = |chunk: &&[Tile]| start(items(chunk).end) - start(items(chunk).start);
        let outputs = split_by(output, chunks.iter().map(entries));
        chunks.par_iter().zip(outputs).for_each_init(
            || (TileScratch::new(&mlp, false), vec![T::zero(); self.layout.out_features()]),
            |(scratch, basis), (chunk, output)| {
                let first = start(items(chunk).start);
                for &tile in *chunk {
                    scratch.load(tile.items().map(point));
                    mlp.forward::<false>(tile.mlp, scratch);
                    for (position, item) in tile.items().enumerate() {
                        self.scaled_basis(scratch, position, basis);
                        let entries = start(item)..start(item + 1);
                        let pair = |entry: usize| self.pair(positions.at(entries.start + entry));
                        mixing.mix(basis, pair, &mut output[entries.start - first..entries.end - first]);
                    }
                }
            },
        );
    }

    fn vjp_shared_basis(
        &self,
        params: &[T],
        mixing_range: Range<usize>,
        positions: Positions<'_>,
        grad_output: &[Complex<T>],
        grad_params: &mut [T],
    ) {
        let frequencies = Frequencies::new(&self.grid, positions);
        let schedule = Schedule::single(frequencies.len(&self.grid));
        let mlp = self.tile_mlp(params);
        let mixing = Mixing::new(&params[mixing_range.clone()], self.config.basis_size);
        let point = |item: usize| self.frequency_point(frequencies.frequency(item));
        let start = |item: usize| frequencies.start(&self.grid, item);
        let outputs = self.layout.out_features();
        let chunks: Vec<&[Tile]> = schedule.chunks().collect();
        let grads: Vec<(ChunkGrad<T>, GradMixing<T>)> = chunks
            .par_iter()
            .map_init(
                || (TileScratch::new(&mlp, true), vec![T::zero(); outputs], vec![T::zero(); outputs]),
                |(scratch, basis, grad_basis), chunk| {
                    let mut grad = ChunkGrad::new(&self.layout, chunk);
                    let mut grad_mixing = mixing.zero_grad();
                    for (index, &tile) in chunk.iter().enumerate() {
                        scratch.load(tile.items().map(point));
                        mlp.forward::<true>(tile.mlp, scratch);
                        for (position, item) in tile.items().enumerate() {
                            self.scaled_basis(scratch, position, basis);
                            let entries = start(item)..start(item + 1);
                            let pair = |entry: usize| self.pair(positions.at(entries.start + entry));
                            let grad_values = &grad_output[entries.clone()];
                            mixing.mix_vjp(basis, pair, grad_values, grad_basis, &mut grad_mixing);
                            let grad_row = scratch.grad_values.row_mut(position);
                            for (grad, &value) in grad_row.iter_mut().zip(&*grad_basis) {
                                *grad = self.output_scale * value;
                            }
                        }
                        self.backward_tile(&mlp, &chunk[index..], scratch, &mut grad);
                    }
                    (grad, grad_mixing)
                },
            )
            .collect();
        for (grad, grad_mixing) in &grads {
            grad.add_to(&self.layout, grad_params);
            mixing.add_grad(grad_mixing, &mut grad_params[mixing_range.clone()]);
        }
    }

    fn frequency_point(&self, frequency: usize) -> GridPoint {
        let half_width = self.grid.half_width();
        GridPoint { h: frequency / half_width, w: frequency % half_width, i: 0, o: 0 }
    }

    fn pair(&self, position: u32) -> usize {
        position as usize % self.grid.num_channel_pairs()
    }

    /// The scaled basis values of one position, as (re, im) pairs.
    fn scaled_basis(&self, scratch: &TileScratch<T>, position: usize, basis: &mut [T]) {
        for (scaled, &value) in basis.iter_mut().zip(scratch.values.row(position)) {
            *scaled = self.output_scale * value;
        }
    }
}

/// Gradients of one chunk of tiles: of the MLPs it touches, and of the embeddings.
struct ChunkGrad<T> {
    first_mlp: usize,
    /// `[MLPs of the chunk][network_len]`.
    mlps: Vec<T>,
    embeddings: Vec<T>,
}

impl<T: Real> ChunkGrad<T> {
    fn new(layout: &ParameterLayout, chunk: &[Tile]) -> Self {
        let first_mlp = chunk[0].mlp;
        let num_mlps = chunk[chunk.len() - 1].mlp - first_mlp + 1;
        Self {
            first_mlp,
            mlps: vec![T::zero(); num_mlps * layout.network_len],
            embeddings: vec![T::zero(); layout.embeddings_len()],
        }
    }

    fn add_to(&self, layout: &ParameterLayout, grad_params: &mut [T]) {
        for (offset, grad_mlp) in self.mlps.chunks_exact(layout.network_len).enumerate() {
            for layer in &layout.layers {
                let mlp = self.first_mlp + offset;
                let (grad_weight, rest) = grad_mlp[layer.local..].split_at(layer.weight_len());
                add(&mut grad_params[layer.weight_range(mlp)], grad_weight);
                add(&mut grad_params[layer.bias_range(mlp)], &rest[..layer.out_features]);
            }
        }
        let first = layout.first_embedding();
        add(&mut grad_params[first..first + self.embeddings.len()], &self.embeddings);
    }
}

fn add<T: Real>(target: &mut [T], addend: &[T]) {
    for (target, &addend) in target.iter_mut().zip(addend) {
        *target += addend;
    }
}

/// Cuts `values` into consecutive parts of the given lengths.
fn split_by<V>(values: &mut [V], lengths: impl Iterator<Item = usize>) -> Vec<&mut [V]> {
    let mut rest = values;
    lengths
        .map(|length| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            part
        })
        .collect()
}

fn check_length(op: &'static str, operand: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(MlpError::LengthMismatch { op, operand, expected, got }) }
}
