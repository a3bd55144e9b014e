//! Complex activations on the CUDA device.

use super::{ComplexActivation, ComplexActivationOp, ComplexActivationSizes};
use crate::device::Result;
use crate::device::cuda::{ChannelSums, Grid, Launcher, count, launch};
use crate::nn::{Backward, Forward};

/// Sums of each channel: as many as the function with most parameters has.
const SUMS: usize = 3;

/// The function's number in `kernels/complex.cu`.
fn number(function: ComplexActivation) -> u32 {
    match function {
        ComplexActivation::Modrelu => 0,
        ComplexActivation::Crelu => 1,
        ComplexActivation::Zrelu => 2,
        ComplexActivation::Cardioid => 3,
        ComplexActivation::PhaseGate => 4,
    }
}

impl<L: Launcher> ComplexActivationOp for L {
    fn complex_activation_kernel(&self, sizes: &ComplexActivationSizes, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let (channels, bins) = (sizes.spectrum.channels, bins(sizes));
        let grid = Grid::over(count(input.len() / 2), L::THREADS);
        launch!(
            self,
            "complex_activation",
            grid,
            input,
            params,
            output,
            number(sizes.function),
            channels,
            bins,
            batch
        )
    }

    fn complex_activation_vjp_kernel(
        &self,
        sizes: &ComplexActivationSizes,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        let input = io.checked_input();
        let Backward { batch, params, grad_output, grad_input, grad_params, .. } = io;
        let (channels, bins, function) = (sizes.spectrum.channels, bins(sizes), number(sizes.function));
        if let Some(grad_input) = grad_input {
            let grid = Grid::over(count(input.len() / 2), L::THREADS);
            launch!(
                self,
                "complex_activation_vjp",
                grid,
                input,
                params,
                grad_output,
                grad_input,
                function,
                channels,
                bins,
                batch
            )?;
        }
        let parameters = sizes.function.parameters().len();
        if parameters == 0 {
            return Ok(());
        }
        let sums = ChannelSums::new::<L>(channels, bins * batch);
        let mut partial = sums.partial(self, SUMS)?;
        launch!(
            self,
            "complex_activation_sums",
            sums.grid::<L>(SUMS),
            input,
            params,
            grad_output,
            partial.all_mut(),
            function,
            channels,
            bins,
            batch
        )?;
        launch!(
            self,
            "add_complex_activation_sums",
            sums.channel_grid::<L>(),
            partial.all(),
            grad_params,
            channels,
            sums.chunks(),
            parameters
        )
    }
}

fn bins(sizes: &ComplexActivationSizes) -> usize {
    sizes.spectrum.height * sizes.spectrum.half_width()
}
