//! What every layer's file uses.

pub(super) use serde::{Deserialize, Serialize};

pub(super) use super::context::{Context, LayerName};
pub(super) use super::defaults::{three, yes, zeros};
pub(super) use super::growth::Growth;
pub(super) use super::kind::{
    LayerKind, LayerMemory, LayerOp, Pass, Planned, PlannedBatches, PlannedTaps, RunningBlock,
};
pub(super) use super::param::{Initial, Param};
pub(super) use crate::device::{Device, DeviceError};
pub(super) use crate::networks::error::NetworkError;
pub(super) use crate::networks::shape::Shape;
pub(super) use crate::nn::{Backward, Forward, OpSizes};
