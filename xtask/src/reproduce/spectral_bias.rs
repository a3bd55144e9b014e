//! Which parts of a kernel's spectrum a coordinate network learns when, in space and in the Fourier domain.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Args;
use super::report::Intro;
use super::seeds::MeanStd;
use super::study::{Figure, Line, Study, StudyResults};
use crate::number_text::DASH;
use crate::plots::distinct;
use crate::progress::Progress;
use crate::scale::Scale;
use crate::table::{Table, row};
use crate::{build, command};

pub(crate) const STUDY: Study = Study { len: |_| 1, run };

/// Runs the example `spectral_bias` of cfconv-mlp.
fn run(args: &Args, progress: &mut Progress) -> Result<(Intro, StudyResults)> {
    progress.begin("spectral-bias: fits of kernels in space and in the Fourier domain");
    let (size, steps) = match args.scale {
        Scale::Smoke => (8, 4),
        Scale::Quick => (32, 600),
        Scale::Full => (64, 3000),
    };
    let example = build::example("cfconv-mlp", "spectral_bias", args.scale.profile())?;
    let options = format!("--size {size} --steps {steps} --seeds {}", args.seeds);
    let printed = command::stdout(Command::new(example).args(options.split(' ')))?;
    let fits: Fits = serde_json::from_str(&printed).context("reading what the example printed")?;
    progress.advance(1.0, false);
    let about = format!(
        "The same sine network of {} parameters fits kernels of {size}×{size} taps. It gives either the \
         taps at their places or the spectrum at its frequencies. By Parseval's theorem both minimise the \
         same error.",
        fits.parameters
    );
    let intro = Intro::new(
        &about,
        "Which frequencies does it learn first, and how far do its kernels reach and ring?",
        "Networks learn slow functions first: low frequencies in space, compact kernels in the Fourier domain.",
    );
    let tables = vec![fits.errors(), fits.bands(), fits.reach()];
    let figures = fits.kernels.iter().map(|kernel| fits.curves(&kernel.kernel)).collect();
    Ok((intro, StudyResults { tables, figures, data: serde_json::from_str(&printed)? }))
}

const DOMAINS: [&str; 2] = ["space", "fourier"];

/// What the example prints. A figure that is not a number comes as null.
#[derive(Deserialize)]
struct Fits {
    parameters: usize,
    /// The upper end of each band, in cycles per pixel.
    band_ends: Vec<f64>,
    kernels: Vec<Kernel>,
    fits: Vec<Fit>,
}

/// A kernel to fit.
#[derive(Deserialize)]
struct Kernel {
    kernel: String,
    band_energy: Vec<f64>,
    spread: Spread,
}

/// Root mean squares in space and in frequency, and their product.
type Spread = BTreeMap<String, Option<f64>>;

/// One network that fits a kernel.
#[derive(Deserialize)]
struct Fit {
    kernel: String,
    domain: String,
    omega: f64,
    final_error: Option<f64>,
    ringing: Option<f64>,
    spread: Spread,
    curve: Vec<CurvePoint>,
}

#[derive(Deserialize)]
struct CurvePoint {
    step: f64,
    error: Option<f64>,
    bands: Vec<Option<f64>>,
}

impl Fits {
    fn omegas(&self) -> Vec<f64> {
        distinct(self.fits.iter().map(|fit| fit.omega))
    }

    /// The fits of a kernel, one for each seed.
    fn of(&self, kernel: &str, domain: &str, omega: f64) -> impl Iterator<Item = &Fit> {
        self.fits.iter().filter(move |fit| fit.kernel == kernel && fit.domain == domain && fit.omega == omega)
    }

    /// The mean of a figure over seeds.
    fn mean(&self, kernel: &str, domain: &str, omega: f64, figure: impl Fn(&Fit) -> Option<f64>) -> f64 {
        let values: Vec<f64> = self.of(kernel, domain, omega).filter_map(figure).collect();
        MeanStd::of(&values).map_or(f64::NAN, |mean| mean.mean)
    }

    fn final_error(&self, kernel: &str, domain: &str, omega: f64) -> f64 {
        self.mean(kernel, domain, omega, |fit| fit.final_error)
    }

    /// The omega with the least error at the end.
    fn best_omega(&self, kernel: &str, domain: &str) -> f64 {
        let error = |omega: f64| self.final_error(kernel, domain, omega);
        self.omegas().into_iter().min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap_or(f64::NAN)
    }

    fn errors(&self) -> Table {
        let columns: Vec<_> =
            self.omegas().into_iter().flat_map(|omega| DOMAINS.map(|domain| (domain, omega))).collect();
        let heads = columns.iter().map(|(domain, omega)| {
            format!("{}, omega {omega}", if *domain == "space" { "space" } else { "Fourier" })
        });
        let errors = |Kernel { kernel, .. }: &Kernel| {
            let error =
                |&(domain, omega): &(&str, f64)| format!("{:.1e}", self.final_error(kernel, domain, omega));
            row(kernel, columns.iter().map(error))
        };
        Table::new(row("kernel", heads), self.kernels.iter().map(errors).collect())
            .titled("Squared error over the kernel's energy after the last step")
    }

    /// When each band is learned: the step after which its error stays below a tenth of the band's energy.
    fn bands(&self) -> Table {
        let mut rows = Vec::new();
        for Kernel { kernel, band_energy, .. } in &self.kernels {
            for domain in DOMAINS {
                let omega = self.best_omega(kernel, domain);
                let steps = band_energy.iter().enumerate().map(|(band, energy)| {
                    let step = self.mean(kernel, domain, omega, |fit| fit.learned_at(band, 0.1 * energy));
                    match *energy < 0.01 {
                        true => "no energy".to_owned(),
                        false if step.is_nan() => "never".to_owned(),
                        false => format!("{step:.0}"),
                    }
                });
                rows.push(row(format!("{kernel}, {domain}, omega {omega}"), steps));
            }
        }
        let heads = self.band_ends.iter().map(|end| format!("below {end:.2}"));
        Table::new(row("fit", heads), rows).titled(
            "Step after which the error in a band (cycles per pixel) is less than a tenth of its energy, at the \
             best omega",
        )
    }

    fn reach(&self) -> Table {
        const HEADS: [&str; 5] = ["kernel", "space", "frequency", "product", "ringing"];
        let parts = |spread: &dyn Fn(&str) -> Option<f64>| {
            HEADS[1..4]
                .iter()
                .map(|part| format!("{:.2}", spread(part).unwrap_or(f64::NAN)))
                .collect::<Vec<_>>()
        };
        let mut rows = Vec::new();
        for Kernel { kernel, spread, .. } in &self.kernels {
            let given = parts(&|part| *spread.get(part)?);
            rows.push(row(format!("{kernel}, given"), given.into_iter().chain([DASH.to_owned()])));
            for domain in DOMAINS {
                let omega = self.best_omega(kernel, domain);
                let mean = |figure: &dyn Fn(&Fit) -> Option<f64>| self.mean(kernel, domain, omega, figure);
                let fitted = parts(&|part| Some(mean(&|fit| *fit.spread.get(part)?)));
                let ringing = format!("{:.4}", mean(&|fit| fit.ringing));
                rows.push(row(
                    format!("{kernel}, {domain}, omega {omega}"),
                    fitted.into_iter().chain([ringing]),
                ));
            }
        }
        Table::new(HEADS, rows).titled(
            "Spread in space (pixels) and in frequency (cycles per pixel), their product (0.16 for a Gaussian, the \
             least of continuous kernels), and the largest tap outside the kernel's support",
        )
    }

    fn curves(&self, kernel: &str) -> Figure {
        let mut lines = Vec::new();
        for domain in DOMAINS {
            for omega in self.omegas() {
                // Of several seeds the first.
                let curve = self.of(kernel, domain, omega).next().map_or(&[][..], |fit| &fit.curve);
                let points = curve.iter().filter_map(|point| Some((point.step, point.error?))).collect();
                lines.push(Line { label: format!("{domain}, omega {omega}"), points });
            }
        }
        let title = format!("Error over steps: {kernel}");
        Figure { title, x: "steps".to_owned(), unit: String::new(), lines }
    }
}

impl Fit {
    /// The first step from which on the error in a band stays below `bound`.
    fn learned_at(&self, band: usize, bound: f64) -> Option<f64> {
        let above =
            |point: &CurvePoint| point.bands.get(band).copied().flatten().is_none_or(|error| error >= bound);
        let learned = self.curve.iter().rposition(above).map_or(0, |last| last + 1);
        self.curve.get(learned).map(|point| point.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fit(domain: &str, omega: f64, errors: [f64; 3]) -> Value {
        let point =
            |step: usize, error: f64| json!({ "step": 10 * step, "error": error, "bands": [error, 0.0] });
        json!({
            "kernel": "edge", "domain": domain, "omega": omega, "seed": 0, "final_error": errors[2], "ringing": 0.1,
            "curve": [point(0, errors[0]), point(1, errors[1]), point(2, errors[2])],
            "spread": { "space": 1.0, "frequency": 0.2, "product": 0.2 },
        })
    }

    fn fits() -> Fits {
        let fits = json!({
            "parameters": 9, "band_ends": [0.3, 0.7],
            "kernels": [{ "kernel": "edge", "band_energy": [1.0, 0.0],
                          "spread": { "space": 1.0, "frequency": 0.2, "product": 0.2 } }],
            "fits": [
                fit("space", 5.0, [1.0, 0.5, 0.2]), fit("space", 15.0, [1.0, 0.05, 0.01]),
                fit("fourier", 5.0, [1.0, 0.5, 0.02]), fit("fourier", 15.0, [1.0, 0.5, 0.4]),
            ],
        });
        serde_json::from_value(fits).unwrap()
    }

    #[test]
    fn tables_take_the_best_omega_of_each_domain() {
        let fits = fits();
        assert_eq!((fits.best_omega("edge", "space"), fits.best_omega("edge", "fourier")), (15.0, 5.0));
        assert_eq!(fits.errors().rows[0], ["edge", "2.0e-1", "2.0e-2", "1.0e-2", "4.0e-1"]);
        let bands = fits.bands();
        assert_eq!(bands.rows[0], ["edge, space, omega 15", "10", "no energy"]);
        assert_eq!(bands.rows[1], ["edge, fourier, omega 5", "20", "no energy"]);
        assert_eq!(fits.reach().rows.len(), 3);
        assert_eq!(fits.curves("edge").lines.len(), 4);
    }

    #[test]
    fn a_band_is_learned_when_its_error_stays_low() {
        let bands = |errors: [f64; 3]| {
            serde_json::from_value::<Fit>(fit("space", 1.0, errors)).unwrap().learned_at(0, 0.1)
        };
        assert_eq!(bands([1.0, 0.01, 0.02]), Some(10.0));
        assert_eq!(bands([0.05, 0.2, 0.02]), Some(20.0));
        assert_eq!(bands([1.0, 1.0, 1.0]), None);
    }
}
