//! Layers on images of another size than those they were trained on.

use super::LayerConfig;
use crate::networks::error::NetworkError;

/// How images have grown where a layer stands: `new` pixels lie where `old` lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    pub(crate) old: usize,
    pub(crate) new: usize,
}

impl Growth {
    /// Images are as large as they were.
    pub(crate) const NONE: Self = Self { old: 1, new: 1 };

    /// The number of pixels that lie where `size` lay, if it is whole.
    pub(crate) fn scaled(self, size: usize) -> Option<usize> {
        (size * self.new).is_multiple_of(self.old).then(|| size * self.new / self.old)
    }

    /// Resizes the layers at `path` one after another and returns the growth behind the last.
    pub(crate) fn resize_all(mut self, layers: &mut [LayerConfig], path: &str) -> Result<Self, NetworkError> {
        for (index, layer) in layers.iter_mut().enumerate() {
            self = layer.resize(&format!("{path}.{index}"), self)?;
        }
        Ok(self)
    }
}
