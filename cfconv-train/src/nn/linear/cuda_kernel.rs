//! Fully connected layers on the CUDA device: convolutions of single pixels.

use super::{LinearOp, LinearSizes};
use crate::device::Result;
use crate::device::cuda::{Convolution, Launcher, SpatialConvolution};
use crate::nn::{Backward, Forward};

impl<L: Launcher> LinearOp for L {
    fn linear_kernel(&self, sizes: &LinearSizes, io: Forward<'_, Self>) -> Result<()> {
        Convolution::pointwise(sizes.in_features, sizes.out_features, 1).layer_forward(self, io)
    }

    fn linear_vjp_kernel(&self, sizes: &LinearSizes, io: Backward<'_, Self>) -> Result<()> {
        Convolution::pointwise(sizes.in_features, sizes.out_features, 1).layer_backward(self, io)
    }
}
