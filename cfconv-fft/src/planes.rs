//! Walks over the planes (last two axes) of arrays of any rank and any strides.

use ndarray::{
    Array, ArrayView, ArrayView2, ArrayViewD, ArrayViewMut, ArrayViewMut2, ArrayViewMutD, Axis, Dimension,
    Ix2,
};
use num_traits::Zero;
use rayon::prelude::*;

use crate::{FftError, Result};

/// `[rows, columns]` of the last two axes.
pub(crate) fn plane_shape(op: &'static str, operand: &'static str, shape: &[usize]) -> Result<[usize; 2]> {
    match shape {
        [.., rows, columns] => Ok([*rows, *columns]),
        _ => Err(FftError::TooFewAxes { op, operand, got: shape.len() }),
    }
}

/// An array of zeros whose planes have another shape than those of `input`.
pub(crate) fn zeros_with_planes<A, B: Clone + Zero, D: Dimension>(
    input: &ArrayView<'_, A, D>,
    [rows, columns]: [usize; 2],
) -> Array<B, D> {
    let mut shape = input.raw_dim();
    let axes = shape.ndim();
    shape[axes - 2] = rows;
    shape[axes - 1] = columns;
    Array::zeros(shape)
}

/// Calls `f` with each plane of `input` and the plane of `output` at the same place, in parallel.
///
/// The leading axes of both agree.
pub(crate) fn zip_planes<A, B, D, F>(input: ArrayView<'_, A, D>, output: ArrayViewMut<'_, B, D>, f: F)
where
    A: Sync,
    B: Send,
    D: Dimension,
    F: Fn(ArrayView2<'_, A>, ArrayViewMut2<'_, B>) + Sync + Send,
{
    let (inputs, outputs) = (planes(input), planes_mut(output));
    debug_assert_eq!(inputs.len(), outputs.len());
    inputs.into_par_iter().zip(outputs).for_each(|(input, output)| f(input, output));
}

/// Calls `f` with each plane of `data`, in parallel.
pub(crate) fn for_each_plane_mut<A, D, F>(data: ArrayViewMut<'_, A, D>, f: F)
where
    A: Send,
    D: Dimension,
    F: Fn(ArrayViewMut2<'_, A>) + Sync + Send,
{
    planes_mut(data).into_par_iter().for_each(f);
}

/// The planes in order. ndarray's `exact_chunks` would do, but overflows on reversed axes.
fn planes<A, D: Dimension>(array: ArrayView<'_, A, D>) -> Vec<ArrayView2<'_, A>> {
    fn collect<'a, A>(array: ArrayViewD<'a, A>, planes: &mut Vec<ArrayView2<'a, A>>) {
        match array.clone().into_dimensionality::<Ix2>() {
            Ok(plane) => planes.push(plane),
            Err(_) => {
                for index in 0..array.shape()[0] {
                    collect(array.clone().index_axis_move(Axis(0), index), planes);
                }
            }
        }
    }
    let mut planes = Vec::new();
    collect(array.into_dyn(), &mut planes);
    planes
}

/// As [`planes`], mutable.
fn planes_mut<A, D: Dimension>(array: ArrayViewMut<'_, A, D>) -> Vec<ArrayViewMut2<'_, A>> {
    fn collect<'a, A>(mut array: ArrayViewMutD<'a, A>, planes: &mut Vec<ArrayViewMut2<'a, A>>) {
        if array.ndim() == 2 {
            planes.push(array.into_dimensionality::<Ix2>().expect("it has two axes"));
            return;
        }
        while array.shape()[0] > 0 {
            let (first, rest) = array.split_at(Axis(0), 1);
            collect(first.index_axis_move(Axis(0), 0), planes);
            array = rest;
        }
    }
    let mut planes = Vec::new();
    collect(array.into_dyn(), &mut planes);
    planes
}
