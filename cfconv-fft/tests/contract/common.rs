//! Sizes, random arrays and distances shared by the contract tests.

use cfconv_fft::{Complex, Real};
use ndarray::{Array, ArrayView, Dimension, IntoDimension};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Plane sizes: 1, odd, even, prime, non-square, one row, one column, more columns than one block.
pub(crate) const SIZES: [[usize; 2]; 14] = [
    [1, 1],
    [1, 2],
    [2, 1],
    [2, 2],
    [1, 8],
    [8, 1],
    [3, 3],
    [4, 6],
    [5, 7],
    [6, 5],
    [7, 4],
    [13, 11],
    [16, 16],
    [9, 37],
];

/// Enough planes `[batch, channels]` to be transformed in groups, and three that are left over.
pub(crate) const MANY: [usize; 2] = [1, 67];

/// Plane sizes that are transformed in groups: one block a row, partial blocks, odd, prime, non-square, one row,
/// several stages, one stage.
pub(crate) const GROUP_SIZES: [[usize; 2]; 9] =
    [[1, 16], [2, 17], [3, 32], [5, 24], [4, 31], [13, 18], [16, 16], [12, 20], [9, 35]];

/// Sizes for property tests.
pub(crate) fn plane_size() -> impl Strategy<Value = [usize; 2]> {
    [1_usize..14, 1_usize..14]
}

pub(crate) fn random_real<T: Real, S: IntoDimension>(shape: S, seed: u64) -> Array<T, S::Dim> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn(shape.into_dimension(), || T::cast(rng.random_range(-1.0..1.0)))
}

pub(crate) fn random_complex<T: Real, S: IntoDimension>(shape: S, seed: u64) -> Array<Complex<T>, S::Dim> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn(shape.into_dimension(), || {
        Complex::new(T::cast(rng.random_range(-1.0..1.0)), T::cast(rng.random_range(-1.0..1.0)))
    })
}

/// Scalars as points of a real vector space, so that distances and inner products are written once.
pub(crate) trait Scalar: Copy {
    fn parts(self) -> [f64; 2];
}

impl Scalar for f32 {
    fn parts(self) -> [f64; 2] {
        [f64::from(self), 0.0]
    }
}

impl Scalar for f64 {
    fn parts(self) -> [f64; 2] {
        [self, 0.0]
    }
}

impl<T: Real> Scalar for Complex<T> {
    fn parts(self) -> [f64; 2] {
        [self.re.as_f64(), self.im.as_f64()]
    }
}

/// ⟨a, b⟩ = Σ Re(conj(a)·b).
pub(crate) fn dot<A: Scalar, D: Dimension>(a: ArrayView<'_, A, D>, b: ArrayView<'_, A, D>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let product = |(a, b): (&A, &A)| a.parts()[0] * b.parts()[0] + a.parts()[1] * b.parts()[1];
    a.iter().zip(b.iter()).map(product).sum()
}

pub(crate) fn norm<A: Scalar, D: Dimension>(a: ArrayView<'_, A, D>) -> f64 {
    dot(a.view(), a.view()).sqrt()
}

/// ‖a − b‖ / ‖b‖; NaN counts as infinitely far.
pub(crate) fn relative_error<A: Scalar, B: Scalar, D: Dimension>(
    a: ArrayView<'_, A, D>,
    b: ArrayView<'_, B, D>,
) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let mut difference = 0.0;
    for (a, b) in a.iter().zip(b.iter()) {
        let ([a_re, a_im], [b_re, b_im]) = (a.parts(), b.parts());
        difference += (a_re - b_re).powi(2) + (a_im - b_im).powi(2);
    }
    let error = difference.sqrt() / norm(b).max(f64::MIN_POSITIVE);
    if difference == 0.0 {
        0.0
    } else if error.is_nan() {
        f64::INFINITY
    } else {
        error
    }
}

/// Asserts that two arrays agree to `limit` in relative L2 distance.
#[track_caller]
pub(crate) fn assert_close<A: Scalar, B: Scalar, D: Dimension>(
    a: ArrayView<'_, A, D>,
    b: ArrayView<'_, B, D>,
    limit: f64,
) {
    let error = relative_error(a, b);
    assert!(error <= limit, "relative error {error:e} exceeds {limit:e}");
}

/// Asserts ⟨op(x), y⟩ = ⟨x, op_adjoint(y)⟩ to f64 rounding.
#[track_caller]
pub(crate) fn assert_adjoint<X: Scalar, Y: Scalar, D: Dimension, E: Dimension>(
    x: ArrayView<'_, X, D>,
    op_of_x: ArrayView<'_, Y, E>,
    y: ArrayView<'_, Y, E>,
    adjoint_of_y: ArrayView<'_, X, D>,
) {
    let (left, right) = (dot(op_of_x.view(), y.view()), dot(x.view(), adjoint_of_y.view()));
    let size = norm(op_of_x) * norm(y) + norm(x) * norm(adjoint_of_y);
    assert!((left - right).abs() <= 1e-13 * size, "⟨op(x), y⟩ = {left}, ⟨x, op_adjoint(y)⟩ = {right}");
}
