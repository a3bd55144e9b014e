//! Patches of an image as the pixels of a smaller one.

use super::prelude::*;
use crate::nn::{PatchEmbedPlan, PatchEmbedSizes};

/// A layer of type `patch-embed`.
///
/// Initial weights have the variance 1/fan_in (LeCun et al., 1998, eq. 16).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchEmbedLayerConfig {
    /// Output channels.
    pub out_channels: usize,
    /// Rows and columns of a patch; the image is a whole number of patches.
    pub size: usize,
    /// Whether a learned constant is added to each channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl LayerKind for PatchEmbedLayerConfig {
    type Op = PatchEmbedSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<PatchEmbedSizes>, NetworkError> {
        let (in_channels, height, width) = at.image()?;
        let Self { out_channels, size, bias } = *self;
        at.at_least_one("out_channels", out_channels)?;
        at.at_least_one("size", size)?;
        if !height.is_multiple_of(size) || !width.is_multiple_of(size) {
            let expected = format!("a divisor of {height} and {width}, rows and columns of the input");
            return Err(at.setting("size", &expected, size));
        }
        let sizes = PatchEmbedSizes { in_channels, out_channels, height, width, size, bias };
        let variance = 1.0 / sizes.patch_len() as f64;
        let mut params = vec![Param::weight("weight", [out_channels, in_channels, size, size], variance)];
        params.extend(bias.then(|| Param::constant("bias", [out_channels], 0.0)));
        let (height, width) = (sizes.output_height(), sizes.output_width());
        let output = Shape::Image { channels: out_channels, height, width };
        Ok(Planned { params, ..Planned::new(sizes, output) })
    }
}

impl LayerOp for PatchEmbedSizes {
    type State<D: Device> = PatchEmbedPlan<D>;
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<PatchEmbedPlan<D>, DeviceError> {
        device.plan_patch_embed(self)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.patch_embed(pass.state, pass.scratch, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.patch_embed_vjp(pass.state, pass.scratch, io)
    }

    fn scratch_len(&self, batch: usize) -> usize {
        self.input_len(batch)
    }

    fn memory<D: Device>(&self, device: &D, _: &PlannedBatches) -> Result<LayerMemory, DeviceError> {
        let plan = device.plan_patch_embed(self)?;
        Ok(LayerMemory::working(device.patch_embed_planned_bytes(&plan)))
    }

    fn working_bytes<D: Device>(&self, plan: &PatchEmbedPlan<D>, device: &D, _: usize) -> usize {
        device.patch_embed_scratch_bytes(plan)
    }
}
