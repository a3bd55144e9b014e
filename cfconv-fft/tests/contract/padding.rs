//! Padding and cropping.

use crate::common::{assert_adjoint, plane_size, random_complex, random_real};
use cfconv_fft::{Complex, Padding2d, PaddingMode, crop, crop_adjoint, pad, pad_adjoint};
use proptest::prelude::*;

fn margins() -> impl Strategy<Value = Padding2d> {
    [0_usize..9, 0_usize..9, 0_usize..9, 0_usize..9].prop_map(|[top, bottom, left, right]| Padding2d {
        top,
        bottom,
        left,
        right,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn crop_inverts_pad_of_every_mode([height, width] in plane_size(), padding in margins(), seed: u64) {
        let images = random_real::<f32, _>((2, 2, height, width), seed);
        for mode in PaddingMode::ALL {
            let padded = pad(images.view(), padding, mode).unwrap();
            prop_assert_eq!([padded.dim().2, padded.dim().3], padding.padded([height, width]));
            prop_assert_eq!(crop(padded.view(), padding).unwrap(), images.view());
        }
    }

    #[test]
    fn pad_adjoint_passes_dot_test([height, width] in plane_size(), padding in margins(), seed: u64) {
        let [padded_height, padded_width] = padding.padded([height, width]);
        let x = random_complex::<f64, _>((2, height, width), seed);
        let grad = random_complex::<f64, _>((2, padded_height, padded_width), seed ^ 1);
        for mode in PaddingMode::ALL {
            let forward = pad(x.view(), padding, mode).unwrap();
            let adjoint = pad_adjoint(grad.view(), padding, mode).unwrap();
            assert_adjoint(x.view(), forward.view(), grad.view(), adjoint.view());
        }
    }

    #[test]
    fn crop_adjoint_passes_dot_test([height, width] in plane_size(), padding in margins(), seed: u64) {
        let [padded_height, padded_width] = padding.padded([height, width]);
        let x = random_real::<f64, _>((padded_height, padded_width), seed);
        let grad = random_real::<f64, _>((height, width), seed ^ 1);
        let forward = crop(x.view(), padding).unwrap();
        let adjoint = crop_adjoint(grad.view(), padding).unwrap();
        assert_adjoint(x.view(), forward.view(), grad.view(), adjoint.view());
    }
}

#[test]
fn margins_that_leave_nothing_are_an_error() {
    let image = ndarray::Array2::<Complex<f64>>::zeros((5, 3));
    let padding = Padding2d { top: 2, bottom: 3, ..Padding2d::default() };
    let message = "crop: margins of 2 and 3 cut off all 5 rows";
    assert_eq!(crop(image.view(), padding).unwrap_err().to_string(), message);
    let message = "pad_adjoint: margins of 4 and 4 cut off all 5 rows";
    let error = pad_adjoint(image.view(), Padding2d::uniform(4), PaddingMode::Reflect).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_plane_of_size_zero_cannot_be_padded() {
    let image = ndarray::Array2::<f64>::zeros((0, 3));
    let error = pad(image.view(), Padding2d::uniform(1), PaddingMode::Circular).unwrap_err();
    assert_eq!(error.to_string(), "pad: height must be at least 1, got 0");
}
