//! Where a layer stands while its network is planned, and the messages of layers that do not fit there.

use cfconv_core::CfConv2dConfig;
use cfconv_mlp::KernelMlpConfig;

use crate::device::DeviceError;
use crate::networks::error::NetworkError;
use crate::networks::shape::Shape;
use crate::nn::SpectrumSizes;

/// A layer in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerName<'a> {
    /// Its place in the configuration, such as `layers.2.layers.0`.
    pub(crate) path: &'a str,
    /// Its type.
    pub(crate) kind: &'static str,
}

impl LayerName<'_> {
    /// A setting is out of range.
    pub(crate) fn setting(&self, setting: &'static str, expected: &str, got: impl ToString) -> NetworkError {
        NetworkError::LayerSetting {
            layer: self.path.to_owned(),
            kind: self.kind,
            setting,
            expected: expected.to_owned(),
            got: got.to_string(),
        }
    }

    /// The layer refuses its configuration.
    pub(crate) fn refused(&self, source: DeviceError) -> NetworkError {
        NetworkError::Layer { layer: self.path.to_owned(), kind: self.kind, source: Box::new(source) }
    }
}

/// The layer that is being planned and what it depends on.
pub(crate) struct Context<'a> {
    pub(crate) name: LayerName<'a>,
    /// The shape before the layer.
    pub(crate) shape: Shape,
    /// Number of classes of the network.
    pub(crate) classes: usize,
    /// What CF-Conv layers share: the settings of the network, without sizes.
    pub(crate) cf_conv: &'a CfConv2dConfig,
}

impl Context<'_> {
    /// Channels, rows and columns before a layer that takes images.
    pub(crate) fn image(&self) -> Result<(usize, usize, usize), NetworkError> {
        match self.shape {
            Shape::Image { channels, height, width } => Ok((channels, height, width)),
            Shape::Spectrum { .. } => Err(self.input("an image: put to-image before it")),
            Shape::Features(_) => Err(self.input("an image")),
        }
    }

    /// The half spectra before a layer that takes them.
    pub(crate) fn spectrum(&self) -> Result<SpectrumSizes, NetworkError> {
        match self.shape {
            Shape::Spectrum { channels, height, width } => Ok(SpectrumSizes { channels, height, width }),
            Shape::Image { .. } => Err(self.input("a half spectrum: put to-spectrum before it")),
            Shape::Features(_) => Err(self.input("a half spectrum")),
        }
    }

    /// The layer does not take what comes before it.
    pub(crate) fn input(&self, expected: &str) -> NetworkError {
        NetworkError::LayerInput {
            layer: self.name.path.to_owned(),
            kind: self.name.kind,
            expected: expected.to_owned(),
            got: self.shape,
        }
    }

    /// The layer does not take complex values; `instead` says what there is for them.
    pub(crate) fn complex_input(&self, instead: &str) -> NetworkError {
        self.input(&format!("real values: for half spectra there is {instead}"))
    }

    /// A setting is out of range.
    pub(crate) fn setting(&self, setting: &'static str, expected: &str, got: impl ToString) -> NetworkError {
        self.name.setting(setting, expected, got)
    }

    /// Checks a size.
    pub(crate) fn at_least_one(&self, setting: &'static str, size: usize) -> Result<(), NetworkError> {
        if size == 0 { Err(self.setting(setting, "at least 1", size)) } else { Ok(()) }
    }

    /// Checks an output size against the input's.
    pub(crate) fn smaller(
        &self,
        setting: &'static str,
        size: usize,
        largest: usize,
    ) -> Result<(), NetworkError> {
        if size == 0 || size > largest {
            return Err(self.setting(setting, &format!("1 to {largest}, the size of the input"), size));
        }
        Ok(())
    }

    /// Checks the rows and columns of a kernel with a middle.
    pub(crate) fn odd(&self, setting: &'static str, size: usize) -> Result<(), NetworkError> {
        if size.is_multiple_of(2) { Err(self.setting(setting, "an odd number", size)) } else { Ok(()) }
    }

    /// Checks a setting that is a positive number.
    pub(crate) fn positive(&self, setting: &'static str, value: f64) -> Result<(), NetworkError> {
        if !(value > 0.0 && value.is_finite()) {
            return Err(self.setting(setting, "finite and above 0", value));
        }
        Ok(())
    }

    /// The kernel network that CF-Conv layers share, with the fields that `overrides` names changed.
    pub(crate) fn kernel_network(&self, overrides: &toml::Table) -> Result<KernelMlpConfig, NetworkError> {
        let shared = &self.cf_conv.mlp;
        if overrides.is_empty() {
            return Ok(shared.clone());
        }
        let refused =
            |reason: String| NetworkError::KernelOverrides { layer: self.name.path.to_owned(), reason };
        let mut merged = toml::Table::try_from(shared).map_err(|error| refused(error.to_string()))?;
        merged.extend(overrides.clone());
        merged.try_into().map_err(|error| refused(error.to_string().trim_end().to_owned()))
    }

    /// Checks the settings of a normalisation with running statistics.
    pub(crate) fn normalization(&self, momentum: f64, epsilon: f64) -> Result<(), NetworkError> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(self.setting("momentum", "0 to 1", momentum));
        }
        self.positive("epsilon", epsilon)
    }
}
