//! Wrong input is refused with a message that names what is wrong, and nothing is written.

use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, MlpError, Positions};
use num_complex::Complex;

const GRID: KernelGrid = KernelGrid { height: 4, width: 4, in_channels: 2, out_channels: 2 };

fn evaluate(params: usize, positions: Positions<'_>, output: usize) -> Result<(), MlpError> {
    let phi = KernelMlp::<f32>::try_new(&KernelMlpConfig { hidden_width: 2, ..Default::default() }, GRID)?;
    let params = vec![0.0; params.min(phi.num_parameters())];
    let mut output = vec![Complex::new(7.0, 7.0); output];
    let result = phi.evaluate(&params, positions, &mut output);
    assert!(result.is_ok() || output.iter().all(|&value| value == Complex::new(7.0, 7.0)));
    result
}

fn message(params: usize, positions: Positions<'_>, output: usize) -> String {
    evaluate(params, positions, output).unwrap_err().to_string()
}

#[test]
fn slices_of_wrong_length_are_named() {
    assert_eq!(message(3, Positions::All, 48), "evaluate: params has length 3, expected 22");
    assert_eq!(message(usize::MAX, Positions::All, 47), "evaluate: output has length 47, expected 48");
    assert_eq!(message(usize::MAX, Positions::List(&[1]), 2), "evaluate: output has length 2, expected 1");
    let phi =
        KernelMlp::<f32>::try_new(&KernelMlpConfig { hidden_width: 2, ..Default::default() }, GRID).unwrap();
    let params = vec![0.0; phi.num_parameters()];
    let grad_output = [Complex::new(1.0, 0.0)];
    let error = phi.evaluate_vjp(&params, Positions::List(&[1]), &grad_output, &mut [0.0; 5]).unwrap_err();
    assert_eq!(error.to_string(), "evaluate_vjp: grad_params has length 5, expected 22");
    let error = phi.evaluate_vjp(&params, Positions::All, &grad_output, &mut [0.0; 22]).unwrap_err();
    assert_eq!(error.to_string(), "evaluate_vjp: grad_output has length 1, expected 48");
}

#[test]
fn positions_off_the_grid_or_out_of_order_are_named() {
    assert_eq!(
        message(usize::MAX, Positions::List(&[1, 48]), 2),
        "evaluate: position 48 is outside the kernel of 48 values"
    );
    assert_eq!(
        message(usize::MAX, Positions::List(&[1, 5, 5]), 3),
        "evaluate: positions must be strictly increasing, but entry 2 is 5 after 5"
    );
    assert_eq!(
        message(usize::MAX, Positions::List(&[9, 5]), 2),
        "evaluate: positions must be strictly increasing, but entry 1 is 5 after 9"
    );
}

#[test]
fn an_empty_list_is_no_error() {
    evaluate(usize::MAX, Positions::List(&[]), 0).unwrap();
}

#[test]
fn bad_grids_and_options_are_refused_by_the_constructor() {
    let try_new = |config: KernelMlpConfig, grid| KernelMlp::<f32>::try_new(&config, grid).err().unwrap();
    assert_eq!(
        try_new(KernelMlpConfig::default(), KernelGrid { in_channels: 0, ..GRID }).to_string(),
        "kernel grid: in_channels must be at least 1, got 0"
    );
    assert_eq!(
        try_new(KernelMlpConfig { basis_size: 0, ..Default::default() }, GRID).to_string(),
        "kernel MLP: `basis_size` is 0, expected 1 to 2048"
    );
    let phi = KernelMlp::<f32>::try_new(&KernelMlpConfig::default(), GRID).unwrap();
    assert!(matches!(phi.with_size(3, 0), Err(MlpError::ZeroSize { name: "width" })));
}
