//! The graphics card of this process: the program `cfconv-bench-cuda`.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use cfconv_bench::{Limits, RunArgs, device_layer, layer, net};
use cfconv_train::device::cuda::CudaDevice;
use serde_json::Value;

/// Measures a layer on the graphics card.
///
/// # Errors
/// What is missing, or what the layer reports.
pub(crate) fn layer(args: &layer::Args, run: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
    let device = CudaDevice::try_new()?;
    let limits = limits(&device)?;
    Ok(ControlFlow::Continue(serde_json::to_value(device_layer::run(&device, &limits, args, run)?)?))
}

/// Measures a network on the graphics card.
///
/// # Errors
/// What is missing, or what the network reports.
pub(crate) fn net(args: &net::Args, run: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
    let device = CudaDevice::try_new()?;
    let mut report = serde_json::to_value(net::run_on(device.clone(), args, run)?)?;
    report["device"] = device.limits()?.name.into();
    Ok(ControlFlow::Continue(report))
}

fn limits(device: &CudaDevice) -> Result<Limits> {
    let card = device.limits()?;
    Ok(Limits {
        device: card.name,
        flops: Some(card.f32_operations),
        bytes_per_second: Some(card.memory_bytes),
    })
}
