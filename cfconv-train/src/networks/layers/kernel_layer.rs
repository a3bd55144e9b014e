//! Layers whose kernel is a network of the frequency: what their settings and their operations share.

use cfconv_core::engine::EnginePlan;

use super::kind::PlannedKernel;
use super::prelude::*;
use crate::nn::CfConv2d;

/// Declares the settings of a layer with a kernel network: its own, then the optional ones, each of which stands in for
/// the field of the same name in `[network]`.
///
/// serde's `flatten`, which would do the same with a common struct, switches off the refusal of unknown keys.
macro_rules! kernel_layer_config {
    // A layer on images, with `fn on_images`.
    ($(#[$meta:meta])* images $name:ident { $($own:tt)* }) => {
        kernel_layer_config! {
            $(#[$meta])* fields $name {
                $($own)*
                /// What lies beyond the border.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub padding: Option<cfconv_core::PaddingMode>,
                /// Rows and columns of zeros, as a share of the image's.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub padding_share: Option<f64>,
            } {
                /// The algorithm for a lattice kernel, `application` in files.
                #[serde(rename = "application", default, skip_serializing_if = "Option::is_none")]
                pub algorithm: Option<cfconv_core::ConvAlgorithm>,
            }
        }

        impl $name {
            /// The full configuration of the layer on images of (channels, rows, columns).
            fn on_images(
                &self,
                at: &Context<'_>,
                size: (usize, usize, usize),
                out_channels: usize,
            ) -> Result<cfconv_core::CfConv2dConfig, NetworkError> {
                Ok(cfconv_core::CfConv2dConfig {
                    padding: self.padding.unwrap_or(at.cf_conv.padding),
                    padding_share: self.padding_share.unwrap_or(at.cf_conv.padding_share),
                    algorithm: self.algorithm.unwrap_or(at.cf_conv.algorithm),
                    ..self.on_spectra(at, size, out_channels)?
                })
            }
        }
    };
    // A layer on half spectra: padding is circular, and there is no choice of an algorithm.
    ($(#[$meta:meta])* spectra $name:ident { $($own:tt)* }) => {
        kernel_layer_config! { $(#[$meta])* fields $name { $($own)* } {} }
    };
    ($(#[$meta:meta])* fields $name:ident { $($first:tt)* } { $($algorithm:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($first)*
            /// Weight α of new values in the kernel state.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ema_alpha: Option<f64>,
            /// The factor by which gradients pass to the kernel network.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub gradient_scale: Option<cfconv_core::GradientScale>,
            /// The kernel state before the first step.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub initial_fill: Option<cfconv_core::InitialFill>,
            /// The kernel that evaluation uses.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub evaluation_kernel: Option<cfconv_core::EvaluationKernel>,
            /// Whether evaluation refreshes a copy of the state first, `polish` in files.
            #[serde(rename = "polish", default, skip_serializing_if = "Option::is_none")]
            pub refresh_before_evaluation: Option<bool>,
            $($algorithm)*
            /// Fields of `[network.kernel]` that differ in this layer.
            #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
            pub kernel: toml::Table,
            /// The positions that a step visits.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub sampler: Option<cfconv_core::SamplerConfig>,
        }

        impl $name {
            /// The full configuration of the layer on half spectra of images of (channels, rows, columns).
            fn on_spectra(
                &self,
                at: &Context<'_>,
                (in_channels, height, width): (usize, usize, usize),
                out_channels: usize,
            ) -> Result<cfconv_core::CfConv2dConfig, NetworkError> {
                let shared = at.cf_conv;
                Ok(cfconv_core::CfConv2dConfig {
                    in_channels,
                    out_channels,
                    height,
                    width,
                    depthwise: false,
                    padding: cfconv_core::PaddingMode::Circular,
                    padding_share: 1.0,
                    bias: self.bias,
                    mlp: at.kernel_network(&self.kernel)?,
                    sampler: self.sampler.clone().unwrap_or_else(|| shared.sampler.clone()),
                    ema_alpha: self.ema_alpha.unwrap_or(shared.ema_alpha),
                    gradient_scale: self.gradient_scale.unwrap_or(shared.gradient_scale),
                    initial_fill: self.initial_fill.unwrap_or(shared.initial_fill),
                    evaluation_kernel: self.evaluation_kernel.unwrap_or(shared.evaluation_kernel),
                    refresh_before_evaluation: self
                        .refresh_before_evaluation
                        .unwrap_or(shared.refresh_before_evaluation),
                    algorithm: cfconv_core::ConvAlgorithm::Auto,
                })
            }
        }
    };
}
pub(super) use kernel_layer_config;

/// A continuous Fourier convolution, or its channel mix alone.
#[derive(Clone, Debug)]
pub(crate) struct KernelLayer(Box<EnginePlan>);

impl KernelLayer {
    /// The layer of a plan, with its parameters.
    pub(super) fn plan(
        at: &Context<'_>,
        plan: cfconv_core::Result<EnginePlan>,
        output: Shape,
    ) -> Result<Planned<Self>, NetworkError> {
        let plan = plan.map_err(|error| at.name.refused(error.into()))?;
        let params = plan.parameter_segments().iter().map(|segment| Param {
            name: segment.name.clone(),
            shape: segment.shape.clone(),
            decays: !segment.name.ends_with("bias"),
            initial: Initial::ByKernel,
        });
        let params = params.collect();
        let kernel =
            PlannedKernel { num_positions: plan.grid.num_positions(), depthwise: plan.config().depthwise };
        let op = Self(Box::new(plan));
        Ok(Planned { params, kernel: Some(kernel), ..Planned::new(op, output) })
    }
}

impl LayerOp for KernelLayer {
    type State<D: Device> = Box<CfConv2d<D>>;
    const BACKWARD_READS_INPUT: bool = false;

    fn prepare<D: Device>(&self, device: &D, _: usize) -> Result<Box<CfConv2d<D>>, DeviceError> {
        CfConv2d::try_new(device, &self.0).map(Box::new)
    }

    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError> {
        pass.state.forward(io, pass.workspace)
    }

    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError> {
        pass.state.backward(io, pass.workspace)
    }

    fn memory<D: Device>(&self, device: &D, batches: &PlannedBatches) -> Result<LayerMemory, DeviceError> {
        let &PlannedBatches { training, evaluation, other_weights } = batches;
        let planned = device.cf_conv2d_memory(&self.0, training, evaluation, other_weights);
        Ok(LayerMemory {
            kernel_states: planned.state + planned.rollback + planned.evaluation_kernel,
            working: planned.saved + planned.scratch,
            workspace: planned.workspace,
        })
    }

    fn working_bytes<D: Device>(&self, cf_conv: &Box<CfConv2d<D>>, _: &D, _: usize) -> usize {
        cf_conv.working_bytes()
    }

    fn cf_conv<'a, D: Device>(&self, cf_conv: &'a Box<CfConv2d<D>>) -> Option<&'a CfConv2d<D>> {
        Some(cf_conv)
    }

    fn cf_conv_mut<'a, D: Device>(&self, cf_conv: &'a mut Box<CfConv2d<D>>) -> Option<&'a mut CfConv2d<D>> {
        Some(cf_conv)
    }
}

#[cfg(test)]
mod tests {
    use cfconv_core::CfConv2dConfig;

    use super::*;
    use crate::networks::{LayerConfig, NetworkConfig};

    fn plan(network: &NetworkConfig, index: usize) -> Result<CfConv2dConfig, NetworkError> {
        let LayerConfig::CfConv(layer) = &network.layers[index] else { panic!("not a cf-conv") };
        let at = Context {
            name: LayerName { path: "layers.0", kind: "cf-conv" },
            shape: Shape::Image { channels: 3, height: 8, width: 9 },
            classes: 2,
            cf_conv: &network.cf_conv_settings(),
        };
        layer.plan(&at).map(|planned| planned.op.0.config().clone())
    }

    #[test]
    fn overrides_change_only_the_fields_they_name() {
        let config: NetworkConfig = toml::from_str(
            "ema_alpha = 0.5
             [kernel]
             hidden_width = 48
             omega_frequency = 8
             [[layers]]
             type = 'cf-conv'
             out_channels = 4
             padding = 'zeros'
             kernel = { hidden_width = 16 }
             [[layers]]
             type = 'cf-conv'
             out_channels = 5
             ema_alpha = 1.0",
        )
        .unwrap();
        let (first, second) = (plan(&config, 0).unwrap(), plan(&config, 1).unwrap());
        assert_eq!((first.mlp.hidden_width, first.mlp.omega_frequency), (16, 8.0));
        assert_eq!((first.padding, first.ema_alpha), (cfconv_core::PaddingMode::Zeros, 0.5));
        assert_eq!((second.mlp.hidden_width, second.ema_alpha), (48, 1.0));
        assert_eq!((second.in_channels, second.height, second.width), (3, 8, 9));
    }

    #[test]
    fn unknown_keys_of_the_kernel_are_refused() {
        let text = "[[layers]]\ntype = 'cf-conv'\nout_channels = 4\nkernel = { hidden_widht = 3 }";
        let config: NetworkConfig = toml::from_str(text).unwrap();
        let error = plan(&config, 0).unwrap_err().to_string();
        assert!(error.contains("layers.0") && error.contains("hidden_widht"), "{error}");
    }
}
