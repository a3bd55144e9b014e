//! Pooling over windows: the maximum or the mean.

use super::prelude::*;
use crate::device::IndexBuffer;
use crate::nn::PoolSizes;

/// The windows of a pooling layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolWindow {
    /// Rows and columns of a window. Default: 2.
    #[serde(default = "two")]
    pub size: usize,
    /// Pixels from one window to the next. Default: `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
}

/// A layer of type `max-pool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxPoolLayerConfig(pub PoolWindow);

/// A layer of type `avg-pool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AvgPoolLayerConfig(pub PoolWindow);

fn two() -> usize {
    2
}

impl PoolWindow {
    /// Pixels from one window to the next.
    pub fn stride(&self) -> usize {
        self.stride.unwrap_or(self.size)
    }

    fn plan<Op>(
        &self,
        at: &Context<'_>,
        op: impl FnOnce(PoolSizes) -> Op,
    ) -> Result<Planned<Op>, NetworkError> {
        let (channels, height, width) = at.image()?;
        at.smaller("size", self.size, height.min(width))?;
        let stride = self.stride();
        at.at_least_one("stride", stride)?;
        let sizes = PoolSizes { channels, height, width, size: self.size, stride };
        let output = Shape::Image { channels, height: sizes.output_height(), width: sizes.output_width() };
        Ok(Planned::new(op(sizes), output))
    }

    /// Windows keep their extent in the image where that is a whole number of pixels. Where it is not they keep their
    /// size, and layers behind them see images of another size.
    fn resize(&mut self, growth: Growth) -> Growth {
        let (Some(size), Some(stride)) = (growth.scaled(self.size), growth.scaled(self.stride())) else {
            return growth;
        };
        *self = Self { size, stride: Some(stride) };
        Growth::NONE
    }
}

impl LayerKind for MaxPoolLayerConfig {
    type Op = MaxPool;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<MaxPool>, NetworkError> {
        self.0.plan(at, MaxPool)
    }

    fn resize(&mut self, _: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        Ok(self.0.resize(growth))
    }
}

impl LayerKind for AvgPoolLayerConfig {
    type Op = AvgPool;

    fn plan(&self, at: &Context<'_>) -> Result<Planned<AvgPool>, NetworkError> {
        self.0.plan(at, AvgPool)
    }

    fn resize(&mut self, _: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        Ok(self.0.resize(growth))
    }
}

/// The maximum over windows; training steps keep the place of each.
#[derive(Clone, Debug)]
pub(crate) struct MaxPool(PoolSizes);

impl LayerOp for MaxPool {
    type State<D: Device> = IndexBuffer<D>;
    const BACKWARD_READS_INPUT: bool = PoolSizes::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, device: &D, max_batch: usize) -> Result<IndexBuffer<D>, DeviceError> {
        device.alloc_indices(self.0.output_len(max_batch))
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.max_pool(&self.0, pass.training.then_some(pass.state), io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.max_pool_vjp(&self.0, pass.state, io)
    }

    fn memory<D: Device>(&self, _: &D, batches: &PlannedBatches) -> Result<LayerMemory, DeviceError> {
        Ok(LayerMemory::working(self.0.output_len(batches.largest()) * size_of::<u32>()))
    }

    fn working_bytes<D: Device>(&self, _: &IndexBuffer<D>, _: &D, max_batch: usize) -> usize {
        self.0.output_len(max_batch) * size_of::<u32>()
    }
}

/// The mean over windows.
#[derive(Clone, Debug)]
pub(crate) struct AvgPool(PoolSizes);

impl LayerOp for AvgPool {
    type State<D: Device> = ();
    const BACKWARD_READS_INPUT: bool = PoolSizes::BACKWARD_READS_INPUT;

    fn prepare<D: Device>(&self, _: &D, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.device.average_pool(&self.0, io)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.device.average_pool_adjoint(&self.0, io)
    }
}
