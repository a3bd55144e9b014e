//! Numbers that NumPy and SciPy computed; tests/golden/make_golden.py wrote them.

use crate::common::assert_close;
use cfconv_fft::{
    Complex, Extent, FftNorm, Padding2d, PaddingMode, Rfft2Plan, centered_origin, circular_convolution,
    circular_cross_correlation, convolve2d, cross_correlate2d, irfft2, pad, resample_spectrum, rfft2,
};
use ndarray::{Array2, Axis};
use serde_json::Value;

const TOLERANCE: f64 = 1e-14;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/golden.json")).unwrap()
}

fn cases(name: &str) -> Vec<Value> {
    let cases = golden()[name].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "no golden cases of {name}");
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn shape(value: &Value) -> (usize, usize) {
    let shape = numbers(&value["shape"]);
    (shape[0] as usize, shape[1] as usize)
}

fn real(value: &Value) -> Array2<f64> {
    Array2::from_shape_vec(shape(value), numbers(&value["re"])).unwrap()
}

fn complex(value: &Value) -> Array2<Complex<f64>> {
    let (re, im) = (numbers(&value["re"]), numbers(&value["im"]));
    let bins = re.into_iter().zip(im).map(|(re, im)| Complex::new(re, im)).collect();
    Array2::from_shape_vec(shape(value), bins).unwrap()
}

fn norm(value: &Value) -> FftNorm {
    match value["norm"].as_str().unwrap() {
        "backward" => FftNorm::Backward,
        "ortho" => FftNorm::Ortho,
        "forward" => FftNorm::Forward,
        other => panic!("unknown norm {other}"),
    }
}

fn extent(value: &Value) -> Extent {
    match value["mode"].as_str().unwrap() {
        "full" => Extent::Full,
        "same" => Extent::Same,
        "valid" => Extent::Valid,
        other => panic!("unknown mode {other}"),
    }
}

fn as_images<T: Clone>(plane: &Array2<T>) -> ndarray::Array4<T> {
    plane.clone().insert_axis(Axis(0)).insert_axis(Axis(0))
}

#[test]
fn rfft2_equals_numpy() {
    for case in cases("rfft2") {
        let (input, expected) = (real(&case["input"]), complex(&case["output"]));
        assert_close(rfft2(input.view(), norm(&case)).unwrap().view(), expected.view(), TOLERANCE);
        let plan = Rfft2Plan::try_new(input.nrows(), input.ncols()).unwrap();
        let spectrum = plan.rfft2(as_images(&input).view(), norm(&case)).unwrap();
        assert_close(spectrum.view(), as_images(&expected).view(), TOLERANCE);
    }
}

#[test]
fn irfft2_of_spectra_without_symmetry_equals_numpy() {
    for case in cases("irfft2") {
        let (input, expected) = (complex(&case["input"]), real(&case["output"]));
        let width = expected.ncols();
        assert_close(irfft2(input.view(), width, norm(&case)).unwrap().view(), expected.view(), TOLERANCE);
        let plan = Rfft2Plan::try_new(expected.nrows(), width).unwrap();
        let image = plan.irfft2(as_images(&input).view(), norm(&case)).unwrap();
        assert_close(image.view(), as_images(&expected).view(), TOLERANCE);
    }
}

#[test]
fn linear_convolution_and_correlation_equal_scipy() {
    let mut correlations = 0;
    for case in cases("convolve2d") {
        let (image, kernel) = (real(&case["image"]), real(&case["kernel"]));
        let convolution = convolve2d(image.view(), kernel.view(), extent(&case)).unwrap();
        assert_close(convolution.view(), real(&case["convolution"]).view(), TOLERANCE);
        if !case["cross_correlation"].is_null() {
            let correlation = cross_correlate2d(image.view(), kernel.view(), extent(&case)).unwrap();
            assert_close(correlation.view(), real(&case["cross_correlation"]).view(), TOLERANCE);
            correlations += 1;
        }
    }
    assert_eq!(correlations, 7);
}

#[test]
fn centred_circular_convolution_and_correlation_equal_scipy() {
    for case in cases("circular") {
        let (image, kernel) = (as_images(&real(&case["image"])), as_images(&real(&case["kernel"])));
        let origin = centered_origin([kernel.dim().2, kernel.dim().3]);
        let convolution = circular_convolution(image.view(), kernel.view(), origin).unwrap();
        assert_close(convolution.view(), as_images(&real(&case["convolution"])).view(), TOLERANCE);
        let correlation = circular_cross_correlation(image.view(), kernel.view(), origin).unwrap();
        assert_close(correlation.view(), as_images(&real(&case["cross_correlation"])).view(), TOLERANCE);
    }
}

#[test]
fn resampled_spectrum_equals_scipy_resample_along_both_axes() {
    for case in cases("resample") {
        let (input, expected) = (real(&case["input"]), real(&case["output"]));
        let (height, width) = expected.dim();
        for norm in FftNorm::ALL {
            let spectrum = rfft2(input.view(), norm).unwrap();
            let resampled = resample_spectrum(spectrum.view(), input.ncols(), height, width, norm).unwrap();
            let image = irfft2(resampled.view(), width, norm).unwrap();
            assert_close(image.view(), expected.view(), TOLERANCE);
        }
    }
}

#[test]
fn padding_equals_numpy() {
    for case in cases("pad") {
        let mode = match case["mode"].as_str().unwrap() {
            "zeros" => PaddingMode::Zeros,
            "circular" => PaddingMode::Circular,
            "reflect" => PaddingMode::Reflect,
            "replicate" => PaddingMode::Replicate,
            other => panic!("unknown mode {other}"),
        };
        let margins: Vec<usize> = numbers(&case["margins"]).into_iter().map(|n| n as usize).collect();
        let padding = Padding2d { top: margins[0], bottom: margins[1], left: margins[2], right: margins[3] };
        assert_eq!(pad(real(&case["input"]).view(), padding, mode).unwrap(), real(&case["output"]));
    }
}
