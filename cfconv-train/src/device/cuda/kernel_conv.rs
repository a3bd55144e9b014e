//! The convolution with a layer's kernel values, by one of three algorithms.

use cfconv_core::engine::{DepthwiseConvSizes, DirectConvSizes, Domain, EnginePlan, PlannedAlgorithm};

use super::{
    Argument, Convolution, DepthwiseConvolution, Grid, Launcher, RealTransform, Roots, Scratch,
    SpatialConvolution, count, launch,
};
use crate::device::{Buffer, IndexBuffer, Result, Span, SpanMut};

/// Threads of a block of the mix, and its images and channels.
const MIX_THREADS: u32 = 256;
const MIX_TILE: usize = 32;
const MIX_INNER: usize = 16;

/// Threads that share a position of the sampled gradient.
const GRADIENT_LANES: usize = 32;

/// Convolves images or half spectra with kernel values, complex numbers on the grid that Φ is evaluated on.
#[derive(Debug)]
pub(crate) struct KernelConv<L: Launcher> {
    sizes: Sizes,
    algorithm: Algorithm<L>,
    /// What a training forward pass keeps: the input's spectrum, or the input.
    saved: Option<Buffer<L>>,
    saved_len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    in_channels: usize,
    out_channels: usize,
    depthwise: bool,
    domain: Domain,
    image: (usize, usize),
    torus: (usize, usize),
}

#[derive(Debug)]
enum Algorithm<L: Launcher> {
    /// The values are the kernel's spectrum.
    Spectral(RealTransform<L>),
    /// The values lie on a lattice; the taps' spectrum is applied.
    LatticeFft { lattice: Lattice<L>, kernel: Buffer<L>, kernel_len: usize, transform: RealTransform<L> },
    /// The values lie on a lattice; the taps are applied.
    LatticeDirect { lattice: Lattice<L>, weights: Buffer<L>, conv: SpatialConvKind },
}

#[derive(Debug)]
struct Lattice<L: Launcher> {
    size: usize,
    pairs: usize,
    roots: Roots<L>,
    /// `[k, k, pairs]`
    taps: Buffer<L>,
}

/// Convolution with taps in space.
#[derive(Clone, Copy, Debug)]
enum SpatialConvKind {
    Full(Convolution),
    Depthwise(DepthwiseConvolution),
}

impl Sizes {
    fn bins(&self) -> usize {
        self.torus.0 * (self.torus.1 / 2 + 1)
    }

    /// Complex values of the kernel's spectrum.
    fn kernel_positions(&self) -> usize {
        let pairs = if self.depthwise { self.in_channels } else { self.in_channels * self.out_channels };
        self.bins() * pairs
    }

    fn spectra_len(&self, channels: usize, batch: usize) -> usize {
        channels * self.bins() * 2 * batch
    }

    /// 1/(H·W) of the torus: that of the inverse transform, if there is one.
    fn inverse_scale(&self) -> f32 {
        match self.domain {
            Domain::Images => (1.0 / (self.torus.0 * self.torus.1) as f64) as f32,
            Domain::Spectra => 1.0,
        }
    }
}

impl<L: Launcher> KernelConv<L> {
    pub(crate) fn new(device: &L, plan: &EnginePlan) -> Result<Self> {
        let config = plan.config();
        let sizes = Sizes {
            in_channels: config.in_channels,
            out_channels: config.out_channels,
            depthwise: config.depthwise,
            domain: plan.domain,
            image: (config.height, config.width),
            torus: plan.torus,
        };
        // Between half spectra there is nothing to transform, but a lattice needs the torus' roots.
        let transform = || RealTransform::new(device, "cf_conv2d", sizes.image, sizes.torus);
        let lattice = || -> Result<Lattice<L>> {
            let (size, pairs) = (plan.grid.height, plan.grid.num_channel_pairs());
            let taps = device.alloc(size * size * pairs)?;
            Ok(Lattice { size, pairs, roots: Roots::new(device, size)?, taps })
        };
        let algorithm = match plan.algorithm {
            PlannedAlgorithm::Spectral => Algorithm::Spectral(transform()?),
            PlannedAlgorithm::LatticeFft => {
                let kernel_len = 2 * sizes.kernel_positions();
                let kernel = device.alloc(kernel_len)?;
                Algorithm::LatticeFft { lattice: lattice()?, kernel, kernel_len, transform: transform()? }
            }
            PlannedAlgorithm::LatticeDirect => {
                let lattice = lattice()?;
                let (height, width) = sizes.image;
                let (kernel_size, padding) = (lattice.size, config.padding);
                let (in_channels, out_channels) = (config.in_channels, config.out_channels);
                let conv = if config.depthwise {
                    let channels = in_channels;
                    let sizes = DepthwiseConvSizes { channels, height, width, kernel_size, padding };
                    SpatialConvKind::Depthwise(DepthwiseConvolution(sizes))
                } else {
                    SpatialConvKind::Full(Convolution(DirectConvSizes {
                        in_channels,
                        out_channels,
                        height,
                        width,
                        kernel_size,
                        padding,
                    }))
                };
                Algorithm::LatticeDirect { weights: device.alloc(lattice.num_taps())?, lattice, conv }
            }
        };
        Ok(Self { sizes, algorithm, saved: None, saved_len: 0 })
    }

    /// Takes the kernel values that the following passes convolve with.
    pub(crate) fn prepare(&mut self, device: &L, values: Span<'_, L>) -> Result<()> {
        match &mut self.algorithm {
            Algorithm::Spectral(_) => Ok(()),
            Algorithm::LatticeFft { lattice, kernel, kernel_len, transform } => {
                lattice.set_values(device, values)?;
                lattice.spectrum(device, transform, self.sizes.torus, SpanMut::new(kernel, 0..*kernel_len))
            }
            Algorithm::LatticeDirect { lattice, weights, .. } => {
                lattice.set_values(device, values)?;
                let len = lattice.num_taps();
                let (taps, weights) = (lattice.taps(), SpanMut::new(weights, 0..len));
                lattice.reorder(device, &self.sizes, taps, weights, 1.0, false)
            }
        }
    }

    /// Computes the output; if `training`, keeps what the backward pass needs.
    pub(crate) fn forward(
        &mut self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        values: Span<'_, L>,
        bias: Option<Span<'_, L>>,
        output: SpanMut<'_, L>,
        training: bool,
    ) -> Result<()> {
        let sizes = self.sizes;
        let (transform, kernel) = match &self.algorithm {
            Algorithm::LatticeDirect { lattice, weights, conv } => {
                let weights = Span::new(weights, 0..lattice.num_taps());
                match conv {
                    SpatialConvKind::Full(conv) => {
                        conv.forward(device, batch, input, weights, bias, output)?
                    }
                    SpatialConvKind::Depthwise(conv) => {
                        conv.forward(device, batch, input, weights, bias, output)?;
                    }
                }
                return if training { self.keep(device, input) } else { Ok(()) };
            }
            Algorithm::Spectral(transform) => (transform, values),
            Algorithm::LatticeFft { kernel, kernel_len, transform, .. } => {
                (transform, Span::new(kernel, 0..*kernel_len))
            }
        };
        if sizes.domain == Domain::Spectra {
            let mut output = output;
            sizes.mix(device, batch, false, input, kernel, output.reborrow())?;
            if let Some(bias) = bias {
                let grid = Grid::over(count(sizes.out_channels * batch), L::THREADS);
                let (channels, bins) = (sizes.out_channels, sizes.bins());
                let factor = sizes.constant_factor();
                launch!(
                    device,
                    "add_constant_to_spectra",
                    grid,
                    output,
                    bias,
                    channels,
                    bins,
                    batch,
                    factor
                )?;
            }
            return if training { self.keep(device, input) } else { Ok(()) };
        }
        let mut spectrum = Scratch::new(device, sizes.spectra_len(sizes.in_channels, batch))?;
        transform.forward(device, batch, input, spectrum.all_mut(), 1.0, 1.0)?;
        let mut mixed = Scratch::new(device, sizes.spectra_len(sizes.out_channels, batch))?;
        sizes.mix(device, batch, false, spectrum.all(), kernel, mixed.all_mut())?;
        let scale = sizes.inverse_scale();
        transform.inverse(device, batch, mixed.all(), output, bias, scale, 1.0)?;
        if training {
            self.saved_len = spectrum.len();
            self.saved = Some(spectrum.into_buffer());
        }
        Ok(())
    }

    /// Computes `scale` times the gradient of the kernel values at `positions` (every one without a list, and always
    /// every one on a lattice) and the input's gradient; both are overwritten.
    pub(crate) fn backward(
        &mut self,
        device: &L,
        batch: usize,
        grad_output: Span<'_, L>,
        values: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        scale: f32,
        grad_values: SpanMut<'_, L>,
        grad_input: Option<SpanMut<'_, L>>,
    ) -> Result<()> {
        let sizes = self.sizes;
        let saved = self.saved.as_ref().expect("a training forward pass has kept what is needed");
        let saved = Span::new(saved, 0..self.saved_len);
        match &mut self.algorithm {
            Algorithm::Spectral(transform) => sizes.backward(
                device,
                transform,
                batch,
                grad_output,
                values,
                saved,
                positions,
                scale,
                grad_values,
                grad_input,
            ),
            Algorithm::LatticeFft { lattice, kernel, kernel_len, transform } => {
                let mut grad_kernel = Scratch::new(device, *kernel_len)?;
                let kernel = Span::new(kernel, 0..*kernel_len);
                let target = grad_kernel.all_mut();
                sizes.backward(
                    device,
                    transform,
                    batch,
                    grad_output,
                    kernel,
                    saved,
                    None,
                    scale,
                    target,
                    grad_input,
                )?;
                let mut grad_taps = Scratch::new(device, lattice.num_taps())?;
                let torus = sizes.torus;
                let grads = grad_kernel.all();
                lattice.spectrum_adjoint(device, transform, torus, grads, grad_taps.all_mut())?;
                lattice.taps_adjoint(device, grad_taps.all(), grad_values)
            }
            Algorithm::LatticeDirect { lattice, weights, conv } => {
                let mut grad_weights = Scratch::new(device, lattice.num_taps())?;
                let weights = Span::new(weights, 0..lattice.num_taps());
                let target = grad_weights.all_mut();
                match conv {
                    SpatialConvKind::Full(conv) => {
                        conv.backward_weight(device, batch, saved, grad_output, target)?;
                        if let Some(grad_input) = grad_input {
                            conv.backward_input(device, batch, grad_output, weights, grad_input)?;
                        }
                    }
                    SpatialConvKind::Depthwise(conv) => {
                        conv.backward_weight(device, batch, saved, grad_output, target)?;
                        if let Some(grad_input) = grad_input {
                            conv.backward_input(device, batch, grad_output, weights, grad_input)?;
                        }
                    }
                }
                let mut grad_taps = Scratch::new(device, lattice.num_taps())?;
                let (grads, target) = (grad_weights.all(), grad_taps.all_mut());
                lattice.reorder(device, &sizes, grads, target, scale, true)?;
                lattice.taps_adjoint(device, grad_taps.all(), grad_values)
            }
        }
    }

    /// Adds the gradient of the bias.
    pub(crate) fn backward_bias(
        &self,
        device: &L,
        batch: usize,
        grad_output: Span<'_, L>,
        grad_bias: SpanMut<'_, L>,
    ) -> Result<()> {
        let sizes = self.sizes;
        match sizes.domain {
            Domain::Images => {
                let plane = sizes.image.0 * sizes.image.1 * batch;
                super::add_channel_sums(device, grad_output, plane, grad_bias)
            }
            Domain::Spectra => {
                let (grid, channels) =
                    (Grid::over(count(sizes.out_channels), L::THREADS), sizes.out_channels);
                let (bins, factor) = (sizes.bins(), sizes.constant_factor());
                launch!(
                    device,
                    "add_constant_gradients",
                    grid,
                    grad_output,
                    grad_bias,
                    channels,
                    bins,
                    batch,
                    factor
                )
            }
        }
    }

    /// Copies the input for the backward pass.
    fn keep(&mut self, device: &L, input: Span<'_, L>) -> Result<()> {
        if self.saved_len != input.len() {
            self.saved = None;
        }
        let saved = match &mut self.saved {
            Some(saved) => saved,
            empty => empty.insert(device.alloc(input.len())?),
        };
        self.saved_len = input.len();
        device.copy(input, SpanMut::new(saved, 0..input.len()))
    }

    /// Bytes kept from a forward pass for the backward pass.
    pub(crate) fn saved_bytes(&self) -> usize {
        self.saved_len * size_of::<f32>()
    }

    /// Bytes of everything else kept between calls.
    pub(crate) fn scratch_bytes(&self) -> usize {
        let floats = match &self.algorithm {
            Algorithm::Spectral(_) => 0,
            Algorithm::LatticeFft { lattice, kernel_len, .. } => lattice.num_taps() + kernel_len,
            Algorithm::LatticeDirect { lattice, .. } => 2 * lattice.num_taps(),
        };
        floats * size_of::<f32>()
    }
}

impl Sizes {
    /// √(H·W): the zero frequency of a constant image, orthonormal.
    fn constant_factor(&self) -> f32 {
        ((self.image.0 * self.image.1) as f64).sqrt() as f32
    }

    /// `target[o] = Σ_i source[i]·K[i, o]`, or with `adjoint` `target[i] = Σ_o source[o]·conj(K[i, o])`.
    fn mix<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        adjoint: bool,
        source: Span<'_, L>,
        kernel: Span<'_, L>,
        target: SpanMut<'_, L>,
    ) -> Result<()> {
        if self.depthwise {
            let grid = Grid::over(count(target.len() / 2), L::THREADS);
            let (channels, bins) = (self.in_channels, self.bins());
            return launch!(
                device,
                "depthwise_mix",
                grid,
                source,
                kernel,
                target,
                channels,
                bins,
                batch,
                adjoint
            );
        }
        let (inputs, outputs) = if adjoint {
            (self.out_channels, self.in_channels)
        } else {
            (self.in_channels, self.out_channels)
        };
        let blocks = [self.bins(), batch.div_ceil(MIX_TILE), outputs.div_ceil(MIX_TILE)];
        let shared = MIX_INNER * (4 * MIX_TILE + 2) * size_of::<f32>();
        launch!(
            device,
            "spectral_mix",
            Grid::new(blocks, MIX_THREADS).with_shared(shared),
            source,
            kernel,
            target,
            inputs,
            outputs,
            batch,
            adjoint,
            device.tf32()
        )
    }

    fn backward<L: Launcher>(
        &self,
        device: &L,
        transform: &RealTransform<L>,
        batch: usize,
        grad_output: Span<'_, L>,
        kernel: Span<'_, L>,
        saved: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        scale: f32,
        grad_kernel: SpanMut<'_, L>,
        grad_input: Option<SpanMut<'_, L>>,
    ) -> Result<()> {
        if self.domain == Domain::Spectra {
            self.kernel_gradient(device, batch, saved, grad_output, positions, scale, grad_kernel)?;
            return match grad_input {
                Some(grad_input) => self.mix(device, batch, true, grad_output, kernel, grad_input),
                None => Ok(()),
            };
        }
        let mut spectrum = Scratch::new(device, self.spectra_len(self.out_channels, batch))?;
        transform.forward(device, batch, grad_output, spectrum.all_mut(), 1.0, 1.0)?;
        self.kernel_gradient(device, batch, saved, spectrum.all(), positions, scale, grad_kernel)?;
        let Some(grad_input) = grad_input else { return Ok(()) };
        let mut mixed = Scratch::new(device, self.spectra_len(self.in_channels, batch))?;
        self.mix(device, batch, true, spectrum.all(), kernel, mixed.all_mut())?;
        transform.inverse(device, batch, mixed.all(), grad_input, None, self.inverse_scale(), 1.0)
    }

    /// `grads[u] = scale·m/(H·W)·Σ_b conj(X[b, i])·G[b, o]`; between half spectra without the factor m/(H·W).
    fn kernel_gradient<L: Launcher>(
        &self,
        device: &L,
        batch: usize,
        input: Span<'_, L>,
        grad_output: Span<'_, L>,
        positions: Option<&IndexBuffer<L>>,
        scale: f32,
        grads: SpanMut<'_, L>,
    ) -> Result<()> {
        let paired = if self.domain == Domain::Images { 2.0_f32 } else { 1.0 };
        let scale = scale * self.inverse_scale();
        if positions.is_none() && !self.depthwise {
            let (inputs, outputs) = (self.in_channels, self.out_channels);
            let blocks = [self.bins(), inputs.div_ceil(MIX_TILE), outputs.div_ceil(MIX_TILE)];
            let shared = 4 * MIX_INNER * (MIX_TILE + 1) * size_of::<f32>();
            return launch!(
                device,
                "dense_kernel_gradient",
                Grid::new(blocks, MIX_THREADS).with_shared(shared),
                input,
                grad_output,
                grads,
                inputs,
                outputs,
                self.torus.1,
                batch,
                scale,
                paired,
                device.tf32()
            );
        }
        let entries = grads.len() / 2;
        let per_block = L::THREADS as usize / GRADIENT_LANES;
        let shared = L::THREADS as usize * 2 * size_of::<f32>();
        launch!(
            device,
            "spectral_kernel_gradient",
            Grid::new([entries.div_ceil(per_block), 1, 1], L::THREADS).with_shared(shared),
            input,
            grad_output,
            Argument::indices(positions),
            grads,
            entries,
            self.in_channels,
            self.out_channels,
            self.bins(),
            self.torus.1,
            batch,
            self.depthwise,
            scale,
            paired
        )
    }
}

impl<L: Launcher> Lattice<L> {
    fn num_taps(&self) -> usize {
        self.size * self.size * self.pairs
    }

    fn taps(&self) -> Span<'_, L> {
        Span::new(&self.taps, 0..self.num_taps())
    }

    fn set_values(&mut self, device: &L, values: Span<'_, L>) -> Result<()> {
        let len = self.num_taps();
        let grid = Grid::over(count(len), L::THREADS);
        let (size, pairs) = (self.size, self.pairs);
        let taps = SpanMut::new(&mut self.taps, 0..len);
        launch!(device, "lattice_taps", grid, values, self.roots.table(), taps, size, pairs)
    }

    fn taps_adjoint(&self, device: &L, grad_taps: Span<'_, L>, grad_values: SpanMut<'_, L>) -> Result<()> {
        let grid = Grid::over(count(grad_values.len() / 2), L::THREADS);
        let roots = self.roots.table();
        launch!(device, "lattice_taps_adjoint", grid, grad_taps, roots, grad_values, self.size, self.pairs)
    }

    /// Taps to weights, or with `adjoint` back, times `scale`.
    fn reorder(
        &self,
        device: &L,
        sizes: &Sizes,
        source: Span<'_, L>,
        target: SpanMut<'_, L>,
        scale: f32,
        adjoint: bool,
    ) -> Result<()> {
        let outputs = if sizes.depthwise { 1 } else { sizes.out_channels };
        let grid = Grid::over(count(self.num_taps()), L::THREADS);
        launch!(
            device,
            "lattice_weights",
            grid,
            source,
            target,
            self.size,
            sizes.in_channels,
            outputs,
            scale,
            adjoint
        )
    }

    fn spectrum(
        &self,
        device: &L,
        transform: &RealTransform<L>,
        (height, width): (usize, usize),
        kernel: SpanMut<'_, L>,
    ) -> Result<()> {
        let grid = Grid::over(count(kernel.len() / 2), L::THREADS);
        launch!(
            device,
            "lattice_spectrum",
            grid,
            self.taps(),
            transform.column_roots().table(),
            transform.row_roots().table(),
            kernel,
            self.size,
            height,
            width,
            self.pairs
        )
    }

    fn spectrum_adjoint(
        &self,
        device: &L,
        transform: &RealTransform<L>,
        (height, width): (usize, usize),
        grad_kernel: Span<'_, L>,
        grad_taps: SpanMut<'_, L>,
    ) -> Result<()> {
        let grid = Grid::over(count(self.num_taps()), L::THREADS);
        launch!(
            device,
            "lattice_spectrum_adjoint",
            grid,
            grad_kernel,
            transform.column_roots().table(),
            transform.row_roots().table(),
            grad_taps,
            self.size,
            height,
            width,
            self.pairs
        )
    }
}
