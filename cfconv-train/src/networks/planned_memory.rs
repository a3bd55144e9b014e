//! How much memory a network will take, before any is allocated.

use cfconv_core::engine::PlannedWorkspace;

use super::error::Result;
use super::layers::PlannedBatches;
use super::network::Network;
use super::plan::NetworkPlan;
use crate::device::Device;

/// Bytes that the parts of a [`Network`] grow to while it trains, with steps that can be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkMemory {
    /// Parameters, gradients and running statistics.
    pub parameters: usize,
    /// Kernel states, what rolling a step back needs of them, and kernels of evaluations.
    pub kernel_states: usize,
    /// The buffers that values and gradients share in turn.
    pub activations: usize,
    /// What layers keep for their backward pass, and their working memory.
    pub layers: usize,
}

impl NetworkMemory {
    /// The sum of all parts.
    pub fn total(&self) -> usize {
        self.parameters + self.kernel_states + self.activations + self.layers
    }
}

impl NetworkPlan {
    /// What a network of this plan grows to on `device`: at most, for buffers of parallel tasks are counted for every
    /// thread. Some hundred KiB of tables and tiles are not counted.
    ///
    /// # Errors
    /// What a layer reports.
    ///
    /// # Examples
    /// ```
    /// use cfconv_train::device::Cpu;
    /// use cfconv_train::networks::{InputShape, NetworkConfig, NetworkPlan, PlannedBatches};
    ///
    /// let config: NetworkConfig = toml::from_str("layers = [{ type = 'flatten' }, { type = 'linear' }]")?;
    /// let plan = NetworkPlan::try_new(&config, InputShape { channels: 3, height: 2, width: 2 }, 5)?;
    /// let batches = PlannedBatches { training: 4, evaluation: 8, other_weights: false };
    /// let memory = plan.memory(&Cpu::default(), &batches)?;
    /// assert_eq!(memory.parameters, 2 * (12 * 5 + 5) * 4);
    /// assert_eq!((memory.kernel_states, memory.activations), (0, plan.activation_bytes(8)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory<D: Device>(&self, device: &D, batches: &PlannedBatches) -> Result<NetworkMemory> {
        let largest = batches.largest();
        let value = size_of::<f32>();
        let (mut kernel_states, mut layers) = (0, 0);
        let mut workspace = PlannedWorkspace::default();
        for layer in &self.layers {
            let Some(op) = layer.step.operation() else { continue };
            let planned = op.memory(device, batches);
            let planned = planned.map_err(|source| Network::<D>::layer_error(layer, source))?;
            kernel_states += planned.kernel_states;
            layers += planned.working;
            workspace = workspace.max(planned.workspace);
        }
        // Labels, losses, right answers and probabilities.
        let results = (3 + self.classes()) * largest * value;
        Ok(NetworkMemory {
            parameters: (2 * self.num_parameters() + 3 * self.running_len) * value,
            kernel_states,
            activations: self.activation_bytes(largest),
            layers: layers + workspace.total() + results,
        })
    }
}
