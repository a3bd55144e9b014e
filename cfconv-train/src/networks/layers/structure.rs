//! Layers without an operation of their own: the planner arranges others around them.

use super::LayerConfig;
use super::prelude::*;

/// A layer of type `flatten`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlattenLayerConfig {}

/// A layer of type `residual`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualLayerConfig {
    /// The main branch.
    pub layers: Vec<LayerConfig>,
    /// The other branch. Default: none, the input itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerConfig>,
}

impl FlattenLayerConfig {
    pub(super) fn resize(&mut self, _: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        Ok(growth)
    }
}

impl ResidualLayerConfig {
    /// Resizes both branches; what lies behind follows the main one.
    pub(super) fn resize(&mut self, at: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        growth.resize_all(&mut self.shortcut, &format!("{}.shortcut", at.path))?;
        growth.resize_all(&mut self.layers, &format!("{}.layers", at.path))
    }
}
