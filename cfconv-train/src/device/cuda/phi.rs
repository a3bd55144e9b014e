//! The kernel network Φ at positions: one kernel forward, one backward, nothing in between.

use cfconv_mlp::{Activation, ChannelTable, ComplexOutput, KernelMlp};

use super::{Argument, Grid, Launcher, PhiSchedule, Scratch, count, launch, part, part_mut};
use crate::device::{Buffer, IndexBuffer, Result, Span, SpanMut};

/// Threads of a block.
const THREADS: u32 = 256;

/// Blocks of networks that are too wide for shared memory; each has scratch of its own.
const WIDE_BLOCKS: usize = 264;

/// Positions of one pass of a block, the largest whose activations fit into shared memory.
const TILES: [usize; 3] = [32, 16, 8];

/// Numbers of `PhiLayout` in `kernels/phi.cu`.
const LAYOUT_LEN: usize = 19;

/// Φ on a device.
#[derive(Debug)]
pub(crate) struct Phi<L: Launcher> {
    mlp: KernelMlp<f32>,
    shape: PhiShape,
    layout: IndexBuffer<L>,
    /// `[bins, features]`
    frequencies: Buffer<L>,
    frequencies_len: usize,
    /// Coordinates of the channels of each axis that is an input.
    channels: Buffer<L>,
    channels_len: usize,
    /// What embeddings are multiplied by.
    factor: f32,
}

/// Sizes of the networks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhiShape {
    pub(crate) mlps: usize,
    mlp_len: usize,
    embeddings_len: usize,
    in_features: usize,
    hidden_width: usize,
    hidden_layers: usize,
    out_features: usize,
    /// Features of all channel axes that are embeddings.
    embedded_features: usize,
    /// Complex values that a shared basis gives at a frequency; `None` for other parameterisations.
    pub(crate) basis_size: Option<usize>,
    pub(crate) pairs: usize,
}

/// How a pass of a block is laid out.
struct TileLayout {
    width: usize,
    shared_bytes: usize,
    /// Floats of each block's scratch, 0 if shared memory is enough.
    scratch_len: usize,
}

impl PhiShape {
    /// The layout of passes that need `rows` rows of features.
    fn tile(rows: usize) -> TileLayout {
        let floats = |width: usize| rows * (width + 1);
        let bytes = |width: usize| floats(width) * size_of::<f32>();
        match TILES.into_iter().find(|&width| bytes(width) <= Grid::SHARED_BYTES) {
            Some(width) => TileLayout { width, shared_bytes: bytes(width), scratch_len: 0 },
            None => TileLayout { width: TILES[0], shared_bytes: 0, scratch_len: floats(TILES[0]) },
        }
    }

    fn forward_tile(&self) -> TileLayout {
        Self::tile(2 * self.in_features.max(self.hidden_width).max(self.out_features))
    }

    fn backward_tile(&self) -> TileLayout {
        let hidden = 2 * self.hidden_layers * self.hidden_width;
        Self::tile(self.in_features + hidden + self.out_features + self.embedded_features)
    }

    /// Parameters of one run's gradient.
    fn gradient_len(&self) -> usize {
        self.mlp_len + self.embeddings_len
    }
}

impl<L: Launcher> Phi<L> {
    pub(crate) fn new(device: &L, mlp: KernelMlp<f32>) -> Result<Self> {
        let (config, grid, tables) = (mlp.config(), mlp.grid(), mlp.input_tables());
        let network = mlp.layout();
        let basis_size = network.mixing.as_ref().map(|_| config.basis_size);
        let axes = config.parameterization.channel_inputs();
        let (mut channels, mut steps, mut starts) = ([1; 2], [1; 2], [0; 2]);
        let (mut axis_features, mut factor, mut coordinates) = (1, 1.0, Vec::new());
        for (axis, table) in tables.channels.iter().enumerate() {
            channels[axis] = axes[axis].channels(&grid);
            steps[axis] = axes[axis].step(&grid);
            match table {
                ChannelTable::Coordinates(values) => {
                    starts[axis] = coordinates.len();
                    coordinates.extend_from_slice(values);
                }
                &ChannelTable::Embedding { start, dim, factor: f } => {
                    (starts[axis], axis_features, factor) = (start, dim, f);
                }
            }
        }
        let embedded = !network.embeddings.is_empty();
        let activation = match config.activation {
            Activation::Sine => 0,
            Activation::Gelu => 1,
            Activation::Relu => 2,
            Activation::Tanh => 3,
            Activation::Gabor => 4,
        };
        let header: [usize; LAYOUT_LEN] = [
            config.hidden_layers,
            network.in_features(),
            config.hidden_width,
            network.out_features(),
            activation,
            usize::from(config.complex_output == ComplexOutput::Polar),
            tables.frequency_features,
            axes.len(),
            axis_features,
            usize::from(embedded),
            // A shared basis is evaluated at frequencies: positions without channels.
            if basis_size.is_some() { 1 } else { grid.num_channel_pairs() },
            channels[0],
            channels[1],
            steps[0],
            steps[1],
            starts[0],
            starts[1],
            network.network_len,
            network.embeddings_len(),
        ];
        let numbers: Vec<u32> = header
            .into_iter()
            .chain(network.layers.iter().flat_map(|layer| [layer.weight, layer.bias]))
            .map(|number| u32::try_from(number).expect("positions and parameters are numbered with 32 bits"))
            .collect();
        let mut layout = device.alloc_indices(numbers.len())?;
        device.upload_indices(&numbers, &mut layout)?;
        // Never empty: an absent table is one unread number.
        coordinates.push(0.0);
        Ok(Self {
            shape: PhiShape {
                mlps: network.num_networks,
                mlp_len: network.network_len,
                embeddings_len: network.embeddings_len(),
                in_features: network.in_features(),
                hidden_width: config.hidden_width,
                hidden_layers: config.hidden_layers,
                out_features: network.out_features(),
                embedded_features: if embedded { axes.len() * axis_features } else { 0 },
                basis_size,
                pairs: grid.num_channel_pairs(),
            },
            layout,
            frequencies: device.to_device(&tables.frequencies)?,
            frequencies_len: tables.frequencies.len(),
            channels: device.to_device(&coordinates)?,
            channels_len: coordinates.len(),
            factor,
            mlp,
        })
    }

    /// The network's structure on the host.
    pub(crate) fn mlp(&self) -> &KernelMlp<f32> {
        &self.mlp
    }

    /// The network's structure, whose output scale is to be changed.
    pub(crate) fn mlp_mut(&mut self) -> &mut KernelMlp<f32> {
        &mut self.mlp
    }

    pub(crate) fn shape(&self) -> &PhiShape {
        &self.shape
    }

    /// Positions of one pass of a block, which runs are multiples of.
    pub(crate) fn tile_width(&self) -> usize {
        self.shape.forward_tile().width.max(self.shape.backward_tile().width)
    }

    /// `output[n] = Φ` at the positions of the schedule, complex numbers in their order.
    pub(crate) fn evaluate(
        &self,
        device: &L,
        params: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        schedule: &PhiSchedule<L>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        let Some(basis_size) = self.shape.basis_size else {
            return self.networks(device, params, positions, schedule, output);
        };
        let basis = self.basis(device, params, schedule)?;
        let entries = count(output.len() / 2);
        launch!(
            device,
            "basis_mix",
            Grid::over(entries, L::THREADS),
            basis.all(),
            self.mixing(params),
            Argument::indices(positions),
            Argument::indices(schedule.frequency_of.as_ref()),
            output,
            self.shape.pairs,
            basis_size,
            entries
        )
    }

    /// Adds to `grad_params` the gradient of the parameters for the gradient `grads` of Φ at the positions.
    pub(crate) fn evaluate_vjp(
        &self,
        device: &L,
        params: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        schedule: &PhiSchedule<L>,
        grads: Span<'_, L>,
        mut grad_params: SpanMut<'_, L>,
    ) -> Result<()> {
        let Some(basis_size) = self.shape.basis_size else {
            return self.networks_vjp(device, params, positions, schedule, grads, grad_params);
        };
        let basis = self.basis(device, params, schedule)?;
        let frequencies = schedule.frequencies;
        let mut grad_basis = Scratch::new(device, basis.len())?;
        launch!(
            device,
            "basis_mix_gradient",
            Grid::over(count(frequencies * basis_size), L::THREADS),
            self.mixing(params),
            grads,
            Argument::indices(positions),
            Argument::indices(schedule.first_entries.as_ref()),
            grad_basis.all_mut(),
            frequencies,
            self.shape.pairs,
            basis_size
        )?;
        let mixing = self.mixing_range();
        launch!(
            device,
            "mixing_gradient",
            Grid::over(count(mixing.len()), L::THREADS),
            basis.all(),
            grads,
            Argument::indices(schedule.frequency_of.as_ref()),
            Argument::indices(schedule.by_pair.as_ref()),
            Argument::indices(schedule.first_of_pair.as_ref()),
            part_mut(&mut grad_params, mixing),
            frequencies,
            self.shape.pairs,
            basis_size
        )?;
        let list = schedule.frequency_list.as_ref();
        self.networks_vjp(device, params, list, schedule, grad_basis.all(), grad_params)
    }

    /// The scaled basis at the schedule's frequencies, `[frequencies, basis_size]` complex numbers.
    fn basis(&self, device: &L, params: Span<'_, L>, schedule: &PhiSchedule<L>) -> Result<Scratch<L>> {
        let mut basis = Scratch::new(device, schedule.frequencies * self.shape.out_features)?;
        let list = schedule.frequency_list.as_ref();
        self.networks(device, params, list, schedule, basis.all_mut())?;
        Ok(basis)
    }

    fn networks(
        &self,
        device: &L,
        params: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        schedule: &PhiSchedule<L>,
        output: SpanMut<'_, L>,
    ) -> Result<()> {
        let tile = self.shape.forward_tile();
        let (grid, mut scratch) = Self::grid(device, &tile, schedule.run_count)?;
        launch!(
            device,
            "phi_evaluate",
            grid,
            params,
            Argument::ReadIndices(&self.layout),
            self.frequencies(),
            self.channels(),
            Argument::indices(positions),
            Argument::indices(schedule.order.as_ref()),
            Argument::ReadIndices(&schedule.runs),
            scratch.as_mut().map(Scratch::all_mut),
            output,
            schedule.run_count,
            tile.width,
            tile.scratch_len,
            self.factor,
            self.mlp.output_scale(),
            device.tf32()
        )
    }

    fn networks_vjp(
        &self,
        device: &L,
        params: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        schedule: &PhiSchedule<L>,
        grads: Span<'_, L>,
        grad_params: SpanMut<'_, L>,
    ) -> Result<()> {
        let tile = self.shape.backward_tile();
        let (grid, mut scratch) = Self::grid(device, &tile, schedule.run_count)?;
        let mut partial = Scratch::new(device, schedule.run_count * self.shape.gradient_len())?;
        launch!(
            device,
            "phi_vjp",
            grid,
            params,
            Argument::ReadIndices(&self.layout),
            self.frequencies(),
            self.channels(),
            Argument::indices(positions),
            Argument::indices(schedule.order.as_ref()),
            Argument::ReadIndices(&schedule.runs),
            grads,
            scratch.as_mut().map(Scratch::all_mut),
            partial.all_mut(),
            schedule.run_count,
            tile.width,
            tile.scratch_len,
            self.factor,
            self.mlp.output_scale(),
            device.tf32()
        )?;
        let len = count(self.shape.mlps * self.shape.mlp_len + self.shape.embeddings_len);
        launch!(
            device,
            "phi_add_gradients",
            Grid::over(len, L::THREADS),
            partial.all(),
            Argument::ReadIndices(&self.layout),
            Argument::ReadIndices(&schedule.first_runs),
            grad_params,
            self.shape.mlps
        )
    }

    /// The launch of a block for each run, or fewer blocks with scratch.
    fn grid(device: &L, tile: &TileLayout, runs: usize) -> Result<(Grid, Option<Scratch<L>>)> {
        if tile.scratch_len == 0 {
            return Ok((Grid::new([runs, 1, 1], THREADS).with_shared(tile.shared_bytes), None));
        }
        let blocks = runs.min(WIDE_BLOCKS);
        let scratch = Scratch::new(device, blocks * tile.scratch_len)?;
        Ok((Grid::new([blocks, 1, 1], THREADS), Some(scratch)))
    }

    fn frequencies(&self) -> Span<'_, L> {
        Span::new(&self.frequencies, 0..self.frequencies_len)
    }

    fn channels(&self) -> Span<'_, L> {
        Span::new(&self.channels, 0..self.channels_len)
    }

    fn mixing_range(&self) -> std::ops::Range<usize> {
        self.mlp.layout().mixing.clone().expect("a shared basis has mixing coefficients")
    }

    fn mixing<'a>(&self, params: Span<'a, L>) -> Span<'a, L> {
        part(params, self.mixing_range())
    }
}
