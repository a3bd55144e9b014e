//! The graphics card of this process: the program `cfconv-bench-cuda`.

use std::process::ExitCode;

use anyhow::Result;
use cfconv_bench::{Limits, RunArgs, device_layer, layer, net};
use cfconv_train::device::cuda::CudaDevice;
use serde_json::Value;

/// This program measures itself.
///
/// # Errors
/// Never.
pub(crate) fn hand_over() -> Result<Option<ExitCode>> {
    Ok(None)
}

/// Measures a layer on the graphics card.
///
/// # Errors
/// What is missing, or what the layer reports.
pub(crate) fn layer(args: &layer::Args, run: &RunArgs) -> Result<Value> {
    let device = CudaDevice::try_new()?;
    let limits = limits(&device)?;
    Ok(serde_json::to_value(device_layer::run(&device, &limits, args, run)?)?)
}

/// Measures a network on the graphics card.
///
/// # Errors
/// What is missing, or what the network reports.
pub(crate) fn net(args: &net::Args, run: &RunArgs) -> Result<Value> {
    let device = CudaDevice::try_new()?;
    let mut report = serde_json::to_value(net::run_on(device.clone(), args, run)?)?;
    report["device"] = device.limits()?.name.into();
    Ok(report)
}

fn limits(device: &CudaDevice) -> Result<Limits> {
    let card = device.limits()?;
    Ok(Limits {
        device: card.name,
        flops: Some(card.f32_operations),
        bytes_per_second: Some(card.memory_bytes),
    })
}
