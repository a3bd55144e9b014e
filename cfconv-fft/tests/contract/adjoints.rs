//! ⟨op(x), y⟩ = ⟨x, op_adjoint(y)⟩ for the transforms and the maps of spectra.

use crate::common::{
    GROUP_SIZES, MANY, SIZES, assert_adjoint, assert_close, plane_size, random_complex, random_real,
};
use cfconv_fft::{
    FftNorm, Rfft2Plan, half_width, hermitian_project, resample_spectrum, resample_spectrum_adjoint,
};
use ndarray::Array4;
use proptest::prelude::*;

#[test]
fn rfft2_adjoint_passes_dot_test() {
    for [height, width] in SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let x = random_real::<f64, _>((2, 1, height, width), 1);
        let grad = random_complex::<f64, _>((2, 1, height, half_width(width)), 2);
        for norm in FftNorm::ALL {
            let forward = plan.rfft2(x.view(), norm).unwrap();
            let adjoint = plan.rfft2_adjoint(grad.view(), norm).unwrap();
            assert_adjoint(x.view(), forward.view(), grad.view(), adjoint.view());
        }
    }
}

#[test]
fn irfft2_adjoint_passes_dot_test() {
    for [height, width] in SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let z = random_complex::<f64, _>((2, 1, height, half_width(width)), 3);
        let grad = random_real::<f64, _>((2, 1, height, width), 4);
        for norm in FftNorm::ALL {
            let forward = plan.irfft2(z.view(), norm).unwrap();
            let adjoint = plan.irfft2_adjoint(grad.view(), norm).unwrap();
            assert_adjoint(z.view(), forward.view(), grad.view(), adjoint.view());
        }
    }
}

#[test]
fn adjoints_of_groups_of_planes_pass_dot_tests() {
    let [batch, channels] = MANY;
    for [height, width] in GROUP_SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let x = random_real::<f64, _>((batch, channels, height, width), 1);
        let z = random_complex::<f64, _>((batch, channels, height, half_width(width)), 2);
        for norm in FftNorm::ALL {
            let forward = plan.rfft2(x.view(), norm).unwrap();
            let adjoint = plan.rfft2_adjoint(z.view(), norm).unwrap();
            assert_adjoint(x.view(), forward.view(), z.view(), adjoint.view());
            let forward = plan.irfft2(z.view(), norm).unwrap();
            let adjoint = plan.irfft2_adjoint(x.view(), norm).unwrap();
            assert_adjoint(z.view(), forward.view(), x.view(), adjoint.view());
        }
    }
}

#[test]
fn irfft2_adjoint_is_hermitian_in_self_conjugate_columns() {
    for [height, width] in SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let grad = random_real::<f64, _>((1, 1, height, width), 5);
        let adjoint = plan.irfft2_adjoint(grad.view(), FftNorm::Ortho).unwrap();
        let mut projected = adjoint.clone();
        hermitian_project(projected.view_mut(), width).unwrap();
        assert_close(projected.view(), adjoint.view(), 1e-14);
    }
}

#[test]
fn adjoint_scratch_may_hold_nan() {
    let plan = Rfft2Plan::<f64>::try_new(6, 7).unwrap();
    let mut scratch = plan.scratch_for_threads(1);
    let grad = random_complex::<f64, _>((2, 2, 6, 4), 6);
    let expected = plan.rfft2_adjoint(grad.view(), FftNorm::Backward).unwrap();
    let mut image = Array4::from_elem((2, 2, 6, 7), f64::NAN);
    scratch.poison();
    plan.rfft2_adjoint_into(grad.view(), image.view_mut(), FftNorm::Backward, &mut scratch).unwrap();
    assert_eq!(image, expected);
    let expected = plan.irfft2_adjoint(image.view(), FftNorm::Backward).unwrap();
    let mut spectrum = grad.mapv(|bin| bin * f64::NAN);
    scratch.poison();
    plan.irfft2_adjoint_into(image.view(), spectrum.view_mut(), FftNorm::Backward, &mut scratch).unwrap();
    assert_eq!(spectrum, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hermitian_projection_is_its_own_adjoint([height, width] in plane_size(), seed: u64) {
        let a = random_complex::<f64, _>((height, half_width(width)), seed);
        let b = random_complex::<f64, _>((height, half_width(width)), seed ^ 1);
        let (mut projected_a, mut projected_b) = (a.clone(), b.clone());
        hermitian_project(projected_a.view_mut(), width).unwrap();
        hermitian_project(projected_b.view_mut(), width).unwrap();
        assert_adjoint(a.view(), projected_a.view(), b.view(), projected_b.view());
    }

    #[test]
    fn resample_spectrum_adjoint_passes_dot_test(
        [height, width] in plane_size(), [new_height, new_width] in plane_size(), norm in 0_usize..3, seed: u64,
    ) {
        let norm = FftNorm::ALL[norm];
        let x = random_complex::<f64, _>((2, height, half_width(width)), seed);
        let grad = random_complex::<f64, _>((2, new_height, half_width(new_width)), seed ^ 1);
        let forward = resample_spectrum(x.view(), width, new_height, new_width, norm).unwrap();
        let adjoint = resample_spectrum_adjoint(grad.view(), new_width, height, width, norm).unwrap();
        assert_adjoint(x.view(), forward.view(), grad.view(), adjoint.view());
    }
}
