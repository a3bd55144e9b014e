//! The layer on NCHW arrays, with its own parameters.

use cfconv_fft::Real;
use ndarray::{Array4, ArrayView4};

use crate::config::{CfConv2dConfig, ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill};
use crate::engine::{CfConv2dEngine, CfConvWorkspace, PaddingMode};
use crate::error::{CoreError, Result};
use crate::sampler::SamplerConfig;
use crate::seed::StepSeed;
use cfconv_mlp::KernelMlpConfig;

/// A continuous Fourier convolution of images `[B, Cin, H, W]`, with its parameters.
///
/// Wraps [`CfConv2dEngine`] for use outside a trainer: it owns parameters and workspace, and transposes to
/// the engine's layout and back. One step is [`begin_step`](Self::begin_step),
/// [`forward`](Self::forward), [`backward`](Self::backward), and an update of
/// [`params_mut`](Self::params_mut). The crate page shows a training loop.
///
/// # Examples
/// ```
/// use cfconv_core::{CfConv2d, SamplerConfig};
/// use ndarray::Array4;
///
/// let mut layer = CfConv2d::<f32>::builder(3, 8, 16, 16)
///     .sampler(SamplerConfig::Lattice { size: 5 })
///     .build(42)?;
/// layer.begin_evaluation()?;
/// let images = Array4::from_elem((2, 3, 16, 16), 1.0);
/// let (output, _) = layer.forward(images.view())?;
/// assert_eq!(output.dim(), (2, 8, 16, 16));
/// # Ok::<(), cfconv_core::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CfConv2d<T: Real> {
    engine: CfConv2dEngine<T>,
    params: Vec<T>,
    workspace: CfConvWorkspace<T>,
    run_seed: u64,
    /// Number of the last forward pass.
    forwards: u64,
}

/// Ties a backward pass to its forward pass, whose spectra the layer keeps.
#[derive(Debug)]
#[must_use = "the backward pass needs it"]
pub struct CfConv2dSaved {
    batch: usize,
    forward: u64,
}

impl<T: Real> CfConv2d<T> {
    /// Plans and initialises the layer. `run_seed` fixes the initial parameters and the positions of every
    /// step.
    ///
    /// # Errors
    /// As for [`CfConv2dConfig::validate`] and [`CfConv2dEngine::initialize`].
    pub fn try_new(config: &CfConv2dConfig, run_seed: u64) -> Result<Self> {
        let mut engine = CfConv2dEngine::try_new(config)?;
        let mut params = vec![T::zero(); engine.num_parameters()];
        engine.initialize(StepSeed { run_seed, layer: 0, step: 0 }, &mut params)?;
        Ok(Self { engine, params, workspace: CfConvWorkspace::default(), run_seed, forwards: 0 })
    }

    /// Starts a configuration from the sizes.
    pub fn builder(in_channels: usize, out_channels: usize, height: usize, width: usize) -> CfConv2dBuilder {
        CfConv2dBuilder { config: CfConv2dConfig::new(in_channels, out_channels, height, width) }
    }

    /// The layer below: kernel state, shadow gap, coverage.
    pub fn engine(&self) -> &CfConv2dEngine<T> {
        &self.engine
    }

    /// The parameters: those of the kernel network, then the bias.
    pub fn params(&self) -> &[T] {
        &self.params
    }

    /// The parameters, to be updated between steps.
    pub fn params_mut(&mut self) -> &mut [T] {
        &mut self.params
    }

    /// Begins training step `step`: draws its positions and refreshes the kernel there.
    ///
    /// # Errors
    /// As for [`CfConv2dEngine::begin_step`].
    pub fn begin_step(&mut self, step: u64) -> Result<()> {
        let seed = StepSeed { run_seed: self.run_seed, layer: 0, step };
        self.engine.begin_step(&self.params, seed, &mut self.workspace)
    }

    /// Begins an evaluation.
    ///
    /// # Errors
    /// As for [`CfConv2dEngine::begin_evaluation`].
    pub fn begin_evaluation(&mut self) -> Result<()> {
        self.engine.begin_evaluation(&self.params)
    }

    /// Computes the output.
    ///
    /// # Shapes
    /// `input` `[B, Cin, H, W]`; returns `[B, Cout, H, W]` and what [`backward`](Self::backward) takes.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] for another shape; [`CoreError::WrongOrder`] before the first step or
    /// evaluation.
    pub fn forward(&mut self, input: ArrayView4<T>) -> Result<(Array4<T>, CfConv2dSaved)> {
        let CfConv2dConfig { in_channels, out_channels, height, width, .. } = *self.engine.config();
        let batch = input.dim().0;
        check_shape("CfConv2d::forward", "input", (in_channels, height, width), input.dim())?;
        let values = nchw_to_chwn(input);
        let mut output = vec![T::zero(); out_channels * height * width * batch];
        self.engine.forward(&self.params, batch, &values, &mut output, &mut self.workspace)?;
        self.forwards += 1;
        let saved = CfConv2dSaved { batch, forward: self.forwards };
        Ok((chwn_to_nchw(output, (out_channels, height, width, batch))?, saved))
    }

    /// Computes the gradient of the input, and adds those of the parameters to `grad_params`.
    ///
    /// # Shapes
    /// `grad_output` `[B, Cout, H, W]`, `grad_params` as long as [`params`](Self::params); returns
    /// `[B, Cin, H, W]`.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] for another shape; [`CoreError::WrongOrder`] if `saved` is not from the
    /// last forward pass of a training step.
    pub fn backward(
        &mut self,
        saved: CfConv2dSaved,
        grad_output: ArrayView4<T>,
        grad_params: &mut [T],
    ) -> Result<Array4<T>> {
        const OP: &str = "CfConv2d::backward";
        let CfConv2dConfig { in_channels, out_channels, height, width, .. } = *self.engine.config();
        let CfConv2dSaved { batch, forward } = saved;
        if forward != self.forwards {
            return Err(CoreError::WrongOrder { op: OP, needed: "backward right after its own forward" });
        }
        check_shape(OP, "grad_output", (out_channels, height, width), grad_output.dim())?;
        if grad_output.dim().0 != batch {
            return Err(CoreError::ShapeMismatch {
                op: OP,
                operand: "grad_output",
                expected: vec![batch, out_channels, height, width],
                got: grad_output.shape().to_vec(),
            });
        }
        let values = nchw_to_chwn(grad_output);
        let mut grad_input = vec![T::zero(); in_channels * height * width * batch];
        self.engine.backward(
            &self.params,
            batch,
            &values,
            Some(&mut grad_input),
            grad_params,
            &mut self.workspace,
        )?;
        chwn_to_nchw(grad_input, (in_channels, height, width, batch))
    }
}

/// `[B, C, H, W]` → `[C, H, W, B]`.
fn nchw_to_chwn<T: Real>(images: ArrayView4<T>) -> Vec<T> {
    let values = images.permuted_axes([1, 2, 3, 0]);
    values.as_standard_layout().into_owned().into_raw_vec_and_offset().0
}

/// `[C, H, W, B]` → `[B, C, H, W]`.
fn chwn_to_nchw<T: Real>(values: Vec<T>, shape: (usize, usize, usize, usize)) -> Result<Array4<T>> {
    let len = values.len();
    let values = Array4::from_shape_vec(shape, values).map_err(|_| CoreError::ShapeMismatch {
        op: "CfConv2d",
        operand: "values",
        expected: vec![shape.0, shape.1, shape.2, shape.3],
        got: vec![len],
    })?;
    Ok(values.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned())
}

fn check_shape(
    op: &'static str,
    operand: &'static str,
    (channels, height, width): (usize, usize, usize),
    (batch, got_channels, got_height, got_width): (usize, usize, usize, usize),
) -> Result<()> {
    if batch > 0 && (channels, height, width) == (got_channels, got_height, got_width) {
        return Ok(());
    }
    let expected = vec![batch.max(1), channels, height, width];
    Err(CoreError::ShapeMismatch {
        op,
        operand,
        expected,
        got: vec![batch, got_channels, got_height, got_width],
    })
}

/// Configures a [`CfConv2d`] setting by setting; [`build`](Self::build) validates.
#[derive(Debug, Clone, PartialEq)]
pub struct CfConv2dBuilder {
    config: CfConv2dConfig,
}

impl CfConv2dBuilder {
    /// Sets whether each output channel comes from its own input channel alone.
    pub fn depthwise(mut self, depthwise: bool) -> Self {
        self.config.depthwise = depthwise;
        self
    }

    /// Sets what lies beyond the border.
    pub fn padding(mut self, padding: PaddingMode) -> Self {
        self.config.padding = padding;
        self
    }

    /// Sets the rows and columns of zeros beyond the border, as a share of the image's.
    pub fn padding_share(mut self, padding_share: f64) -> Self {
        self.config.padding_share = padding_share;
        self
    }

    /// Sets whether a learned constant is added to each output channel.
    pub fn bias(mut self, bias: bool) -> Self {
        self.config.bias = bias;
        self
    }

    /// Sets the kernel network.
    pub fn mlp(mut self, mlp: KernelMlpConfig) -> Self {
        self.config.mlp = mlp;
        self
    }

    /// Sets which positions a step visits.
    pub fn sampler(mut self, sampler: SamplerConfig) -> Self {
        self.config.sampler = sampler;
        self
    }

    /// Sets the weight of a new value in the kernel state.
    pub fn ema_alpha(mut self, ema_alpha: f64) -> Self {
        self.config.ema_alpha = ema_alpha;
        self
    }

    /// Sets the factor by which gradients pass to Φ.
    pub fn gradient_scale(mut self, gradient_scale: GradientScale) -> Self {
        self.config.gradient_scale = gradient_scale;
        self
    }

    /// Sets the state before the first step.
    pub fn initial_fill(mut self, initial_fill: InitialFill) -> Self {
        self.config.initial_fill = initial_fill;
        self
    }

    /// Sets the kernel that evaluation uses.
    pub fn evaluation_kernel(mut self, evaluation_kernel: EvaluationKernel) -> Self {
        self.config.evaluation_kernel = evaluation_kernel;
        self
    }

    /// Sets whether evaluation refreshes a copy of the state first.
    pub fn refresh_before_evaluation(mut self, refresh: bool) -> Self {
        self.config.refresh_before_evaluation = refresh;
        self
    }

    /// Sets the algorithm that convolves with a lattice kernel.
    pub fn algorithm(mut self, algorithm: ConvAlgorithm) -> Self {
        self.config.algorithm = algorithm;
        self
    }

    /// The configuration so far.
    pub fn config(&self) -> &CfConv2dConfig {
        &self.config
    }

    /// Builds the layer.
    ///
    /// # Errors
    /// As for [`CfConv2d::try_new`].
    pub fn build<T: Real>(&self, run_seed: u64) -> Result<CfConv2d<T>> {
        CfConv2d::try_new(&self.config, run_seed)
    }
}
