//! Trained networks on images of other sizes.

use super::config::NetworkConfig;
use super::error::Result;
use super::layers::Growth;
use super::network::Network;
use crate::device::Device;

impl NetworkConfig {
    /// The network for images of `new` in place of `old` rows and columns, to be evaluated with the kernels of a
    /// trained one: CF-Conv layers hold their kernel at every position, and what layers say in pixels keeps its
    /// extent in the image.
    ///
    /// A pooling window is one of those things: 2 pixels of 64 become 3 of 96, and behind that layer the network is
    /// as it was trained. Where that would be no whole number of pixels, the window stays, and layers behind it see
    /// larger or smaller images.
    ///
    /// # Errors
    /// [`NetworkError::LayerSetting`](super::NetworkError::LayerSetting) for a size that would not be whole.
    pub fn resized(&self, old: usize, new: usize) -> Result<Self> {
        let mut resized = self.clone();
        resized.sampler = cfconv_core::SamplerConfig::All {};
        Growth { old, new }.resize_all(&mut resized.layers, "layers")?;
        Ok(resized)
    }
}

impl<D: Device> Network<D> {
    /// Begins an evaluation with the weights of `trained`, a network of the same layers for images of another size,
    /// whose evaluation has begun: parameters and running statistics are copied, kernels resampled to the sizes of
    /// this network, so that frequencies in cycles per image keep their factors.
    ///
    /// # Errors
    /// [`NetworkError::MissingTensor`](super::NetworkError::MissingTensor) or
    /// [`NetworkError::TensorMismatch`](super::NetworkError::TensorMismatch) where a parameter depends on the size of
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
    use crate::networks::{InputShape, LayerConfig};
    use crate::nn::KernelSource;

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
            trained.begin_evaluation(KernelSource::Configured).unwrap();
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
    fn pooling_windows_keep_their_extent_in_the_image() {
        let sampler = "{ kind = 'lattice', size = 3 }";
        let config = config("{ type = 'avg-pool', size = 4, stride = 2 }", sampler);
        let mut trained = network(&config, 16);
        trained.initialize(1).unwrap();
        trained.begin_evaluation(KernelSource::Configured).unwrap();
        let expected = logits(&mut trained, 16);
        for (size, window) in [(24, Some((6, 3))), (32, Some((8, 4))), (20, None)] {
            let resized = config.resized(16, size).unwrap();
            let LayerConfig::AvgPool(pool) = &resized.layers[3] else { panic!("{resized:?}") };
            let (got, stride) = (pool.0.size, pool.0.stride.unwrap());
            assert_eq!((got, stride), window.unwrap_or((4, 2)), "images of {size}");
            let mut other = network(&resized, size);
            other.begin_transferred_evaluation(&trained).unwrap();
            for (got, expected) in logits(&mut other, size).iter().zip(&expected) {
                assert!(window.is_none() || (got - expected).abs() < 2e-2, "{size}: {got} for {expected}");
            }
        }
    }

    #[test]
    fn a_layer_behind_a_pooling_layer_sees_images_of_the_trained_size() {
        let config: NetworkConfig = toml::from_str(
            "layers = [
                { type = 'residual', layers = [{ type = 'max-pool' }], shortcut = [{ type = 'avg-pool' }] },
                { type = 'max-pool' }, { type = 'flatten' }, { type = 'linear' },
            ]",
        )
        .unwrap();
        let mut trained = network(&config, 8);
        trained.initialize(0).unwrap();
        trained.begin_evaluation(KernelSource::Configured).unwrap();
        let mut other = network(&config.resized(8, 12).unwrap(), 12);
        other.begin_transferred_evaluation(&trained).unwrap();
        assert_eq!(logits(&mut other, 12).len(), 3);
    }

    #[test]
    fn sizes_that_would_not_be_whole_are_refused() {
        let config = config("{ type = 'spectral-pool', size = 9 }", "{ kind = 'all' }");
        let message = config.resized(16, 24).unwrap_err().to_string();
        assert!(message.contains("layers.3") && message.contains("16 pixels become 24"), "{message}");
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
        trained.begin_evaluation(KernelSource::Configured).unwrap();
        let mut other = network(&config.resized(4, 8).unwrap(), 8);
        let message = other.begin_transferred_evaluation(&trained).unwrap_err().to_string();
        assert!(message.contains("layers.1.weight"), "{message}");
    }
}
