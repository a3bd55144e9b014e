//! Trained networks on images of other sizes.

use super::config::{LayerConfig, NetworkConfig};
use super::error::{NetworkError, Result};
use super::network::Network;
use crate::device::Device;
use crate::nn::CfConv2d;

impl NetworkConfig {
    /// The network for images of `new` in place of `old` rows and columns, to be evaluated with the kernels of a
    /// trained one: CF-Conv layers hold their kernel at every position, and sizes that layers name grow or shrink
    /// with the images.
    ///
    /// # Errors
    /// [`NetworkError::LayerSetting`] for a size that would not be whole.
    pub fn resized(&self, old: usize, new: usize) -> Result<Self> {
        let mut resized = self.clone();
        resized.sampler = cfconv_core::SamplerConfig::All {};
        resize_layers(&mut resized.layers, "layers", old, new)?;
        Ok(resized)
    }
}

fn resize_layers(layers: &mut [LayerConfig], path: &str, old: usize, new: usize) -> Result<()> {
    for (index, layer) in layers.iter_mut().enumerate() {
        let place = format!("{path}.{index}");
        let kind = layer.kind();
        let scaled = |size: usize| {
            if (size * new).is_multiple_of(old) && size * new >= old {
                return Ok(size * new / old);
            }
            Err(NetworkError::LayerSetting {
                layer: place.clone(),
                kind,
                setting: "size",
                expected: format!(
                    "a size that stays whole when images of {old} become images of {new} pixels"
                ),
                got: size.to_string(),
            })
        };
        match layer {
            LayerConfig::CfConv(layer) => layer.sampler = None,
            LayerConfig::DepthwiseCfConv(layer) => layer.sampler = None,
            LayerConfig::SpectralPool(layer) => layer.size = scaled(layer.size)?,
            // Orthonormal spectra grow with the number of pixels, which statistics and thresholds do not.
            LayerConfig::ToSpectrum {} if new != old => {
                return Err(NetworkError::LayerSetting {
                    layer: place,
                    kind,
                    setting: "size of the images",
                    expected: format!("{old}: values of half spectra depend on it"),
                    got: new.to_string(),
                });
            }
            LayerConfig::CfMix(layer) => layer.sampler = None,
            LayerConfig::Residual(layer) => {
                resize_layers(&mut layer.layers, &format!("{place}.layers"), old, new)?;
                resize_layers(&mut layer.shortcut, &format!("{place}.shortcut"), old, new)?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl<D: Device> Network<D> {
    /// Begins an evaluation with the weights of `trained`, a network of the same layers for images of another size,
    /// whose evaluation has begun: parameters and running statistics are copied, kernels resampled to the sizes of
    /// this network, so that frequencies in cycles per image keep their factors.
    ///
    /// # Errors
    /// [`NetworkError::MissingTensor`] or [`NetworkError::TensorMismatch`] where a parameter depends on the size of
    /// the images, and what a layer refuses.
    pub fn begin_transferred_evaluation(&mut self, trained: &Self) -> Result<()> {
        self.import_parameters(&trained.export_parameters()?)?;
        let statistics = trained.export_running("", &trained.running)?;
        let mut running = self.device.alloc(self.plan.running_len)?;
        self.import_running("", &statistics, &mut running)?;
        self.running = running;
        self.forget_phase();
        for (layer, source) in self.layers.iter_mut().zip(&trained.layers) {
            if let (Some(cf_conv), Some(source)) = (layer.cf_conv_mut(), source.cf_conv()) {
                let outcome = source
                    .transfer_function()
                    .and_then(|function| cf_conv.begin_transferred_evaluation(&function));
                outcome.map_err(|source| Self::layer_error(&layer.plan, source))?;
            }
        }
        self.begin_evaluation_phase();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Cpu;
    use crate::networks::InputShape;
    use crate::nn::EvaluationWeights;

    fn config(pooling: &str, sampler: &str) -> NetworkConfig {
        let text = format!(
            "kernel = {{ hidden_width = 8 }}
            sampler = {sampler}
            layers = [
                {{ type = 'cf-conv', out_channels = 4 }},
                {{ type = 'batch-norm' }}, {{ type = 'activation', kind = 'gelu' }},
                {pooling},
                {{ type = 'residual', layers = [{{ type = 'cf-conv', out_channels = 4 }}] }},
                {{ type = 'global-avg-pool' }}, {{ type = 'linear' }},
            ]"
        );
        toml::from_str(&text).unwrap()
    }

    fn network(config: &NetworkConfig, size: usize) -> Network<Cpu> {
        let input = InputShape { channels: 1, height: size, width: size };
        Network::try_new(Cpu::default(), config, input, 3, 2).unwrap()
    }

    /// A smooth image on a grid of `size`.
    fn image(size: usize) -> Vec<f32> {
        let wave = |at: usize, cycles: f64| (std::f64::consts::TAU * cycles * at as f64 / size as f64).cos();
        (0..size * size)
            .map(|pixel| (wave(pixel / size, 1.0) + 0.5 * wave(pixel % size, 2.0)) as f32)
            .collect()
    }

    fn logits(network: &mut Network<Cpu>, size: usize) -> Vec<f32> {
        network.forward(1, &image(size)).unwrap();
        network.logits().unwrap()
    }

    #[test]
    fn smooth_images_look_the_same_at_every_size() {
        for sampler in ["{ kind = 'uniform', num_positions = 64 }", "{ kind = 'lattice', size = 3 }"] {
            let config = config("{ type = 'spectral-pool', size = 8 }", sampler);
            let mut trained = network(&config, 16);
            trained.initialize(1).unwrap();
            trained.begin_evaluation(EvaluationWeights::Trained).unwrap();
            let expected = logits(&mut trained, 16);
            for size in [16, 24, 32] {
                let mut other = network(&config.resized(16, size).unwrap(), size);
                other.begin_transferred_evaluation(&trained).unwrap();
                for (got, expected) in logits(&mut other, size).iter().zip(&expected) {
                    assert!((got - expected).abs() < 2e-3, "{size}: {got} for {expected}");
                }
            }
        }
    }

    #[test]
    fn sizes_that_would_not_be_whole_are_refused() {
        let config = config("{ type = 'spectral-pool', size = 9 }", "{ kind = 'all' }");
        let message = config.resized(16, 24).unwrap_err().to_string();
        assert!(message.contains("layers.3") && message.contains("24 pixels"), "{message}");
    }

    #[test]
    fn half_spectra_keep_their_size() {
        let config: NetworkConfig = toml::from_str(
            "layers = [{ type = 'to-spectrum' }, { type = 'to-image' }, { type = 'global-avg-pool' }]",
        )
        .unwrap();
        let message = config.resized(4, 8).unwrap_err().to_string();
        assert!(message.contains("layers.0 (to-spectrum)") && message.contains("expected 4"), "{message}");
        assert!(config.resized(4, 4).is_ok());
    }

    #[test]
    fn parameters_that_depend_on_the_size_are_refused() {
        let config: NetworkConfig =
            toml::from_str("layers = [{ type = 'flatten' }, { type = 'linear' }]").unwrap();
        let mut trained = network(&config, 4);
        trained.initialize(0).unwrap();
        trained.begin_evaluation(EvaluationWeights::Trained).unwrap();
        let mut other = network(&config.resized(4, 8).unwrap(), 8);
        let message = other.begin_transferred_evaluation(&trained).unwrap_err().to_string();
        assert!(message.contains("layers.1.weight"), "{message}");
    }
}
