//! Φ at one position, as plainly as it can be written: the truth that the fast path must equal.

use cfconv_fft::Real;
use num_complex::Complex;

use crate::config::{ComplexOutput, FrequencyGrid, OmegaMode};
use crate::coords::fourier_vectors;
use crate::{GridPoint, KernelMlp, Parameterization};

/// Evaluates Φ at one position in scalar `f64` arithmetic, whatever the type of the parameters.
///
/// Coordinates, features and layers are computed from their definitions; nothing is shared with the fast
/// path but the names of the parameter segments, the scalar activations and the random Fourier vectors.
///
/// # Panics
/// If `params` is too short or the position is outside the grid.
///
/// # Examples
/// ```
/// use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, naive};
///
/// let grid = KernelGrid { height: 4, width: 4, in_channels: 1, out_channels: 1 };
/// let phi = KernelMlp::<f64>::try_new(&KernelMlpConfig::default(), grid)?;
/// // Output biases alone: Φ = 1 + 2i everywhere.
/// let mut params = vec![0.0; phi.num_parameters()];
/// let bias = phi.parameter_segments().last().unwrap().range.clone();
/// params[bias].copy_from_slice(&[1.0, 2.0]);
/// let value = naive::evaluate_at(&phi, &params, 5);
/// assert_eq!((value.re, value.im), (1.0, 2.0));
/// # Ok::<(), cfconv_mlp::MlpError>(())
/// ```
pub fn evaluate_at<T: Real>(phi: &KernelMlp<T>, params: &[T], position: u32) -> Complex<f64> {
    let (config, grid) = (phi.config(), phi.grid());
    let GridPoint { h, w, i, o } = grid.decode(position);
    let segment = |name: &str| -> Vec<f64> {
        let segment = phi.parameter_segments().iter().find(|segment| segment.name == name);
        let range = segment.unwrap_or_else(|| panic!("no segment {name}")).range.clone();
        params[range].iter().map(|value| value.as_f64()).collect()
    };

    // Coordinates.
    let index_over_last = |index: usize, size: usize| index as f64 / (size.max(2) - 1) as f64;
    let signed = config.frequency_grid == FrequencyGrid::Signed;
    let (y, x) = if signed {
        let signed_row = if 2 * h < grid.height { h as f64 } else { h as f64 - grid.height as f64 };
        (2.0 * signed_row / grid.height as f64, 2.0 * w as f64 / grid.width as f64)
    } else {
        (index_over_last(h, grid.height), index_over_last(w, grid.half_width()))
    };
    let channel = |index: usize, size: usize| match (signed, size) {
        (true, 1) => 0.0,
        (true, _) => 2.0 * index_over_last(index, size) - 1.0,
        (false, _) => index_over_last(index, size),
    };
    let multiplied = config.omega_mode == OmegaMode::Multiplier;
    let (omega_frequency, omega_channel) =
        if multiplied { (config.omega_frequency, config.omega_channel) } else { (1.0, 1.0) };

    // Input features.
    let mut features = Vec::new();
    if config.fourier_features > 0 {
        let phases: Vec<f64> =
            fourier_vectors(config).iter().map(|b| config.omega_frequency * (b[0] * y + b[1] * x)).collect();
        features.extend(phases.iter().map(|phase| phase.cos()));
        features.extend(phases.iter().map(|phase| phase.sin()));
    } else {
        features.extend([omega_frequency * y, omega_frequency * x]);
    }
    let mut push_channel = |index: usize, size: usize, embedding: &str| {
        if let Some(dim) = config.embedding() {
            let row = &segment(embedding)[index * dim..(index + 1) * dim];
            features.extend(row.iter().map(|value| omega_channel * value));
        } else {
            features.push(omega_channel * channel(index, size));
        }
    };
    let mlp = match config.parameterization {
        Parameterization::Hw => i * grid.out_channels + o,
        Parameterization::HwCin => {
            push_channel(i, grid.in_channels, "embedding_in");
            o
        }
        Parameterization::HwCinCout => {
            push_channel(i, grid.in_channels, "embedding_in");
            push_channel(o, grid.out_channels, "embedding_out");
            0
        }
        Parameterization::SharedBasis => 0,
    };

    // Layers.
    let layer = |name: &str, inputs: &[f64], outputs: usize| -> Vec<f64> {
        let (weight, bias) = (segment(&format!("{name}.weight")), segment(&format!("{name}.bias")));
        (mlp * outputs..(mlp + 1) * outputs)
            .map(|row| {
                let weight = &weight[row * inputs.len()..(row + 1) * inputs.len()];
                bias[row] + weight.iter().zip(inputs).map(|(w, x)| w * x).sum::<f64>()
            })
            .collect()
    };
    for index in 0..config.hidden_layers {
        let z = layer(&format!("layer{index}"), &features, config.hidden_width);
        features = z.iter().map(|&z| config.activation.value_and_derivative(z).0).collect();
    }
    let shared_basis = config.parameterization == Parameterization::SharedBasis;
    let num_values = if shared_basis { config.basis_size } else { 1 };
    let values: Vec<Complex<f64>> = layer("output", &features, 2 * num_values)
        .chunks_exact(2)
        .map(|pair| match config.complex_output {
            ComplexOutput::Cartesian => Complex::new(pair[0], pair[1]),
            ComplexOutput::Polar => Complex::from_polar(pair[0], pair[1]),
        })
        .collect();

    let value = if shared_basis {
        let mixing = segment("mixing");
        let row = &mixing[(i * grid.out_channels + o) * num_values..][..num_values];
        row.iter().zip(&values).map(|(&c, &b)| b * c).sum()
    } else {
        values[0]
    };
    value * phi.output_scale().as_f64()
}
