//! Which parts of a kernel's spectrum a coordinate network learns when, in space and in the Fourier domain.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::progress::Progress;
use super::scale::Scale;
use super::statistics::MeanStd;
use super::study::{Figure, Line, StudyOptions, StudyReport, Table};
use crate::build::{self, Profile};
use crate::environment::Environment;
use crate::workspace;

/// Fits with the example `spectral_bias` of cfconv-mlp.
///
/// # Errors
/// It cannot be built or fails.
pub(crate) fn run(options: &StudyOptions<'_>, progress: &mut Progress) -> Result<StudyReport> {
    progress.begin("spectral-bias: fits of kernels in space and in the Fourier domain");
    let (profile, size, steps) = match options.scale {
        Scale::Smoke => (Profile::Dev, 8, 4),
        Scale::Quick => (Profile::Release, 32, 600),
        Scale::Full => (Profile::Release, 64, 3000),
    };
    let mut command = Command::new(build::example("cfconv-mlp", "spectral_bias", profile)?);
    let arguments = [("--size", size), ("--steps", steps), ("--seeds", options.seeds)];
    command.args(arguments.iter().flat_map(|(option, value)| [(*option).to_owned(), value.to_string()]));
    let output = command.current_dir(workspace::root()).output();
    let output = output.with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let data: Value = serde_json::from_slice(&output.stdout).context("reading what the example printed")?;
    progress.finish_run(false);
    let fits = Fits { data: &data };
    Ok(StudyReport {
        about: format!(
            "The same sine network of {} parameters fits kernels of {size}×{size} taps, asked either for taps at their \
             places or for the spectrum at its frequencies; by Parseval's theorem both minimise the same error.",
            data["parameters"]
        ),
        question: "Which frequencies does it learn first, and how far do its kernels reach and ring?".to_owned(),
        paper: Some(
            "Networks learn slow functions first: in space low frequencies, in the Fourier domain compact kernels.".to_owned(),
        ),
        command: options.command.clone(),
        scale: options.scale.name().to_owned(),
        tables: vec![fits.errors(), fits.bands(), fits.reach()],
        figures: fits.names().iter().map(|kernel| fits.curves(kernel)).collect(),
        data,
        environment: Environment::here(),
    })
}

const DOMAINS: [&str; 2] = ["space", "fourier"];

/// What the example printed.
struct Fits<'a> {
    data: &'a Value,
}

impl Fits<'_> {
    fn names(&self) -> Vec<&str> {
        let kernels = self.data["kernels"].as_array().map_or(&[][..], Vec::as_slice);
        kernels.iter().filter_map(|kernel| kernel["kernel"].as_str()).collect()
    }

    fn omegas(&self) -> Vec<f64> {
        let mut omegas: Vec<f64> = self.of(|_| true).filter_map(|fit| fit["omega"].as_f64()).collect();
        omegas.sort_by(f64::total_cmp);
        omegas.dedup();
        omegas
    }

    fn of(&self, wanted: impl Fn(&Value) -> bool) -> impl Iterator<Item = &Value> {
        let fits = self.data["fits"].as_array().map_or(&[][..], Vec::as_slice);
        fits.iter().filter(move |fit| wanted(fit))
    }

    /// Mean over seeds of a figure of the fits of a kernel.
    fn mean(&self, kernel: &str, domain: &str, omega: f64, figure: impl Fn(&Value) -> Option<f64>) -> f64 {
        let fits = self.of(|fit| fit["kernel"] == kernel && fit["domain"] == domain && fit["omega"] == omega);
        let values: Vec<f64> = fits.filter_map(figure).collect();
        MeanStd::of(&values).map_or(f64::NAN, |mean| mean.mean)
    }

    /// The omega with the least error at the end.
    fn best_omega(&self, kernel: &str, domain: &str) -> f64 {
        let error = |omega: f64| self.mean(kernel, domain, omega, |fit| fit["final_error"].as_f64());
        self.omegas().into_iter().min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap_or(f64::NAN)
    }

    fn errors(&self) -> Table {
        let omegas = self.omegas();
        let heads = omegas.iter().flat_map(|omega| {
            DOMAINS.map(|domain| {
                format!("{}, omega {omega}", if domain == "space" { "space" } else { "Fourier" })
            })
        });
        let row = |kernel: &&str| {
            let cells = omegas.iter().flat_map(|&omega| {
                DOMAINS.map(|domain| {
                    format!("{:.1e}", self.mean(kernel, domain, omega, |fit| fit["final_error"].as_f64()))
                })
            });
            std::iter::once((*kernel).to_owned()).chain(cells).collect()
        };
        Table {
            title: "Squared error over the kernel's energy after the last step".to_owned(),
            heads: std::iter::once("kernel".to_owned()).chain(heads).collect(),
            rows: self.names().iter().map(row).collect(),
        }
    }

    /// When each band is learned: the step after which its error stays below a tenth of the band's energy.
    fn bands(&self) -> Table {
        let ends = self.data["band_ends"].as_array().map_or(&[][..], Vec::as_slice);
        let heads = ends.iter().filter_map(Value::as_f64).map(|end| format!("below {end:.2}"));
        let mut rows = Vec::new();
        for kernel in self.names() {
            let report = self.data["kernels"].as_array().into_iter().flatten();
            let report = report.clone().find(|report| report["kernel"] == kernel).unwrap_or(&Value::Null);
            for domain in DOMAINS {
                let omega = self.best_omega(kernel, domain);
                let cells = (0..ends.len()).map(|band| {
                    let energy = report["band_energy"][band].as_f64().unwrap_or(0.0);
                    if energy < 0.01 {
                        return "no energy".to_owned();
                    }
                    let step = self.mean(kernel, domain, omega, |fit| learned_at(fit, band, 0.1 * energy));
                    if step.is_nan() { "never".to_owned() } else { format!("{step:.0}") }
                });
                let name = format!("{kernel}, {domain}, omega {omega}");
                rows.push(std::iter::once(name).chain(cells).collect());
            }
        }
        Table {
            title: "Step after which the error in a band (cycles per pixel) is less than a tenth of its energy, at the \
                    best omega"
                .to_owned(),
            heads: std::iter::once("fit".to_owned()).chain(heads).collect(),
            rows,
        }
    }

    fn reach(&self) -> Table {
        let mut rows = Vec::new();
        for report in self.data["kernels"].as_array().into_iter().flatten() {
            let kernel = report["kernel"].as_str().unwrap_or_default();
            let three = |spread: &Value| {
                ["space", "frequency", "product"]
                    .map(|name| format!("{:.2}", spread[name].as_f64().unwrap_or(f64::NAN)))
            };
            let name = |what: &str| format!("{kernel}, {what}");
            rows.push(
                std::iter::once(name("given"))
                    .chain(three(&report["spread"]))
                    .chain(["–".to_owned()])
                    .collect(),
            );
            for domain in DOMAINS {
                let omega = self.best_omega(kernel, domain);
                let spread = |part: &'static str| {
                    format!(
                        "{:.2}",
                        self.mean(kernel, domain, omega, move |fit| fit["spread"][part].as_f64())
                    )
                };
                let ringing = self.mean(kernel, domain, omega, |fit| fit["ringing"].as_f64());
                let cells = ["space", "frequency", "product"].map(spread);
                rows.push(
                    std::iter::once(name(&format!("{domain}, omega {omega}")))
                        .chain(cells)
                        .chain([format!("{ringing:.4}")])
                        .collect(),
                );
            }
        }
        Table {
            title: "Spread in space (pixels) and in frequency (cycles per pixel), their product (0.16 for a Gaussian, the least of continuous kernels), and the \
                    largest tap outside the kernel's support"
                .to_owned(),
            heads: ["kernel", "space", "frequency", "product", "ringing"].map(str::to_owned).into(),
            rows,
        }
    }

    fn curves(&self, kernel: &str) -> Figure {
        let mut lines = Vec::new();
        for domain in DOMAINS {
            for omega in self.omegas() {
                // Of several seeds the first.
                let fit = self
                    .of(|fit| fit["kernel"] == kernel && fit["domain"] == domain && fit["omega"] == omega)
                    .next();
                let points = fit.and_then(|fit| fit["curve"].as_array()).into_iter().flatten();
                let point = |point: &Value| Some((point["step"].as_f64()?, point["error"].as_f64()?));
                let label = format!("{domain}, omega {omega}");
                lines.push(Line { label, points: points.filter_map(point).collect() });
            }
        }
        Figure {
            title: format!("Error over steps: {kernel}"),
            x: "steps".to_owned(),
            unit: String::new(),
            lines,
        }
    }
}

/// The first step of a fit's curve from which on the error in a band stays below `bound`.
fn learned_at(fit: &Value, band: usize, bound: f64) -> Option<f64> {
    let curve = fit["curve"].as_array()?;
    let above = |point: &Value| point["bands"][band].as_f64().is_none_or(|error| error >= bound);
    let last_above = curve.iter().rposition(above).map_or(0, |last| last + 1);
    curve.get(last_above)?["step"].as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fit(domain: &str, omega: f64, errors: [f64; 3]) -> Value {
        let point =
            |step: usize, error: f64| json!({ "step": 10 * step, "error": error, "bands": [error, 0.0] });
        json!({
            "kernel": "edge", "domain": domain, "omega": omega, "seed": 0, "final_error": errors[2], "ringing": 0.1,
            "curve": [point(0, errors[0]), point(1, errors[1]), point(2, errors[2])],
            "spread": { "space": 1.0, "frequency": 0.2, "product": 0.2 },
        })
    }

    fn data() -> Value {
        json!({
            "parameters": 9, "band_ends": [0.3, 0.7],
            "kernels": [{ "kernel": "edge", "band_energy": [1.0, 0.0],
                          "spread": { "space": 1.0, "frequency": 0.2, "product": 0.2 } }],
            "fits": [
                fit("space", 5.0, [1.0, 0.5, 0.2]), fit("space", 15.0, [1.0, 0.05, 0.01]),
                fit("fourier", 5.0, [1.0, 0.5, 0.02]), fit("fourier", 15.0, [1.0, 0.5, 0.4]),
            ],
        })
    }

    #[test]
    fn tables_take_the_best_omega_of_each_domain() {
        let data = data();
        let fits = Fits { data: &data };
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
        let bands = |errors: [f64; 3]| learned_at(&fit("space", 1.0, errors), 0, 0.1);
        assert_eq!(bands([1.0, 0.01, 0.02]), Some(10.0));
        assert_eq!(bands([0.05, 0.2, 0.02]), Some(20.0));
        assert_eq!(bands([1.0, 1.0, 1.0]), None);
    }
}
