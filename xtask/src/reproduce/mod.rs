//! `cargo xtask reproduce`: runs an experiment, or all, and reports the results.
//!
//! Results gather in one folder: `report.json`, `report.html` and `report.md` with all experiments, and `runs/` with a
//! folder for each training run, from which an interrupted call continues. An experiment is a file in
//! `xtask/experiments`, or a study: a module here that measures something.

mod answers;
mod columns;
mod experiment;
mod figures;
mod html;
mod images;
mod in_words;
pub(crate) mod kernels;
mod markdown;
mod memory;
mod positions_law;
mod power_law_fit;
mod program;
mod report;
mod row;
mod run_folder;
mod run_state;
mod seeds;
mod spectral_bias;
mod study;
mod suite;
mod trainings;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use self::program::Program;
use self::report::{Results, Section};
use self::study::Study;
use self::suite::Source;
use self::trainings::Trainings;
use crate::environment::Environment;
use crate::files;
use crate::progress::Progress;
use crate::scale::Scale;

/// Options of `cargo xtask reproduce`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The experiment, or `all`. Default: `cats-vs-dogs` with --data, else `long-range` and `embedded`, which need no
    /// images.
    #[arg(value_parser = suite::names())]
    name: Option<String>,
    /// Folder or .zip with the images; a folder may hold the images of several experiments.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// How much of the experiment runs.
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// Train each network from this many seeds: 0, 1, ….
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Train only these networks of one experiment, separated by commas; their names are in the experiment's file.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    only: Vec<String>,
    /// Continue where an earlier call stopped: keep finished runs and resume an interrupted one.
    #[arg(long)]
    resume: bool,
    /// A Python with torch, to measure the memory of PyTorch too. Default: the one that `cargo xtask bench` made.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Folder for the results. Default: target/reproduce in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    /// Whether every experiment runs, so that `--data` is a folder with the images of several.
    fn is_of_all(&self) -> bool {
        self.name.as_deref() == Some(suite::ALL)
    }

    /// The shortest call that gives the results of one experiment.
    fn command_line(&self, name: &str, uses_data: bool) -> String {
        let data = self.data.as_ref().filter(|_| uses_data).map(|data| format!(" --data {}", data.display()));
        let scale = (self.scale != Scale::Full).then(|| format!(" --scale {}", self.scale.name()));
        let seeds = (self.seeds != 1).then(|| format!(" --seeds {}", self.seeds));
        let only = (!self.only.is_empty()).then(|| format!(" --only {}", self.only.join(",")));
        let options: String = [data, scale, seeds, only].into_iter().flatten().collect();
        format!("cargo xtask reproduce {name}{options}")
    }
}

/// Trains and measures what is missing; prints and writes the report after each experiment. If one of `all`
/// experiments fails, the others run first.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = suite::choose(args.name.as_deref(), args.data.is_some())?;
    let out = files::results_folder(args.out.as_deref(), "target/reproduce")?;
    let may_choose = matches!(&*chosen, [(_, Source::Networks(_))]);
    ensure!(
        args.only.is_empty() || may_choose,
        "--only needs the name of one experiment that trains networks"
    );
    let (mut planned, mut missing) = (Vec::new(), Vec::new());
    for (name, source) in chosen {
        match Planned::new(name, source, args, &out) {
            Err(error) if args.is_of_all() => {
                eprintln!("skipped: {error:#}");
                missing.push(name);
            }
            plan => planned.push(plan?),
        }
    }
    let mut progress = Progress::new(planned.iter().map(|plan| plan.len(args.scale)).sum(), 0.0);
    let mut program = None;
    for plan in &planned {
        match plan.carry_out(args, &out, &mut program, &mut progress) {
            Err(error) if args.is_of_all() => {
                progress.note(format_args!("{} failed: {error:#}", plan.name));
                missing.push(plan.name);
            }
            outcome => outcome?,
        }
    }
    progress.finish();
    progress.print(format_args!("\nwritten: {}", out.join("report.json").display()));
    progress.print(format_args!("         {}", out.join("report.html").display()));
    ensure!(missing.is_empty(), "these experiments are missing: {}", missing.join(", "));
    Ok(())
}

/// An experiment that can be carried out.
struct Planned {
    name: &'static str,
    job: Job,
}

enum Job {
    Trainings(Box<Trainings>),
    Study(Study),
}

impl Planned {
    fn new(name: &'static str, source: Source, args: &Args, out: &Path) -> Result<Self> {
        let job = match source {
            Source::Study(study) => Job::Study(study),
            Source::Networks(text) => {
                Job::Trainings(Box::new(Trainings::plan(name, suite::parse(name, text)?, args, out)?))
            }
        };
        Ok(Self { name, job })
    }

    /// Weight of its progress: one for each run or measurement.
    fn len(&self, scale: Scale) -> f64 {
        match &self.job {
            Job::Trainings(trainings) => trainings.len() as f64,
            Job::Study(study) => (study.len)(scale) as f64,
        }
    }

    /// Trains or measures, puts the results into the report and prints them. `program` is built when it is needed.
    fn carry_out(
        &self,
        args: &Args,
        out: &Path,
        program: &mut Option<Program>,
        progress: &mut Progress,
    ) -> Result<()> {
        let command = args.command_line(self.name, matches!(self.job, Job::Trainings(_)));
        let report_path = out.join("report.json");
        let (intro, results) = match &self.job {
            Job::Trainings(trainings) => {
                let program = match program {
                    Some(program) => program,
                    None => program.insert(Program::build(args.scale)?),
                };
                trainings.train(program, args.resume, progress)?;
                trainings.gather(args)?
            }
            Job::Study(_) if args.resume && report::holds(&report_path, self.name, &command) => {
                progress.note(format_args!("{}: finished earlier, kept", self.name));
                progress.advance(self.len(args.scale), true);
                return Ok(());
            }
            Job::Study(study) => {
                let (intro, results) = (study.run)(args, progress)?;
                (intro, Results::Study(results))
            }
        };
        let (scale, environment) = (args.scale, Environment::here());
        let section = Section { intro, command, scale, environment, results };
        let report = report::merge(&report_path, self.name, &section)?;
        files::replace(&out.join("report.md"), &markdown::page(&report))?;
        files::replace(&out.join("report.html"), &html::page(&report)?)?;
        progress.print(section.text(self.name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_repeats_what_decides_the_result() {
        let args = Args { scale: Scale::Quick, seeds: 3, data: Some("d".into()), ..Args::default() };
        let line = "cargo xtask reproduce embedded --scale quick --seeds 3";
        assert_eq!(args.command_line("embedded", false), line);
        let line = "cargo xtask reproduce positions --data d --scale quick --seeds 3";
        assert_eq!(args.command_line("positions", true), line);
        let only = vec!["cfconv-pairs".to_owned()];
        let smoke = Args { scale: Scale::Smoke, seeds: 1, only, ..Args::default() };
        let line = "cargo xtask reproduce positions --scale smoke --only cfconv-pairs";
        assert_eq!(smoke.command_line("positions", true), line);
    }
}
