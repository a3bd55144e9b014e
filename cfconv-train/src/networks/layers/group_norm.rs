//! Group normalisation: over the channels of a group and all pixels of one image.

use super::prelude::*;
use crate::nn::GroupNormSizes;

/// A layer of type `group-norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormLayerConfig {
    /// Groups of adjacent channels; a divisor of the channels.
    pub num_groups: usize,
    /// What is added to variances. Default: 1e-5.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
}

fn epsilon() -> f64 {
    1e-5
}

impl LayerKind for GroupNormLayerConfig {
    type Op = GroupNormSizes;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<GroupNormSizes>, NetworkError> {
        at.positive("epsilon", self.epsilon)?;
        let (channels, pixels) = match at.shape {
            Shape::Features(features) => (features, 1),
            Shape::Image { .. } | Shape::Spectrum { .. } => {
                at.image().map(|(channels, height, width)| (channels, height * width))?
            }
        };
        let groups = self.num_groups;
        if groups == 0 || !channels.is_multiple_of(groups) {
            let expected = format!("a divisor of {channels}, the channels of the input");
            return Err(at.setting("num_groups", &expected, groups));
        }
        let params =
            vec![Param::constant("weight", [channels], 1.0), Param::constant("bias", [channels], 0.0)];
        let sizes = GroupNormSizes { channels, pixels, groups, epsilon: self.epsilon as f32 };
        Ok(Planned { params, ..Planned::new(sizes, at.shape) })
    }
}

impl LayerOp for GroupNormSizes {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = <Self as OpSizes>::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.group_norm(self, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.group_norm_vjp(self, io)
    }
}
