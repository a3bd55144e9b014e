//! Values of settings that a table leaves out.

use crate::nn::conv2d::PaddingMode;

pub(super) fn yes() -> bool {
    true
}

pub(super) fn three() -> usize {
    3
}

pub(super) fn zeros() -> PaddingMode {
    PaddingMode::Zeros
}
