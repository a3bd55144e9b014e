//! Frequencies, multiplicity, Parseval, Hermitian projection, resampling.

use std::f64::consts::TAU;

use crate::common::{SIZES, assert_close, dot, plane_size, random_complex, random_real};
use cfconv_fft::{
    Complex, FftNorm, Rfft2Plan, col_frequencies, fft2, half_width, hermitian_project, irfft2,
    is_self_conjugate_column, multiplicity, resample_spectrum, rfft2, row_frequencies, signed_index,
    spectral_energy,
};
use ndarray::{Array2, s};
use proptest::prelude::*;

#[test]
fn frequencies_are_those_of_fftfreq() {
    assert_eq!(row_frequencies::<f64>(5), [0.0, 0.2, 0.4, -0.4, -0.2]);
    assert_eq!(row_frequencies::<f32>(1), [0.0]);
    for n in 1..20 {
        let rows = row_frequencies::<f64>(n);
        assert!(rows.iter().all(|f| (-0.5..0.5).contains(f)));
        assert!(rows.iter().enumerate().all(|(p, f)| signed_index(p, n) as f64 / n as f64 == *f));
        let columns = col_frequencies::<f64>(n);
        assert_eq!(columns.len(), half_width(n));
        assert!(columns.iter().all(|f| (0.0..=0.5).contains(f)));
        assert_eq!((0..half_width(n)).map(|q| multiplicity(q, n)).sum::<usize>(), n);
    }
}

#[test]
fn multiplicity_counts_bins_of_the_full_spectrum() {
    for width in 1..12 {
        for column in 0..half_width(width) {
            let mirror = (width - column) % width;
            assert_eq!(is_self_conjugate_column(column, width), mirror == column, "{column} of {width}");
        }
    }
}

#[test]
fn half_spectrum_is_half_of_the_full_one() {
    for [height, width] in SIZES {
        let image = random_real::<f64, _>((height, width), 1);
        let full = fft2(image.mapv(|x| Complex::new(x, 0.0)).view(), FftNorm::Backward).unwrap();
        let half = rfft2(image.view(), FftNorm::Backward).unwrap();
        assert_close(half.view(), full.slice(s![.., ..half_width(width)]), 1e-14);
    }
}

#[test]
fn resampling_bandlimited_cosines_gives_their_samples_on_the_new_grid() {
    // Frequencies below the Nyquist of every grid: 1 and 2 cycles fit into 5 samples.
    let wave = |y: f64, x: f64| {
        0.3 + (TAU * (y - 2.0 * x) + 0.4).cos() + 0.5 * (TAU * (2.0 * y + x) - 1.1).sin()
            - 0.7 * (TAU * x).cos()
    };
    let sampled = |height: usize, width: usize| {
        let sample = |(h, w)| wave(h as f64 / height as f64, w as f64 / width as f64);
        Array2::from_shape_fn((height, width), sample)
    };
    for [height, width] in [[5, 5], [5, 6], [6, 5], [8, 8], [7, 12]] {
        for [new_height, new_width] in [[5, 5], [6, 6], [12, 5], [5, 16], [9, 8], [32, 31]] {
            for norm in FftNorm::ALL {
                let spectrum = rfft2(sampled(height, width).view(), norm).unwrap();
                let new = resample_spectrum(spectrum.view(), width, new_height, new_width, norm).unwrap();
                let image = irfft2(new.view(), new_width, norm).unwrap();
                assert_close(image.view(), sampled(new_height, new_width).view(), 1e-13);
            }
        }
    }
}

#[test]
fn resampling_errors_name_the_size() {
    let spectrum = Array2::<Complex<f64>>::zeros((4, 3));
    let resample = |width, new_height, new_width| {
        let norm = FftNorm::Backward;
        resample_spectrum(spectrum.view(), width, new_height, new_width, norm).unwrap_err().to_string()
    };
    assert_eq!(resample(5, 0, 4), "resample_spectrum: new_height must be at least 1, got 0");
    assert_eq!(resample(4, 4, 0), "resample_spectrum: new_width must be at least 1, got 0");
    assert_eq!(resample(6, 4, 4), "resample_spectrum: half_spectrum has shape [4, 3], expected [4, 4]");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parseval_holds_for_every_norm([height, width] in plane_size(), seed: u64) {
        let image = random_real::<f64, _>((3, height, width), seed);
        let energy = dot(image.view(), image.view());
        let points = (height * width) as f64;
        for (norm, factor) in [(FftNorm::Backward, points), (FftNorm::Ortho, 1.0), (FftNorm::Forward, 1.0 / points)] {
            let spectrum = rfft2(image.view(), norm).unwrap();
            let spectral = spectral_energy(spectrum.view(), width).unwrap();
            prop_assert!((spectral / factor - energy).abs() <= 1e-13 * energy);
        }
    }

    #[test]
    fn hermitian_projection_is_what_irfft2_sees([height, width] in plane_size(), seed: u64) {
        let spectrum = random_complex::<f64, _>((1, 2, height, half_width(width)), seed);
        let mut projected = spectrum.clone();
        hermitian_project(projected.view_mut(), width).unwrap();
        let plan = Rfft2Plan::try_new(height, width).unwrap();
        let image = plan.irfft2(spectrum.view(), FftNorm::Backward).unwrap();
        assert_close(image.view(), plan.irfft2(projected.view(), FftNorm::Backward).unwrap().view(), 1e-13);
        // And it is exactly the spectrum of that image.
        assert_close(plan.rfft2(image.view(), FftNorm::Backward).unwrap().view(), projected.view(), 1e-13);
    }

    #[test]
    fn hermitian_projection_is_idempotent_and_leaves_paired_columns([height, width] in plane_size(), seed: u64) {
        let spectrum = random_complex::<f64, _>((2, height, half_width(width)), seed);
        let mut once = spectrum.clone();
        hermitian_project(once.view_mut(), width).unwrap();
        let mut twice = once.clone();
        hermitian_project(twice.view_mut(), width).unwrap();
        prop_assert_eq!(&twice, &once);
        for column in (0..half_width(width)).filter(|&q| !is_self_conjugate_column(q, width)) {
            prop_assert_eq!(once.slice(s![.., .., column]), spectrum.slice(s![.., .., column]));
        }
        for column in (0..half_width(width)).filter(|&q| is_self_conjugate_column(q, width)) {
            for p in 0..height {
                let mirror = once[[0, (height - p) % height, column]];
                prop_assert_eq!(once[[0, p, column]], mirror.conj());
            }
        }
    }

    #[test]
    fn resampled_spectrum_of_an_image_is_that_of_a_real_image(
        [height, width] in plane_size(), [new_height, new_width] in plane_size(), seed: u64,
    ) {
        let spectrum = rfft2(random_real::<f64, _>((height, width), seed).view(), FftNorm::Ortho).unwrap();
        let new = resample_spectrum(spectrum.view(), width, new_height, new_width, FftNorm::Ortho).unwrap();
        let mut projected = new.clone();
        hermitian_project(projected.view_mut(), new_width).unwrap();
        assert_close(projected.view(), new.view(), 1e-13);
    }

    #[test]
    fn shrinking_after_growing_gives_the_image_back(
        [height, width] in plane_size(), down in 0_usize..6, right in 0_usize..6, seed: u64,
    ) {
        let norm = FftNorm::Backward;
        let image = random_real::<f64, _>((height, width), seed);
        let spectrum = rfft2(image.view(), norm).unwrap();
        let grown = resample_spectrum(spectrum.view(), width, height + down, width + right, norm).unwrap();
        let back = resample_spectrum(grown.view(), width + right, height, width, norm).unwrap();
        assert_close(back.view(), spectrum.view(), 1e-13);
    }

    #[test]
    fn resampling_commutes_with_hermitian_projection(
        [height, width] in plane_size(), [new_height, new_width] in plane_size(), seed: u64,
    ) {
        // irfft2 after it gives the same image whether or not the input was projected before.
        let norm = FftNorm::Forward;
        let spectrum = random_complex::<f64, _>((height, half_width(width)), seed);
        let mut projected = spectrum.clone();
        hermitian_project(projected.view_mut(), width).unwrap();
        let image = |spectrum: &Array2<Complex<f64>>| {
            let new = resample_spectrum(spectrum.view(), width, new_height, new_width, norm).unwrap();
            irfft2(new.view(), new_width, norm).unwrap()
        };
        assert_close(image(&spectrum).view(), image(&projected).view(), 1e-13);
    }
}
