//! The graphics card of this process: the program `cfconv-bench-cuda`.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use cfconv_bench::{DeviceArgs, Limits, RunArgs, device_layer, layer, net};
use cfconv_train::device::cuda::CudaDevice;
use serde_json::Value;

/// Measures a layer on the graphics card.
///
/// # Errors
/// What is missing, or what the layer reports.
pub(crate) fn layer(args: &layer::Args, run: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
    let device = open(args.device)?;
    let limits = limits(&device)?;
    let mut report = serde_json::to_value(device_layer::run(&device, &limits, args, run)?)?;
    report["tf32"] = args.device.tf32.into();
    Ok(ControlFlow::Continue(report))
}

/// Measures a network on the graphics card.
///
/// # Errors
/// What is missing, or what the network reports.
pub(crate) fn net(args: &net::Args, run: &RunArgs) -> Result<ControlFlow<ExitCode, Value>> {
    let device = open(args.device)?;
    let mut report = serde_json::to_value(net::run_on(device.clone(), args, run)?)?;
    report["device"] = device.limits()?.name.into();
    report["tf32"] = args.device.tf32.into();
    Ok(ControlFlow::Continue(report))
}

fn open(args: DeviceArgs) -> Result<CudaDevice> {
    let device = CudaDevice::try_new()?;
    Ok(if args.tf32 { device.with_tf32()? } else { device })
}

fn limits(device: &CudaDevice) -> Result<Limits> {
    let card = device.limits()?;
    Ok(Limits {
        device: card.name,
        flops: Some(card.f32_operations),
        bytes_per_second: Some(card.memory_bytes),
    })
}
