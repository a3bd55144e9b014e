//! Multi-head self-attention between pixels.

use super::prelude::*;
use crate::device::{Buffer, SpanMut};
use crate::nn::{SelfAttentionMemory, SelfAttentionPlan, SelfAttentionSizes};

/// A layer of type `self-attention`: every pixel attends to all pixels of its image.
///
/// Initial weights of both projections have the variance 1/fan_in (LeCun et al., 1998, eq. 16).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfAttentionLayerConfig {
    /// Heads, which divide the channels.
    pub heads: usize,
    /// Whether learned constants are added behind both projections. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl LayerKind for SelfAttentionLayerConfig {
    type Op = SelfAttentionSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<SelfAttentionSizes>, NetworkError> {
        let (channels, height, width) = at.image()?;
        let Self { heads, bias } = *self;
        if heads == 0 || !channels.is_multiple_of(heads) {
            let expected = format!("a divisor of {channels}, the channels of the input");
            return Err(at.setting("heads", &expected, heads));
        }
        let variance = 1.0 / channels as f64;
        let mut params = vec![
            Param::weight("qkv.weight", [3 * channels, channels], variance),
            Param::weight("out.weight", [channels, channels], variance),
        ];
        if bias {
            params.push(Param::constant("qkv.bias", [3 * channels], 0.0));
            params.push(Param::constant("out.bias", [channels], 0.0));
        }
        let sizes = SelfAttentionSizes { channels, height, width, heads, bias };
        Ok(Planned { params, ..Planned::new(sizes, at.shape) })
    }
}

/// What a self-attention keeps from pass to pass.
pub(crate) struct SelfAttentionState<D: Device> {
    plan: SelfAttentionPlan<D>,
    /// What a forward pass keeps for its backward pass.
    saved: Buffer<D>,
}

impl LayerOp for SelfAttentionSizes {
    type State<D: Device> = SelfAttentionState<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, max_batch: usize) -> Result<SelfAttentionState<D>, DeviceError> {
        let plan = device.plan_self_attention(self)?;
        let saved = device.alloc(device.self_attention_saved_len(&plan, max_batch))?;
        Ok(SelfAttentionState { plan, saved })
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        let (SelfAttentionState { plan, saved }, device) = (pass.state, pass.device);
        let saved = SpanMut::new(saved, 0..device.self_attention_saved_len(plan, io.batch));
        device.self_attention(plan, SelfAttentionMemory { saved, scratch: pass.scratch }, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        let (SelfAttentionState { plan, saved }, device) = (pass.state, pass.device);
        let saved = SpanMut::new(saved, 0..device.self_attention_saved_len(plan, io.batch));
        device.self_attention_vjp(plan, SelfAttentionMemory { saved, scratch: pass.scratch }, io)
    }

    fn scratch_len(&self, batch: usize) -> usize {
        self.scratch_len(batch)
    }

    fn memory<D: Device>(&self, device: &D, batches: &PlannedBatches) -> Result<LayerMemory, DeviceError> {
        let plan = device.plan_self_attention(self)?;
        let saved = device.self_attention_saved_len(&plan, batches.largest()) * size_of::<f32>();
        Ok(LayerMemory::working(device.self_attention_planned_bytes(&plan) + saved))
    }

    fn working_bytes<D: Device>(&self, state: &SelfAttentionState<D>, device: &D, max_batch: usize) -> usize {
        device.self_attention_scratch_bytes(&state.plan)
            + device.self_attention_saved_len(&state.plan, max_batch) * size_of::<f32>()
    }
}
