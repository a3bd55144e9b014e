//! rfft2 and irfft2 of planned and whole-array form against the defining sums.

use crate::common::{GROUP_SIZES, MANY, SIZES, assert_close, plane_size, random_complex, random_real};
use cfconv_fft::{Complex, FftError, FftNorm, Rfft2Plan, fft2, half_width, ifft2, irfft2, naive, rfft2};
use ndarray::{Array4, ArrayView2, s};
use proptest::prelude::*;

/// f64 rounding of a transform of a few hundred points.
const TOLERANCE: f64 = 16.0 * f64::EPSILON;

fn plane<A>(array: &Array4<A>, batch: usize, channel: usize) -> ArrayView2<'_, A> {
    array.slice(s![batch, channel, .., ..])
}

#[test]
fn planned_rfft2_equals_naive_sum_for_every_size_and_norm() {
    for [height, width] in SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let images = random_real::<f64, _>((2, 3, height, width), 1);
        for norm in FftNorm::ALL {
            let spectrum = plan.rfft2(images.view(), norm).unwrap();
            for (b, c) in [(0, 0), (1, 2)] {
                let expected = naive::rfft2(plane(&images, b, c), norm);
                assert_close(plane(&spectrum, b, c), expected.view(), TOLERANCE);
            }
        }
    }
}

#[test]
fn planned_irfft2_equals_naive_sum_for_spectra_without_symmetry() {
    for [height, width] in SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let spectrum = random_complex::<f64, _>((2, 3, height, half_width(width)), 2);
        for norm in FftNorm::ALL {
            let images = plan.irfft2(spectrum.view(), norm).unwrap();
            for (b, c) in [(0, 0), (1, 2)] {
                let expected = naive::irfft2(plane(&spectrum, b, c), width, norm);
                assert_close(plane(&images, b, c), expected.view(), TOLERANCE);
            }
        }
    }
}

#[test]
fn groups_of_planes_equal_naive_sums_for_every_norm() {
    let [batch, channels] = MANY;
    for [height, width] in GROUP_SIZES {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let images = random_real::<f64, _>((batch, channels, height, width), 10);
        let spectra = random_complex::<f64, _>((batch, channels, height, half_width(width)), 11);
        for norm in FftNorm::ALL {
            let forward = plan.rfft2(images.view(), norm).unwrap();
            let inverse = plan.irfft2(spectra.view(), norm).unwrap();
            // First and last of a group, of the groups, and of those left over.
            for c in [0, 15, 16, 63, 64, 66] {
                let expected = naive::rfft2(plane(&images, 0, c), norm);
                assert_close(plane(&forward, 0, c), expected.view(), TOLERANCE);
                let expected = naive::irfft2(plane(&spectra, 0, c), width, norm);
                assert_close(plane(&inverse, 0, c), expected.view(), TOLERANCE);
            }
        }
    }
}

#[test]
fn groups_of_planes_agree_with_single_planes_at_every_plane() {
    // Sizes of several stages, of more than one column block, and with a factor that has no butterfly.
    for [height, width] in [[64, 64], [60, 60], [31, 62], [75, 96]] {
        let plan = Rfft2Plan::<f32>::try_new(height, width).unwrap();
        let images = random_real::<f32, _>((9, 8, height, width), 12);
        let spectra = random_complex::<f32, _>((9, 8, height, half_width(width)), 13);
        let forward = plan.rfft2(images.view(), FftNorm::Ortho).unwrap();
        let inverse = plan.irfft2(spectra.view(), FftNorm::Ortho).unwrap();
        for b in 0..9 {
            // A single image has too few planes for groups.
            let image = images.slice(s![b..=b, .., .., ..]);
            let spectrum = spectra.slice(s![b..=b, .., .., ..]);
            let limit = f64::from(f32::EPSILON) * ((height * width) as f64).log2().sqrt();
            for c in 0..8 {
                let single = plan.rfft2(image.slice(s![.., c..=c, .., ..]), FftNorm::Ortho).unwrap();
                assert_close(plane(&forward, b, c), plane(&single, 0, 0), limit);
                let single = plan.irfft2(spectrum.slice(s![.., c..=c, .., ..]), FftNorm::Ortho).unwrap();
                assert_close(plane(&inverse, b, c), plane(&single, 0, 0), limit);
            }
        }
    }
}

#[test]
fn a_plane_with_nan_leaves_the_others_of_its_group_alone() {
    let plan = Rfft2Plan::<f32>::try_new(6, 16).unwrap();
    let mut images = random_real::<f32, _>((64, 1, 6, 16), 14);
    let expected = plan.rfft2(images.view(), FftNorm::Backward).unwrap();
    images[[20, 0, 3, 4]] = f32::NAN;
    let spectra = plan.rfft2(images.view(), FftNorm::Backward).unwrap();
    assert!(plane(&spectra, 20, 0).iter().all(|bin| bin.re.is_nan()));
    for b in (0..64).filter(|&b| b != 20) {
        assert_eq!(plane(&spectra, b, 0), plane(&expected, b, 0));
    }
}

#[test]
fn whole_array_transforms_equal_naive_sums() {
    for [height, width] in SIZES {
        let real = random_real::<f64, _>((height, width), 3);
        let half = random_complex::<f64, _>((height, half_width(width)), 4);
        let full = random_complex::<f64, _>((height, width), 5);
        for norm in FftNorm::ALL {
            let spectrum = rfft2(real.view(), norm).unwrap();
            assert_close(spectrum.view(), naive::rfft2(real.view(), norm).view(), TOLERANCE);
            let image = irfft2(half.view(), width, norm).unwrap();
            assert_close(image.view(), naive::irfft2(half.view(), width, norm).view(), TOLERANCE);
            let spectrum = fft2(full.view(), norm).unwrap();
            assert_close(spectrum.view(), naive::fft2(full.view(), norm).view(), TOLERANCE);
            assert_close(ifft2(spectrum.view(), norm).unwrap().view(), full.view(), TOLERANCE);
        }
    }
}

#[test]
fn whole_array_transforms_take_any_rank() {
    let image = random_real::<f64, _>((2, 1, 3, 4, 5), 6);
    let spectrum = rfft2(image.view(), FftNorm::Ortho).unwrap();
    assert_eq!(spectrum.shape(), [2, 1, 3, 4, 3]);
    let last = naive::rfft2(image.slice(s![1, 0, 2, .., ..]), FftNorm::Ortho);
    assert_close(spectrum.slice(s![1, 0, 2, .., ..]), last.view(), TOLERANCE);
    let again = irfft2(spectrum.view().into_dyn(), 5, FftNorm::Ortho).unwrap();
    assert_close(again.view(), image.view().into_dyn(), TOLERANCE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn irfft2_inverts_rfft2([height, width] in plane_size(), norm_index in 0_usize..3, seed: u64) {
        let norm = FftNorm::ALL[norm_index];
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let images = random_real::<f64, _>((1, 2, height, width), seed);
        let spectrum = plan.rfft2(images.view(), norm).unwrap();
        assert_close(plan.irfft2(spectrum.view(), norm).unwrap().view(), images.view(), TOLERANCE);
    }

    #[test]
    fn rfft2_is_linear([height, width] in plane_size(), a in -2.0..2.0_f64, seed: u64) {
        let plan = Rfft2Plan::<f64>::try_new(height, width).unwrap();
        let x = random_real::<f64, _>((1, 1, height, width), seed);
        let y = random_real::<f64, _>((1, 1, height, width), seed ^ 1);
        let together = plan.rfft2((&x * a + &y).view(), FftNorm::Backward).unwrap();
        let apart = plan.rfft2(x.view(), FftNorm::Backward).unwrap().mapv(|bin| bin * a)
            + plan.rfft2(y.view(), FftNorm::Backward).unwrap();
        assert_close(together.view(), apart.view(), 1e-13);
    }

    #[test]
    fn rfft2_of_an_impulse_is_a_plane_wave(
        [height, width] in plane_size(), row in 0_usize..14, column in 0_usize..14,
    ) {
        let (row, column) = (row % height, column % width);
        let mut image = Array4::<f64>::zeros((1, 1, height, width));
        image[[0, 0, row, column]] = 1.0;
        let plan = Rfft2Plan::try_new(height, width).unwrap();
        let spectrum = plan.rfft2(image.view(), FftNorm::Backward).unwrap();
        let wave = Array4::from_shape_fn(spectrum.dim(), |(_, _, p, q)| {
            let cycles = p as f64 * row as f64 / height as f64 + q as f64 * column as f64 / width as f64;
            Complex::from_polar(1.0, -std::f64::consts::TAU * cycles)
        });
        assert_close(spectrum.view(), wave.view(), 1e-13);
    }

    #[test]
    fn shifting_an_image_turns_the_phase_of_its_spectrum(
        [height, width] in plane_size(), down in 0_usize..14, right in 0_usize..14, seed: u64,
    ) {
        let (down, right) = (down % height, right % width);
        let image = random_real::<f64, _>((1, 1, height, width), seed);
        let shifted = Array4::from_shape_fn(image.dim(), |(_, _, h, w)| {
            image[[0, 0, (h + height - down) % height, (w + width - right) % width]]
        });
        let plan = Rfft2Plan::try_new(height, width).unwrap();
        let mut turned = plan.rfft2(image.view(), FftNorm::Ortho).unwrap();
        for ((_, _, p, q), bin) in turned.indexed_iter_mut() {
            let cycles = (p * down) as f64 / height as f64 + (q * right) as f64 / width as f64;
            *bin *= Complex::from_polar(1.0, -std::f64::consts::TAU * cycles);
        }
        let spectrum = plan.rfft2(shifted.view(), FftNorm::Ortho).unwrap();
        assert_close(spectrum.view(), turned.view(), 1e-13);
    }

    #[test]
    fn planned_equals_whole_array_in_f32([height, width] in plane_size(), seed: u64) {
        let plan = Rfft2Plan::<f32>::try_new(height, width).unwrap();
        let images = random_real::<f32, _>((2, 2, height, width), seed);
        let spectrum = plan.rfft2(images.view(), FftNorm::Backward).unwrap();
        let whole = rfft2(images.view(), FftNorm::Backward).unwrap();
        assert_close(spectrum.view(), whole.view(), 4.0 * f64::from(f32::EPSILON));
        let image = plan.irfft2(spectrum.view(), FftNorm::Backward).unwrap();
        let whole = irfft2(whole.view(), width, FftNorm::Backward).unwrap();
        assert_close(image.view(), whole.view(), 8.0 * f64::from(f32::EPSILON));
    }
}

/// ‖f32 − f64‖/‖f64‖ of both transforms of so many planes, the same f32 values given to both.
fn f32_errors(planes: usize, height: usize, width: usize) -> [f64; 2] {
    let images = random_real::<f32, _>((1, planes, height, width), 7);
    let wide_images = images.mapv(f64::from);
    let narrow = Rfft2Plan::<f32>::try_new(height, width).unwrap();
    let wide = Rfft2Plan::<f64>::try_new(height, width).unwrap();
    let spectrum = narrow.rfft2(images.view(), FftNorm::Backward).unwrap();
    let expected = wide.rfft2(wide_images.view(), FftNorm::Backward).unwrap();
    let forward = crate::common::relative_error(spectrum.view(), expected.view());
    let wide_spectrum = spectrum.mapv(|bin| Complex::new(f64::from(bin.re), f64::from(bin.im)));
    let image = narrow.irfft2(spectrum.view(), FftNorm::Backward).unwrap();
    let expected = wide.irfft2(wide_spectrum.view(), FftNorm::Backward).unwrap();
    [forward, crate::common::relative_error(image.view(), expected.view())]
}

#[test]
fn f32_error_stays_below_half_eps_root_log_n_for_composite_sizes() {
    for [height, width] in [
        [2, 2],
        [4, 4],
        [8, 8],
        [6, 10],
        [12, 9],
        [15, 15],
        [16, 32],
        [64, 64],
        [48, 100],
        [128, 128],
        [120, 96],
        [224, 224],
        [1, 4096],
        [4096, 1],
    ] {
        let limit = 0.5 * f64::from(f32::EPSILON) * ((height * width) as f64).log2().sqrt();
        let errors = f32_errors(2, height, width);
        assert!(errors.iter().all(|&error| error < limit), "{height}×{width}: {errors:?}, limit {limit:e}");
    }
}

#[test]
fn f32_error_stays_below_0_8_eps_root_log_n_for_prime_sizes() {
    for [height, width] in [
        [3, 5],
        [5, 7],
        [7, 7],
        [11, 13],
        [17, 19],
        [31, 37],
        [61, 67],
        [97, 101],
        [127, 131],
        [1, 257],
        [263, 1],
        [1, 1009],
        [1013, 1],
    ] {
        let limit = 0.8 * f64::from(f32::EPSILON) * ((height * width) as f64).log2().sqrt();
        let errors = f32_errors(2, height, width);
        assert!(errors.iter().all(|&error| error < limit), "{height}×{width}: {errors:?}, limit {limit:e}");
    }
}

#[test]
fn f32_error_of_groups_of_planes_stays_within_the_same_bounds() {
    for ([height, width], factor) in [
        ([64, 64], 0.5),
        ([6, 50], 0.5),
        ([48, 100], 0.5),
        ([1, 4096], 0.5),
        ([7, 17], 0.8),
        ([31, 31], 0.8),
        ([23, 29], 0.8),
    ] {
        let limit = factor * f64::from(f32::EPSILON) * ((height * width) as f64).log2().sqrt();
        let errors = f32_errors(64, height, width);
        assert!(errors.iter().all(|&error| error < limit), "{height}×{width}: {errors:?}, limit {limit:e}");
    }
}

#[test]
fn views_with_any_strides_give_the_same_result() {
    let plan = Rfft2Plan::<f64>::try_new(5, 6).unwrap();
    let mut scratch = plan.scratch_for_threads(2);
    // Every second row and column of a larger array, backwards, with batch and channels swapped.
    let large = random_real::<f64, _>((3, 2, 10, 12), 8);
    let input = large.slice(s![.., .., ..;-2, ..;2]).permuted_axes([1, 0, 2, 3]);
    let expected = plan.rfft2(input.to_owned().view(), FftNorm::Backward).unwrap();
    let mut strided = ndarray::Array4::from_elem((2, 3, 4, 10), Complex::new(f64::NAN, 0.0));
    let output = strided.slice_mut(s![.., .., .., ..;2]).permuted_axes([0, 1, 3, 2]);
    plan.rfft2_into(input, output, FftNorm::Backward, &mut scratch).unwrap();
    let written = strided.slice(s![.., .., .., ..;2]).permuted_axes([0, 1, 3, 2]);
    assert_eq!(written, expected);
    assert!(strided.slice(s![.., .., .., 1..;2]).iter().all(|bin| bin.re.is_nan()), "wrote between");

    let image = plan.irfft2(expected.view(), FftNorm::Backward).unwrap();
    let mut strided = ndarray::Array4::from_elem((2, 3, 6, 10), f64::NAN);
    let output = strided.slice_mut(s![.., .., .., ..;-2]).permuted_axes([0, 1, 3, 2]);
    plan.irfft2_into(written, output, FftNorm::Backward, &mut scratch).unwrap();
    assert_eq!(strided.slice(s![.., .., .., ..;-2]).permuted_axes([0, 1, 3, 2]), image);
}

#[test]
fn strided_views_of_many_planes_agree_with_groups_of_contiguous_ones() {
    let plan = Rfft2Plan::<f64>::try_new(6, 16).unwrap();
    let mut scratch = plan.scratch_for_threads(2);
    let images = random_real::<f64, _>((8, 9, 6, 16), 15);
    // The same images, stored with batch and channels exchanged.
    let stored = images.view().permuted_axes([1, 0, 2, 3]).as_standard_layout().into_owned();
    let strided = stored.view().permuted_axes([1, 0, 2, 3]);
    let grouped = plan.rfft2(images.view(), FftNorm::Backward).unwrap();
    let mut spectra = Array4::from_elem(grouped.dim(), Complex::new(f64::NAN, f64::NAN));
    plan.rfft2_into(strided, spectra.view_mut(), FftNorm::Backward, &mut scratch).unwrap();
    assert_close(spectra.view(), grouped.view(), TOLERANCE);

    // Contiguous spectra into every second image.
    let mut spaced = Array4::from_elem((16, 9, 6, 16), f64::NAN);
    let output = spaced.slice_mut(s![..;2, .., .., ..]);
    plan.irfft2_into(grouped.view(), output, FftNorm::Backward, &mut scratch).unwrap();
    assert_close(spaced.slice(s![..;2, .., .., ..]), images.view(), TOLERANCE);
    assert!(spaced.slice(s![1..;2, .., .., ..]).iter().all(|value| value.is_nan()), "wrote between");
}

#[test]
fn scratch_content_and_thread_count_do_not_matter() {
    let few = SIZES.map(|size| ([3, 3], size));
    let many = GROUP_SIZES.map(|size| (MANY, size));
    for ([batch, channels], [height, width]) in few.into_iter().chain(many) {
        let plan = Rfft2Plan::<f32>::try_new(height, width).unwrap();
        let images = random_real::<f32, _>((batch, channels, height, width), 9);
        let expected = plan.rfft2(images.view(), FftNorm::Backward).unwrap();
        let expected_images = plan.irfft2(expected.view(), FftNorm::Backward).unwrap();
        for threads in [0, 1, 2, 5] {
            let mut scratch = plan.scratch_for_threads(threads);
            scratch.poison();
            let mut spectrum = Array4::from_elem(expected.dim(), Complex::new(f32::NAN, f32::NAN));
            plan.rfft2_into(images.view(), spectrum.view_mut(), FftNorm::Backward, &mut scratch).unwrap();
            assert_eq!(spectrum, expected);
            scratch.poison();
            let mut again = Array4::from_elem(images.dim(), f32::NAN);
            plan.irfft2_into(spectrum.view(), again.view_mut(), FftNorm::Backward, &mut scratch).unwrap();
            assert_eq!(again, expected_images);
        }
    }
}

#[test]
fn arrays_without_planes_are_fine() {
    let plan = Rfft2Plan::<f64>::try_new(3, 4).unwrap();
    let none = Array4::<f64>::zeros((0, 2, 3, 4));
    assert_eq!(plan.rfft2(none.view(), FftNorm::Backward).unwrap().dim(), (0, 2, 3, 3));
    assert_eq!(rfft2(none.view(), FftNorm::Backward).unwrap().dim(), (0, 2, 3, 3));
}

#[test]
fn errors_name_operation_operand_and_shapes() {
    let plan = Rfft2Plan::<f64>::try_new(3, 4).unwrap();
    let image = Array4::<f64>::zeros((1, 2, 3, 5));
    let error = plan.rfft2(image.view(), FftNorm::Backward).unwrap_err();
    assert_eq!(error.to_string(), "rfft2: input has shape [1, 2, 3, 5], expected [1, 2, 3, 4]");

    let image = Array4::<f64>::zeros((1, 2, 3, 4));
    let mut spectrum = Array4::default((1, 1, 3, 3));
    let mut scratch = plan.scratch();
    let error =
        plan.rfft2_into(image.view(), spectrum.view_mut(), FftNorm::Backward, &mut scratch).unwrap_err();
    assert_eq!(error.to_string(), "rfft2: output has shape [1, 1, 3, 3], expected [1, 2, 3, 3]");

    let mut spectrum = Array4::default((1, 2, 3, 3));
    let mut foreign = Rfft2Plan::<f64>::try_new(3, 5).unwrap().scratch();
    let error =
        plan.rfft2_into(image.view(), spectrum.view_mut(), FftNorm::Backward, &mut foreign).unwrap_err();
    assert_eq!(error.to_string(), "rfft2: scratch was made for planes of [3, 5], the plan is for [3, 4]");

    assert_eq!(
        Rfft2Plan::<f32>::try_new(0, 4).unwrap_err(),
        FftError::ZeroSize { op: "Rfft2Plan", name: "height" }
    );
    let flat = ndarray::Array1::<f64>::zeros(4);
    let error = rfft2(flat.view(), FftNorm::Backward).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rfft2: input has 1 axes, expected at least 2 (rows and columns come last)"
    );
    let half = ndarray::Array2::<Complex<f64>>::zeros((2, 3));
    let error = irfft2(half.view(), 8, FftNorm::Backward).unwrap_err();
    assert_eq!(error.to_string(), "irfft2: half_spectrum has shape [2, 3], expected [2, 5]");
}
