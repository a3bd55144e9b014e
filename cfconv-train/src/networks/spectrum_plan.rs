//! Planning of layers that work on half spectra.

use cfconv_core::engine::EnginePlan;

use super::config::{LayerConfig, NetworkConfig};
use super::error::Result;
use super::plan::{Context, Drafted, PlannedOp, RunningBlock, draft_kernel_layer};
use super::shape::Shape;
use super::spectrum_config::{CfMixLayerConfig, ComplexActivationLayerConfig, ComplexBatchNormLayerConfig};
use crate::nn::{ComplexActivationSizes, ComplexBatchNormSizes, SpectralPoolSizes, SpectrumSizes};

/// Plans a layer from or to the frequency domain or within it; `None` for any other.
pub(super) fn draft_spectrum_layer(
    network: &NetworkConfig,
    context: &Context<'_>,
    layer: &LayerConfig,
) -> Option<Result<Drafted>> {
    Some(match layer {
        LayerConfig::ToSpectrum {} => context.image().map(|(channels, height, width)| {
            let sizes = SpectrumSizes { channels, height, width };
            Drafted::plain(PlannedOp::ToSpectrum(sizes), Shape::Spectrum { channels, height, width })
        }),
        LayerConfig::ToImage {} => context.spectrum().map(|sizes| {
            let SpectrumSizes { channels, height, width } = sizes;
            Drafted::plain(PlannedOp::ToImage(sizes), Shape::Image { channels, height, width })
        }),
        LayerConfig::CfMix(layer) => draft_cf_mix(network, context, layer),
        LayerConfig::ComplexActivation(layer) => draft_complex_activation(context, layer),
        LayerConfig::ComplexBatchNorm(layer) => draft_complex_batch_norm(context, layer),
        LayerConfig::SpectralCrop(layer) => draft_spectral_crop(context, layer.size),
        _ => return None,
    })
}

fn draft_cf_mix(network: &NetworkConfig, context: &Context<'_>, layer: &CfMixLayerConfig) -> Result<Drafted> {
    let SpectrumSizes { channels, height, width } = context.spectrum()?;
    if !(layer.gain > 0.0 && layer.gain.is_finite()) {
        return Err(context.setting("gain", "finite and above 0", layer.gain));
    }
    let config = network.cf_conv(context.name, &layer.as_cf_conv(), (channels, height, width))?;
    let output = Shape::Spectrum { channels: config.out_channels, height, width };
    let gain = layer.gain;
    draft_kernel_layer(context, EnginePlan::try_between_spectra(&config, gain), output)
}

fn draft_complex_activation(context: &Context<'_>, layer: &ComplexActivationLayerConfig) -> Result<Drafted> {
    let spectrum = context.spectrum()?;
    let names = layer.kind.parameters();
    let initial_bias = layer.initial_bias.unwrap_or(0.0);
    if layer.initial_bias.is_some() && !names.contains(&"bias") {
        return Err(context.setting("initial_bias", "none: this function has no bias", initial_bias));
    }
    if !initial_bias.is_finite() {
        return Err(context.setting("initial_bias", "finite", initial_bias));
    }
    let params = names.iter().map(|name| ((*name).to_owned(), vec![spectrum.channels], false)).collect();
    let sizes = ComplexActivationSizes { spectrum, function: layer.kind };
    let op = PlannedOp::ComplexActivation { sizes, initial_bias: initial_bias as f32 };
    Ok(Drafted { params, ..Drafted::plain(op, context.shape) })
}

fn draft_complex_batch_norm(context: &Context<'_>, layer: &ComplexBatchNormLayerConfig) -> Result<Drafted> {
    let spectrum = context.spectrum()?;
    context.normalization(layer.momentum, layer.epsilon)?;
    let sizes = ComplexBatchNormSizes {
        spectrum,
        statistics: layer.statistics,
        epsilon: layer.epsilon as f32,
        momentum: layer.momentum as f32,
    };
    let channels = spectrum.channels;
    let params = [("weight", 3), ("bias", 2)]
        .map(|(name, rows)| (name.to_owned(), vec![rows, channels], false))
        .to_vec();
    let values = channels * sizes.rings();
    let block = |name, len, initial| RunningBlock { name, len, initial };
    let running = vec![
        block("running_mean", 2 * values, 0.0),
        block("running_var", 2 * values, 1.0),
        block("running_cov", values, 0.0),
    ];
    let op = PlannedOp::ComplexBatchNorm(sizes);
    Ok(Drafted { params, running, ..Drafted::plain(op, context.shape) })
}

fn draft_spectral_crop(context: &Context<'_>, size: usize) -> Result<Drafted> {
    let SpectrumSizes { channels, height, width } = context.spectrum()?;
    context.smaller("size", size, height.min(width))?;
    let sizes = SpectralPoolSizes { channels, height, width, output_height: size, output_width: size };
    let output = Shape::Spectrum { channels, height: size, width: size };
    Ok(Drafted::plain(PlannedOp::SpectralCrop(sizes), output))
}
