//! Fits coordinate networks to given kernels, in space and in the Fourier domain, and prints as JSON which parts of
//! the spectrum each learns when.
//!
//! Both fits minimise the same loss: by Parseval's theorem the squared error over all frequencies is that over all
//! taps. Only what the network is asked for differs: the taps at their places, or the spectrum at its frequencies.
//!
//! ```sh
//! cargo run --release -p cfconv-mlp --example spectral_bias -- --steps 2000 --size 32
//! ```

use std::f64::consts::{PI, TAU};

use cfconv_fft::{Complex, FftNorm, irfft2, multiplicity, rfft2};
use cfconv_mlp::{Activation, KernelGrid, KernelMlp, KernelMlpConfig, Parameterization, Positions};
use clap::Parser;
use ndarray::Array2;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Serialize;

/// Fits coordinate networks to kernels, in space and in the Fourier domain.
#[derive(Parser)]
struct Arguments {
    /// Rows and columns of the kernels.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=128))]
    size: u32,
    /// Steps of Adam.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Fits from this many seeds.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Omegas of the first layer.
    #[arg(long, value_delimiter = ',', default_value = "5,15,45")]
    omegas: Vec<f64>,
    /// Learning rate.
    #[arg(long, default_value_t = 3e-3)]
    learning_rate: f64,
    /// Features of each of two hidden layers.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=512))]
    hidden_width: u32,
}

/// Bands of radial frequency, from zero to the corner of the spectrum, that errors are given for.
const BANDS: usize = 6;

/// Points of a curve of errors, evenly spread over the logarithm of the steps.
const CURVE_POINTS: usize = 16;

#[derive(Serialize)]
struct Report {
    size: usize,
    steps: usize,
    hidden_width: usize,
    learning_rate: f64,
    parameters: usize,
    /// Upper ends of the bands, in cycles per pixel.
    band_ends: Vec<f64>,
    kernels: Vec<KernelReport>,
    fits: Vec<Fit>,
}

/// A kernel that is to be learned.
#[derive(Serialize)]
struct KernelReport {
    kernel: &'static str,
    /// Share of its energy in each band.
    band_energy: Vec<f64>,
    spread: Spread,
}

/// How far a kernel reaches: root mean squares, weighted with its energy, over both axes.
#[derive(Serialize)]
struct Spread {
    /// In pixels, from its centre.
    space: f64,
    /// In cycles per pixel, from the centre of the half-plane's energy.
    frequency: f64,
    /// Their product: 1/(2π) for a Gaussian, the least of continuous kernels; a single tap of a grid has less.
    product: f64,
}

/// One fit.
#[derive(Serialize)]
struct Fit {
    kernel: &'static str,
    /// `space` or `fourier`.
    domain: &'static str,
    omega: f64,
    seed: u64,
    curve: Vec<Point>,
    /// Relative squared error at the end.
    final_error: f64,
    spread: Spread,
    /// Largest tap of the fit outside the kernel's support, relative to the kernel's largest tap.
    ringing: f64,
}

/// Errors after some steps.
#[derive(Serialize)]
struct Point {
    step: usize,
    /// Squared error over the kernel's energy.
    error: f64,
    /// The part of it in each band.
    bands: Vec<f64>,
}

fn main() {
    let arguments = Arguments::parse();
    let size = arguments.size as usize;
    let kernels = kernels(size);
    let mut fits = Vec::new();
    let mut parameters = 0;
    for (name, kernel) in &kernels {
        for domain in [Domain::Space, Domain::Fourier] {
            for &omega in &arguments.omegas {
                for seed in 0..arguments.seeds {
                    let problem = Problem::new(&arguments, domain, omega, kernel);
                    parameters = problem.network.num_parameters();
                    fits.push(problem.fit(name, seed, &arguments));
                }
            }
        }
    }
    let report = Report {
        size,
        steps: arguments.steps as usize,
        hidden_width: arguments.hidden_width as usize,
        learning_rate: arguments.learning_rate,
        parameters,
        band_ends: (1..=BANDS).map(|band| band as f64 * band_width()).collect(),
        kernels: kernels
            .iter()
            .map(|(kernel, taps)| KernelReport {
                kernel,
                band_energy: band_energy(taps),
                spread: spread(taps),
            })
            .collect(),
        fits,
    };
    println!("{}", serde_json::to_string(&report).expect("numbers and names are JSON"));
}

/// The kernels, of energy 1, on a torus with their centre in the middle.
fn kernels(size: usize) -> Vec<(&'static str, Array2<f64>)> {
    let middle = (size / 2) as f64;
    let in_space = |value: &dyn Fn(f64, f64) -> f64| {
        Array2::from_shape_fn((size, size), |(h, w)| value(h as f64 - middle, w as f64 - middle))
    };
    let gaussian = |y: f64, x: f64, width: f64| (-(x * x + y * y) / (2.0 * width * width)).exp();
    // Real and even factors over frequencies; the shift to the middle is a change of sign.
    let in_frequency = |value: &dyn Fn(f64) -> f64| {
        let spectrum = Array2::from_shape_fn((size, size / 2 + 1), |(p, q)| {
            let shift = TAU * middle * (p + q) as f64 / size as f64;
            Complex::from_polar(value(radius(p, q, size)), -shift)
        });
        irfft2(spectrum.view(), size, FftNorm::Backward).expect("the spectrum has the columns of this size")
    };
    let mut kernels = vec![
        ("low-pass", in_frequency(&|f| (-(f / 0.08).powi(2)).exp())),
        ("band-pass", in_frequency(&|f| (-((f - 0.25) / 0.06).powi(2)).exp())),
        ("high-pass", in_frequency(&|f| 1.0 - (-(f / 0.2).powi(2)).exp())),
        ("edge", in_space(&|y, x| if x.abs() <= 1.0 && y.abs() <= 1.0 { x * (2.0 - y.abs()) } else { 0.0 })),
        ("gabor", in_space(&|y, x| gaussian(y, x, 2.0) * (TAU * (0.2 * x + 0.1 * y)).cos())),
        ("delta", in_space(&|y, x| f64::from(u8::from(x == 0.0 && y == 0.0)))),
    ];
    for (_, kernel) in &mut kernels {
        let norm = energy(kernel).sqrt();
        kernel.mapv_inplace(|tap| tap / norm);
    }
    kernels
}

fn energy(taps: &Array2<f64>) -> f64 {
    taps.iter().map(|tap| tap * tap).sum()
}

/// Radial frequency of a bin, in cycles per pixel.
fn radius(p: usize, q: usize, size: usize) -> f64 {
    let cycles = |at: usize| at.min(size - at) as f64 / size as f64;
    cycles(p).hypot(cycles(q))
}

fn band_width() -> f64 {
    0.5_f64.sqrt() / BANDS as f64
}

/// Energy of taps in each band; the sum is their energy.
fn band_energy(taps: &Array2<f64>) -> Vec<f64> {
    let size = taps.nrows();
    let spectrum = rfft2(taps.view(), FftNorm::Ortho).expect("the taps are a plane");
    let mut bands = vec![0.0; BANDS];
    for ((p, q), value) in spectrum.indexed_iter() {
        let band = ((radius(p, q, size) / band_width()) as usize).min(BANDS - 1);
        bands[band] += multiplicity(q, size) as f64 * value.norm_sqr();
    }
    bands
}

fn spread(taps: &Array2<f64>) -> Spread {
    let size = taps.nrows();
    let middle = (size / 2) as f64;
    let total = energy(taps).max(f64::MIN_POSITIVE);
    let square = |(h, w): (usize, usize)| (h as f64 - middle).powi(2) + (w as f64 - middle).powi(2);
    let space = taps.indexed_iter().map(|(at, tap)| square(at) * tap * tap).sum::<f64>() / total;
    let spectrum = rfft2(taps.view(), FftNorm::Ortho).expect("the taps are a plane");
    // A real kernel has its energy on two sides of zero: one of them is measured, from its own centre.
    let signed = |p: usize| if 2 * p > size { p as f64 - size as f64 } else { p as f64 } / size as f64;
    let weights = || {
        spectrum.indexed_iter().map(|((p, q), value)| {
            (multiplicity(q, size) as f64 * value.norm_sqr() / total, signed(p), q as f64 / size as f64)
        })
    };
    let (row, column) = weights().fold((0.0, 0.0), |(r, c), (weight, f, g)| (r + weight * f, c + weight * g));
    let frequency: f64 = weights().map(|(w, f, g)| w * ((f - row).powi(2) + (g - column).powi(2))).sum();
    let (space, frequency) = (space.sqrt(), frequency.sqrt());
    Spread { space, frequency, product: space * frequency }
}

/// What the network is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Domain {
    Space,
    Fourier,
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Fourier => "fourier",
        }
    }
}

/// A network and what it shall give.
struct Problem<'a> {
    domain: Domain,
    omega: f64,
    size: usize,
    kernel: &'a Array2<f64>,
    network: KernelMlp<f64>,
    positions: Vec<u32>,
    /// Values at the positions, and how much each counts.
    target: Vec<(Complex<f64>, f64)>,
}

impl<'a> Problem<'a> {
    fn new(arguments: &Arguments, domain: Domain, omega: f64, kernel: &'a Array2<f64>) -> Self {
        let size = kernel.nrows();
        let config = KernelMlpConfig {
            parameterization: Parameterization::Hw,
            activation: Activation::Sine,
            hidden_width: arguments.hidden_width as usize,
            hidden_layers: 2,
            omega_frequency: omega,
            ..KernelMlpConfig::default()
        };
        // In space the rows and columns of a grid twice as large that lie on one side of zero are the places of the
        // taps: both axes run from 0 to 1, as far as the columns of a half spectrum.
        let (height, width) = match domain {
            Domain::Fourier => (size, size),
            Domain::Space => (2 * size, 2 * (size - 1)),
        };
        let grid = KernelGrid { height, width, in_channels: 1, out_channels: 1 };
        let network = KernelMlp::try_new(&config, grid).expect("the configuration is valid");
        let target: Vec<_> = match domain {
            Domain::Space => kernel.iter().map(|&tap| (Complex::new(tap, 0.0), 1.0)).collect(),
            Domain::Fourier => {
                let mut centred = kernel.clone();
                for ((h, w), tap) in centred.indexed_iter_mut() {
                    *tap = kernel[[(h + size / 2) % size, (w + size / 2) % size]];
                }
                let spectrum = rfft2(centred.view(), FftNorm::Ortho).expect("the kernel is a plane");
                spectrum
                    .indexed_iter()
                    .map(|((_, q), &value)| (value, multiplicity(q, size) as f64))
                    .collect()
            }
        };
        let positions = (0..target.len() as u32).collect();
        Self { domain, omega, size, kernel, network, positions, target }
    }

    /// The taps that values of the network stand for.
    fn taps(&self, values: &[Complex<f64>]) -> Array2<f64> {
        let size = self.size;
        match self.domain {
            Domain::Space => Array2::from_shape_fn((size, size), |(h, w)| values[h * size + w].re),
            Domain::Fourier => {
                let columns = size / 2 + 1;
                let spectrum = Array2::from_shape_fn((size, columns), |(p, q)| values[p * columns + q]);
                let taps = irfft2(spectrum.view(), size, FftNorm::Ortho).expect("the columns fit");
                Array2::from_shape_fn((size, size), |(h, w)| {
                    taps[[(h + size - size / 2) % size, (w + size - size / 2) % size]]
                })
            }
        }
    }

    fn fit(&self, kernel: &'static str, seed: u64, arguments: &Arguments) -> Fit {
        let steps = arguments.steps as usize;
        let mut network = self.network.clone();
        let mut params = vec![0.0; network.num_parameters()];
        network.initialize(&mut ChaCha8Rng::seed_from_u64(seed), &mut params);
        let mut adam = Adam::new(params.len(), arguments.learning_rate);
        let mut values = vec![Complex::default(); self.positions.len()];
        // As in a layer, a fixed scale gives the first kernel the energy that it should have.
        network.evaluate(&params, Positions::List(&self.positions), &mut values).expect("lengths fit");
        network.set_output_scale((energy(self.kernel) / energy(&self.taps(&values))).sqrt());
        let mut grads = vec![0.0; params.len()];
        let mut curve = Vec::new();
        for step in 0..=steps {
            let positions = Positions::List(&self.positions);
            network.evaluate(&params, positions, &mut values).expect("lengths fit");
            if is_curve_point(step, steps) {
                let error = self.taps(&values) - self.kernel;
                curve.push(Point { step, error: energy(&error), bands: band_energy(&error) });
            }
            if step == steps {
                break;
            }
            // Of a complex value only what has an effect is compared: the real part of a tap.
            for (value, &(target, weight)) in values.iter_mut().zip(&self.target) {
                *value = (*value - target) * (2.0 * weight);
                if self.domain == Domain::Space {
                    value.im = 0.0;
                }
            }
            grads.fill(0.0);
            let vjp =
                self.network.evaluate_vjp(&params, Positions::List(&self.positions), &values, &mut grads);
            vjp.expect("lengths fit");
            let cosine = 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos());
            adam.step(&mut params, &grads, cosine);
        }
        let taps = self.taps(&values);
        let largest = self.kernel.iter().fold(0.0_f64, |largest, tap| largest.max(tap.abs()));
        let outside = taps.iter().zip(self.kernel).filter(|(_, tap)| tap.abs() < 1e-3 * largest);
        Fit {
            kernel,
            domain: self.domain.name(),
            omega: self.omega,
            seed,
            final_error: curve.last().map_or(f64::NAN, |point| point.error),
            curve,
            spread: spread(&taps),
            ringing: outside.fold(0.0_f64, |most, (tap, _)| most.max(tap.abs())) / largest,
        }
    }
}

/// The first and last step and some between.
fn is_curve_point(step: usize, steps: usize) -> bool {
    if step == 0 || step == steps {
        return true;
    }
    let place = |step: usize| ((step as f64).ln() / (steps as f64).ln() * CURVE_POINTS as f64) as usize;
    place(step) != place(step - 1).min(place(step)) || step == 1
}

/// Adam after Kingma and Ba, 2015.
struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    count: i32,
    learning_rate: f64,
}

impl Adam {
    fn new(len: usize, learning_rate: f64) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len], count: 0, learning_rate }
    }

    fn step(&mut self, params: &mut [f64], grads: &[f64], factor: f64) {
        self.count += 1;
        let (beta_1, beta_2) = (0.9_f64, 0.999_f64);
        let rate = self.learning_rate * factor * (1.0 - beta_2.powi(self.count)).sqrt()
            / (1.0 - beta_1.powi(self.count));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((param, grad), (first, second)) in params.iter_mut().zip(grads).zip(moments) {
            *first += (1.0 - beta_1) * (grad - *first);
            *second += (1.0 - beta_2) * (grad * grad - *second);
            *param -= rate * *first / (second.sqrt() + 1e-8);
        }
    }
}
