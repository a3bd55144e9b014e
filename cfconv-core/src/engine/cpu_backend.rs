//! The engine's primitives on the processor.

use std::borrow::Cow;
use std::ops::Range;

use cfconv_fft::{Complex, Real};
use cfconv_mlp::KernelMlp;

use super::backend::{EngineBackend, EngineMemory};
use super::buffers::resize_exact;
use super::direct_conv::add_plane_sums;
use super::kernel_conv::{ConvWorkspace, KernelConv};
use super::{Domain, EnginePlan};
use crate::error::{CoreError, Result};
use crate::kernel_state;
use crate::sampler::SampledPositions;

/// The processor, with operands in slices.
#[derive(Debug, Clone)]
pub struct CpuBackend<T: Real> {
    mlp: KernelMlp<T>,
    conv: KernelConv<T>,
    domain: Domain,
    /// Values of one channel of an image, or of its half spectrum.
    plane_len: usize,
    /// Pixels of an image.
    pixels: usize,
}

/// Complex numbers.
type Values<T> = Vec<Complex<T>>;

impl<T: Real> CpuBackend<T> {
    /// Prepares what a layer needs: the kernel network, tables of transforms, taps.
    ///
    /// # Errors
    /// None for a plan that exists.
    pub fn try_new(plan: &EnginePlan) -> Result<Self> {
        let config = plan.config();
        Ok(Self {
            mlp: KernelMlp::try_new(&config.mlp, plan.grid)?,
            conv: plan.kernel_conv()?,
            domain: plan.domain,
            plane_len: plan.plane_len(),
            pixels: config.height * config.width,
        })
    }
}

impl<T: Real> EngineMemory for CpuBackend<T> {
    type Real = T;
    type Slice<'a> = &'a [T];
    type SliceMut<'a> = &'a mut [T];
    type Values = Values<T>;
    type Error = CoreError;

    fn len(slice: &[T]) -> usize {
        slice.len()
    }

    fn len_mut(slice: &&mut [T]) -> usize {
        slice.len()
    }

    fn part<'a>(slice: Self::Slice<'a>, range: Range<usize>) -> Self::Slice<'a> {
        &slice[range]
    }

    fn part_mut<'a>(slice: &'a mut &mut [T], range: Range<usize>) -> &'a mut [T] {
        &mut slice[range]
    }

    fn to_host<'a>(&self, slice: Self::Slice<'a>) -> Result<Cow<'a, [T]>> {
        Ok(Cow::Borrowed(slice))
    }

    fn upload(&self, host: &[T], target: &mut [T]) -> Result<()> {
        target.copy_from_slice(host);
        Ok(())
    }

    fn values_to_host<'a>(&self, values: &'a Values<T>) -> Result<Cow<'a, [Complex<T>]>> {
        Ok(Cow::Borrowed(values))
    }

    fn upload_values(&self, host: &[Complex<T>], values: &mut Values<T>) -> Result<()> {
        values.copy_from_slice(host);
        Ok(())
    }

    fn resize(&self, values: &mut Values<T>, len: usize) -> Result<()> {
        resize_exact(values, len, Complex::default());
        Ok(())
    }

    fn values_bytes(values: &Values<T>) -> usize {
        values.capacity() * size_of::<Complex<T>>()
    }
}

impl<T: Real> EngineBackend for CpuBackend<T> {
    type Workspace = ConvWorkspace<T>;

    fn mlp(&self) -> &KernelMlp<T> {
        &self.mlp
    }

    fn mlp_mut(&mut self) -> &mut KernelMlp<T> {
        &mut self.mlp
    }

    fn set_positions(&mut self, _positions: &SampledPositions) -> Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, network: &[T], at: &SampledPositions, output: &mut Values<T>) -> Result<()> {
        Ok(self.mlp.evaluate(network, at.as_positions(), output)?)
    }

    fn evaluate_vjp(
        &mut self,
        network: &[T],
        positions: &SampledPositions,
        grads: &Values<T>,
        grad_network: &mut [T],
    ) -> Result<()> {
        Ok(self.mlp.evaluate_vjp(network, positions.as_positions(), grads, grad_network)?)
    }

    fn blend(
        &self,
        state: &mut Values<T>,
        positions: &SampledPositions,
        phi: &Values<T>,
        ema_alpha: T,
    ) -> Result<()> {
        kernel_state::refresh(state, positions, phi, ema_alpha);
        Ok(())
    }

    fn blend_into(&self, state: &Values<T>, phi: &mut Values<T>, ema_alpha: T) -> Result<()> {
        kernel_state::refresh_into(state, phi, ema_alpha);
        Ok(())
    }

    fn gather(&self, state: &Values<T>, at: &SampledPositions, values: &mut Values<T>) -> Result<()> {
        match at.list() {
            None => values.copy_from_slice(state),
            Some(list) => {
                for (value, &position) in values.iter_mut().zip(list) {
                    *value = state[position as usize];
                }
            }
        }
        Ok(())
    }

    fn scatter(
        &self,
        values: &Values<T>,
        positions: &SampledPositions,
        state: &mut Values<T>,
        step_status: Option<&[T]>,
    ) -> Result<()> {
        if step_status.is_some_and(|step_status| step_status[0] == T::zero()) {
            return Ok(());
        }
        match positions.list() {
            None => state.copy_from_slice(values),
            Some(list) => {
                for (&position, &value) in list.iter().zip(values) {
                    state[position as usize] = value;
                }
            }
        }
        Ok(())
    }

    fn divide(&self, values: &mut Values<T>, divisors: impl Iterator<Item = f64>) -> Result<()> {
        for (value, divisor) in values.iter_mut().zip(divisors) {
            *value /= T::cast(divisor);
        }
        Ok(())
    }

    fn prepare(&mut self, kernel: &Values<T>) -> Result<()> {
        self.conv.prepare(kernel)
    }

    fn forward(
        &mut self,
        kernel: &Values<T>,
        batch: usize,
        input: &[T],
        bias: Option<&[T]>,
        output: &mut [T],
        training: bool,
        workspace: &mut ConvWorkspace<T>,
    ) -> Result<()> {
        self.conv.forward(batch, input, kernel, bias, output, training, workspace);
        Ok(())
    }

    fn backward(
        &mut self,
        kernel: &Values<T>,
        batch: usize,
        grad_output: &[T],
        positions: &SampledPositions,
        scale: T,
        grads: &mut Values<T>,
        grad_input: Option<&mut [T]>,
        workspace: &mut ConvWorkspace<T>,
    ) -> Result<()> {
        self.conv.backward(batch, grad_output, kernel, positions.list(), scale, grads, grad_input, workspace)
    }

    fn bias_gradient(&self, batch: usize, grad_output: &[T], grad_bias: &mut [T]) -> Result<()> {
        let plane_len = self.plane_len * batch;
        match self.domain {
            Domain::Images => add_plane_sums(grad_output, plane_len, grad_bias),
            Domain::Spectra => {
                let pixels = T::cast(self.pixels as f64);
                for (grad, plane) in grad_bias.iter_mut().zip(grad_output.chunks(plane_len)) {
                    *grad += pixels.sqrt() * plane[..batch].iter().copied().sum::<T>();
                }
            }
        }
        Ok(())
    }

    fn saved_bytes(&self) -> usize {
        self.conv.saved_bytes()
    }

    fn scratch_bytes(&self) -> usize {
        self.conv.scratch_bytes()
    }

    fn workspace_bytes(workspace: &ConvWorkspace<T>) -> usize {
        workspace.bytes()
    }
}
