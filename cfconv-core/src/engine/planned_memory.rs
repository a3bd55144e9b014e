//! How much memory a layer will take, from its plan alone.

use cfconv_fft::{Complex, Real};

use super::{EnginePlan, PlannedAlgorithm};
use crate::config::EvaluationKernel;

/// Bytes that a [`Engine`](super::Engine) and its workspace grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlannedMemory {
    /// The kernel state.
    pub state: usize,
    /// What rolling a step back needs, where that is enabled.
    pub rollback: usize,
    /// The kernel of an evaluation that does not use the state itself.
    pub evaluation_kernel: usize,
    /// What a training forward pass keeps for its backward pass.
    pub saved: usize,
    /// Positions, taps and buffers of parallel tasks.
    pub scratch: usize,
    /// The workspace, which all layers of a network share.
    pub workspace: PlannedWorkspace,
}

/// Bytes that the parts of a workspace grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlannedWorkspace {
    /// Kernel values, or gradients, at the visited positions.
    pub values: usize,
    /// Spectra between the phases of a convolution.
    pub spectra: usize,
    /// The gradient of a depthwise kernel, channel by channel.
    pub by_channel: usize,
    /// The gradient of a lattice kernel's spectrum.
    pub lattice_spectrum: usize,
}

impl PlannedWorkspace {
    /// What a workspace grows to that serves both: each part is as large as the larger one.
    pub fn max(self, other: Self) -> Self {
        Self {
            values: self.values.max(other.values),
            spectra: self.spectra.max(other.spectra),
            by_channel: self.by_channel.max(other.by_channel),
            lattice_spectrum: self.lattice_spectrum.max(other.lattice_spectrum),
        }
    }

    /// The sum of all parts.
    pub fn total(self) -> usize {
        self.values + self.spectra + self.by_channel + self.lattice_spectrum
    }
}

impl EnginePlan {
    /// What a layer with this plan grows to with batches of up to `training_batch` and `evaluation_batch` images on
    /// `threads` threads, while it trains with steps that can be rolled back.
    ///
    /// `dense_evaluation` says whether [`begin_dense_evaluation`](super::Engine::begin_dense_evaluation) is
    /// to be called. Not counted are tables of twiddles and the tiles of the kernel network, some hundred KiB.
    ///
    /// # Examples
    /// ```
    /// use cfconv_core::engine::EnginePlan;
    /// use cfconv_core::{CfConv2dConfig, NumPositions, SamplerConfig};
    ///
    /// let mut config = CfConv2dConfig::new(4, 8, 16, 16);
    /// config.sampler = SamplerConfig::Stratified { num_positions: NumPositions::Share(0.25) };
    /// let memory = EnginePlan::try_new(&config)?.memory::<f32>(32, 32, 2, false);
    /// // 16×9 frequencies of 4×8 channel pairs, complex.
    /// assert_eq!(memory.state, 16 * 9 * 32 * 8);
    /// assert_eq!(memory.rollback, memory.state / 4); // a step visits a quarter of the positions
    /// // Two blocks of 16 images, 9 columns, 4 channels, 16 rows.
    /// assert_eq!(memory.saved, 2 * 9 * 4 * 16 * 16 * 8);
    /// # Ok::<(), cfconv_core::CoreError>(())
    /// ```
    pub fn memory<T: Real>(
        &self,
        training_batch: usize,
        evaluation_batch: usize,
        threads: usize,
        dense_evaluation: bool,
    ) -> PlannedMemory {
        let config = self.config();
        let complex = size_of::<Complex<T>>();
        let visited = self.sampler().max_positions() * complex;
        let state = self.grid.num_positions() * complex;
        let own_kernel = dense_evaluation
            || config.refresh_before_evaluation
            || config.evaluation_kernel == EvaluationKernel::Dense;
        let mut memory = PlannedMemory {
            state,
            rollback: visited,
            evaluation_kernel: if own_kernel { state } else { 0 },
            scratch: self.sampler().planned_bytes(),
            ..Default::default()
        };
        let spectral = match self.algorithm {
            PlannedAlgorithm::Spectral | PlannedAlgorithm::LatticeFft => Some(self.spectral::<T>()),
            PlannedAlgorithm::LatticeDirect => None,
        };
        if let Some(conv) = &spectral {
            memory.saved = conv.planned_saved_bytes(training_batch);
            memory.scratch += conv.planned_scratch_bytes(training_batch.max(evaluation_batch), threads);
            memory.workspace =
                conv.planned_workspace(training_batch).max(conv.planned_workspace(evaluation_batch));
        }
        memory.workspace.values = visited;
        let taps = self.grid.height * self.grid.width * self.grid.num_channel_pairs() * size_of::<T>();
        match spectral {
            Some(_) if self.algorithm == PlannedAlgorithm::Spectral => {}
            Some(conv) => {
                let kernel = conv.num_positions() * complex;
                memory.scratch += taps + kernel;
                memory.workspace.lattice_spectrum = kernel;
            }
            None => {
                memory.saved = self.input_len(training_batch) * size_of::<T>();
                memory.scratch += 3 * taps + self.direct::<T>().planned_scratch_bytes(threads);
            }
        }
        memory
    }
}
