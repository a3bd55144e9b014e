//! Plans of layers that work on tokens.

use cfconv_core::CfConv2dConfig;
use cfconv_core::engine::EnginePlan;

use super::config::{LayerConfig, NetworkConfig};
use super::error::Result;
use super::plan::{Context, Drafted, PlannedOp, draft_kernel_layer};
use super::shape::Shape;
use super::token_config::{
    DepthwiseCfConvLayerConfig, DepthwiseConvLayerConfig, LayerNormLayerConfig, PatchEmbedLayerConfig,
    SelfAttentionLayerConfig,
};
use crate::nn::{DepthwiseConv2dSizes, LayerNormSizes, PatchEmbedSizes, SelfAttentionSizes};

/// Plans a layer if it is one of these.
pub(super) fn draft_token_layer(
    config: &NetworkConfig,
    context: &Context<'_>,
    layer: &LayerConfig,
) -> Option<Result<Drafted>> {
    Some(match layer {
        LayerConfig::PatchEmbed(layer) => draft_patch_embed(context, layer),
        LayerConfig::PositionEmbedding {} => draft_position_embedding(context),
        LayerConfig::LayerNorm(layer) => draft_layer_norm(context, layer),
        LayerConfig::SelfAttention(layer) => draft_self_attention(context, layer),
        LayerConfig::DepthwiseConv(layer) => draft_depthwise_conv(context, layer),
        LayerConfig::DepthwiseCfConv(layer) => draft_depthwise_cf_conv(config, context, layer),
        _ => return None,
    })
}

fn draft_patch_embed(context: &Context<'_>, layer: &PatchEmbedLayerConfig) -> Result<Drafted> {
    let (in_channels, height, width) = context.image()?;
    let PatchEmbedLayerConfig { out_channels, size, bias } = *layer;
    context.at_least_one("out_channels", out_channels)?;
    context.at_least_one("size", size)?;
    if !height.is_multiple_of(size) || !width.is_multiple_of(size) {
        let expected = format!("a divisor of {height} and {width}, rows and columns of the input");
        return Err(context.setting("size", &expected, size));
    }
    let sizes = PatchEmbedSizes { in_channels, out_channels, height, width, size, bias };
    let mut params = vec![("weight".to_owned(), vec![out_channels, in_channels, size, size], true)];
    if bias {
        params.push(("bias".to_owned(), vec![out_channels], false));
    }
    let (height, width) = (sizes.output_height(), sizes.output_width());
    let output = Shape::Image { channels: out_channels, height, width };
    Ok(Drafted { params, ..Drafted::plain(PlannedOp::PatchEmbed(sizes), output) })
}

fn draft_position_embedding(context: &Context<'_>) -> Result<Drafted> {
    let (channels, height, width) = context.image()?;
    let params = vec![("weight".to_owned(), vec![channels, height, width], false)];
    Ok(Drafted { params, ..Drafted::plain(PlannedOp::PositionEmbedding, context.shape) })
}

fn draft_layer_norm(context: &Context<'_>, layer: &LayerNormLayerConfig) -> Result<Drafted> {
    if !(layer.epsilon > 0.0 && layer.epsilon.is_finite()) {
        return Err(context.setting("epsilon", "finite and above 0", layer.epsilon));
    }
    let (channels, pixels) = match context.shape {
        Shape::Features(features) => (features, 1),
        _ => context.image().map(|(channels, height, width)| (channels, height * width))?,
    };
    let sizes = LayerNormSizes { channels, pixels, epsilon: layer.epsilon as f32 };
    let params =
        vec![("weight".to_owned(), vec![channels], false), ("bias".to_owned(), vec![channels], false)];
    Ok(Drafted { params, ..Drafted::plain(PlannedOp::LayerNorm(sizes), context.shape) })
}

fn draft_self_attention(context: &Context<'_>, layer: &SelfAttentionLayerConfig) -> Result<Drafted> {
    let (channels, height, width) = context.image()?;
    let SelfAttentionLayerConfig { heads, bias } = *layer;
    if heads == 0 || !channels.is_multiple_of(heads) {
        let expected = format!("a divisor of {channels}, the channels of the input");
        return Err(context.setting("heads", &expected, heads));
    }
    let sizes = SelfAttentionSizes { channels, height, width, heads, bias };
    let mut params = vec![
        ("qkv.weight".to_owned(), vec![3 * channels, channels], true),
        ("out.weight".to_owned(), vec![channels, channels], true),
    ];
    if bias {
        params.push(("qkv.bias".to_owned(), vec![3 * channels], false));
        params.push(("out.bias".to_owned(), vec![channels], false));
    }
    Ok(Drafted { params, ..Drafted::plain(PlannedOp::SelfAttention(sizes), context.shape) })
}

fn draft_depthwise_conv(context: &Context<'_>, layer: &DepthwiseConvLayerConfig) -> Result<Drafted> {
    let (channels, height, width) = context.image()?;
    let DepthwiseConvLayerConfig { kernel_size, padding, bias } = *layer;
    if kernel_size.is_multiple_of(2) {
        return Err(context.setting("kernel_size", "an odd number", kernel_size));
    }
    let sizes = DepthwiseConv2dSizes { channels, height, width, kernel_size, padding, bias };
    let mut params = vec![("weight".to_owned(), vec![channels, kernel_size, kernel_size], true)];
    if bias {
        params.push(("bias".to_owned(), vec![channels], false));
    }
    Ok(Drafted { params, ..Drafted::plain(PlannedOp::DepthwiseConv(sizes), context.shape) })
}

fn draft_depthwise_cf_conv(
    config: &NetworkConfig,
    context: &Context<'_>,
    layer: &DepthwiseCfConvLayerConfig,
) -> Result<Drafted> {
    let size @ (channels, ..) = context.image()?;
    let mixing = config.cf_conv(context.name, &layer.with_out_channels(channels), size)?;
    let config = CfConv2dConfig { depthwise: true, ..mixing };
    draft_kernel_layer(context, EnginePlan::try_new(&config), context.shape)
}
