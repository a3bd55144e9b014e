//! The graphics card of this process: the program `cfconv-bench-cuda`.

use anyhow::Result;
use cfconv_train::cli::{CudaCard, GraphicsCard, NoCard, RunOnCard};
use cfconv_train::device::cuda::CudaDevice;
use serde_json::Value;

use crate::cli::{DeviceCommand, DeviceMeasurement, print};
use crate::{Limits, device_layer, net};

impl GraphicsCard<DeviceMeasurement> for CudaCard {
    fn open(&self, tf32: bool) -> Result<RunOnCard<DeviceMeasurement>, NoCard> {
        let device = self.device(tf32)?;
        Ok(Box::new(move |measurement| {
            let mut report = measure(&device, &measurement)?;
            report["tf32"] = tf32.into();
            print(report, measurement.json)
        }))
    }
}

fn measure(device: &CudaDevice, measurement: &DeviceMeasurement) -> Result<Value> {
    let card = device.limits()?;
    match &measurement.command {
        DeviceCommand::Layer(args) => {
            let limits = Limits {
                device: card.name,
                flops: Some(card.f32_operations),
                bytes_per_second: Some(card.memory_bytes),
            };
            Ok(serde_json::to_value(device_layer::run(device, &limits, args, &measurement.run)?)?)
        }
        DeviceCommand::Net(args) => {
            let mut report = serde_json::to_value(net::run_on(device.clone(), args, &measurement.run)?)?;
            report["device"] = card.name.into();
            Ok(report)
        }
    }
}
