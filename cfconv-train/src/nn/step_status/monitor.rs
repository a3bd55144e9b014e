//! The sums of the steps that the host has not looked at yet.

use super::{STEP_STATUS_LEN, StepStatusOp, StepSums};
use crate::device::{Buffer, DeviceError, Memory, Result, Span, SpanMut};

/// The sums of up to a fixed number of training steps on a device, and their status.
///
/// # Examples
/// ```
/// use cfconv_train::device::{Cpu, Memory, Span};
/// use cfconv_train::nn::StepMonitor;
///
/// let device = Cpu::default();
/// let mut monitor = StepMonitor::try_new(&device, 2)?;
/// for grads in [[3.0, 4.0], [f32::NAN, 0.0]] {
///     let grads = device.to_device(&grads)?;
///     monitor.check_finite(&device, 0.0, Span::new(&grads, 0..2))?;
/// }
/// let sums = monitor.sync(&device)?;
/// assert_eq!(sums[0].grad_norm(), 5.0);
/// assert!(!sums[1].is_finite());
/// # Ok::<(), cfconv_train::device::DeviceError>(())
/// ```
#[derive(Debug)]
pub struct StepMonitor<D: Memory> {
    /// [`StepSums`] of each step.
    sums: Buffer<D>,
    step_status: Buffer<D>,
    capacity: usize,
    steps: usize,
}

impl<D: Memory> StepMonitor<D> {
    /// Room for `capacity` steps, at least 1.
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn try_new(device: &D, capacity: usize) -> Result<Self> {
        let capacity = capacity.max(1);
        Ok(Self {
            sums: device.alloc(capacity * StepSums::LEN)?,
            step_status: device.to_device(&[0.0, 1.0])?,
            capacity,
            steps: 0,
        })
    }

    /// Whether no further step fits.
    pub fn is_full(&self) -> bool {
        self.steps == self.capacity
    }

    /// What the operations behind a step obey.
    pub fn step_status(&self) -> Span<'_, D> {
        Span::new(&self.step_status, 0..STEP_STATUS_LEN)
    }

    /// The place of the next step's sums.
    fn next(&self, op: &'static str) -> Result<std::ops::Range<usize>> {
        if self.is_full() {
            let expected = "fewer than the monitor's capacity: sync it first";
            return Err(DeviceError::UnsupportedSize { op, name: "steps", expected, got: self.steps });
        }
        Ok(self.steps * StepSums::LEN..(self.steps + 1) * StepSums::LEN)
    }
}

impl<D: StepStatusOp> StepMonitor<D> {
    /// Takes in the losses of the step that [`check_finite`](Self::check_finite) ends.
    ///
    /// # Errors
    /// If the monitor is full, or the lengths differ.
    pub fn sum_losses(&mut self, device: &D, losses: Span<'_, D>, correct: Span<'_, D>) -> Result<()> {
        let next = self.next("StepMonitor::sum_losses")?;
        device.sum_losses(losses, correct, SpanMut::new(&mut self.sums, next))
    }

    /// Judges a step by its gradients and the losses taken in before.
    ///
    /// # Errors
    /// If the monitor is full.
    pub fn check_finite(&mut self, device: &D, clip_norm: f64, grads: Span<'_, D>) -> Result<()> {
        let next = self.next("StepMonitor::check_finite")?;
        let step_status = SpanMut::new(&mut self.step_status, 0..STEP_STATUS_LEN);
        device.check_finite(clip_norm, grads, SpanMut::new(&mut self.sums, next), step_status)?;
        self.steps += 1;
        Ok(())
    }

    /// Waits for the steps since the last call and gives their sums; of a step that failed and all behind it nothing
    /// else has changed. The next step counts again.
    ///
    /// # Errors
    /// What the device reports, of the operations before too.
    pub fn sync(&mut self, device: &D) -> Result<Vec<StepSums>> {
        let values = device.to_host(Span::new(&self.sums, 0..self.steps * StepSums::LEN))?;
        self.steps = 0;
        let sums: Vec<StepSums> = values.as_chunks().0.iter().map(StepSums::from_values).collect();
        if !sums.iter().all(StepSums::is_finite) {
            device.fill(SpanMut::new(&mut self.step_status, 0..1), 0.0)?;
        }
        Ok(sums)
    }
}
