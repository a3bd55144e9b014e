//! Golden values from PyTorch's FFTs, convolutions and autograd: `golden/cf_conv2d.py` and its output.

use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, RefreshHistory};
use cfconv_fft::Complex;
use ndarray::ArrayView4;
use serde_json::Value;

use crate::common::{forward, relative_error, seed, to_lanes};

fn floats(case: &Value, key: &str) -> Vec<f64> {
    case[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn lanes(case: &Value, key: &str, channels: usize, config: &CfConv2dConfig) -> Vec<f64> {
    let values = floats(case, key);
    let batch = case["batch"].as_u64().unwrap() as usize;
    let shape = (batch, channels, config.height, config.width);
    to_lanes(ArrayView4::from_shape(shape, &values).unwrap())
}

fn check(case: &Value, config: &CfConv2dConfig) {
    let batch = case["batch"].as_u64().unwrap() as usize;
    let label = format!("{} {:?}", case["name"], config.algorithm);
    let mut engine = CfConv2dEngine::<f64>::try_new(config).unwrap();
    let params = floats(case, "params");
    let (re, im) = (floats(case, "state_re"), floats(case, "state_im"));
    let state: Vec<_> = re.iter().zip(&im).map(|(&re, &im)| Complex::new(re, im)).collect();
    let output_scale = case["output_scale"].as_f64().unwrap();
    engine.load_state(&state, RefreshHistory::default(), output_scale).unwrap();
    let mut workspace = CfConvWorkspace::default();
    engine.begin_step(&params, seed(1), &mut workspace).unwrap();
    if let Some(positions) = case["positions"].as_array() {
        let positions: Vec<_> = positions.iter().map(|u| u.as_u64().unwrap() as u32).collect();
        assert_eq!(engine.positions().list().unwrap(), positions, "{label}");
    }
    let output = forward(&mut engine, &params, batch, &lanes(case, "input", config.in_channels, config));
    let grad_output = lanes(case, "grad_output", config.out_channels, config);
    let expected_input = lanes(case, "grad_input", config.in_channels, config);
    let mut grad_input = vec![f64::NAN; expected_input.len()];
    let mut grad_params = vec![0.0; params.len()];
    engine
        .backward(&params, batch, &grad_output, Some(&mut grad_input), &mut grad_params, &mut workspace)
        .unwrap();
    // A few hundred f64 operations behind each value.
    const TOLERANCE: f64 = 1e-13;
    let error = relative_error(&output, &lanes(case, "output", config.out_channels, config));
    assert!(error < TOLERANCE, "{label}: output {error:e}");
    let error = relative_error(&grad_input, &expected_input);
    assert!(error < TOLERANCE, "{label}: input gradient {error:e}");
    let error = relative_error(&grad_params, &floats(case, "grad_params"));
    assert!(error < TOLERANCE, "{label}: parameter gradient {error:e}");
}

#[test]
fn output_and_gradients_equal_pytorch_autograd() {
    let document: Value = serde_json::from_str(include_str!("golden/cf_conv2d.json")).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let config: CfConv2dConfig = serde_json::from_value(case["config"].clone()).unwrap();
        check(case, &config);
        if config.lattice_size().is_some() {
            for algorithm in [ConvAlgorithm::Direct, ConvAlgorithm::Fft] {
                check(case, &CfConv2dConfig { algorithm, ..config.clone() });
            }
        }
    }
}
