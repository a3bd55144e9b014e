//! `cargo xtask reproduce`: runs an experiment, or all, and reports what was reached.
//!
//! Results gather in one folder: `report.json`, `report.html` and `report.md` with all experiments, and `runs/` with a folder
//! for each training run, from which an interrupted call goes on. The experiments are files in
//! `xtask/experiments`, or studies that a module here carries out.

mod experiment;
mod figures;
mod html;
mod images;
pub(crate) mod kernels;
mod law;
mod markdown;
mod memory;
mod program;
mod progress;
mod report;
mod row;
mod run_folder;
mod scale;
mod sizes;
mod spectral_bias;
mod statistics;
mod study;
mod suite;
mod table;
mod trainings;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::program::Program;
use self::progress::Progress;
use self::scale::Scale;
use self::study::{Study, StudyOptions};
use self::suite::{Entry, Kind};
use self::trainings::{Options, Trainings};
use crate::{atomic, output, text_table, workspace};

/// Options of `cargo xtask reproduce`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The experiment, or `all`; `embedded` needs no images. Default: the one for the images given.
    name: Option<String>,
    /// Folder or .zip with the images; a folder may hold the images of several experiments.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// How much of it is run.
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// Train each network from this many seeds: 0, 1, ….
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Only these networks of one experiment, separated by commas, by their names in its file.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    only: Vec<String>,
    /// Go on where an earlier call stopped: finished runs are kept, an interrupted one continues.
    #[arg(long)]
    resume: bool,
    /// A Python with torch, for the memory of PyTorch beside ours. Default: the one that `cargo xtask bench` made.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Folder for the results. Default: target/reproduce in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Trains what is missing, then prints and writes the report, after each experiment anew.
///
/// # Errors
/// Wrong options, missing images, a program that fails, files that cannot be written. Of `all` experiments the
/// others are run first.
pub(crate) fn run(args: &Args) -> Result<()> {
    let entries = suite::choose(args.name.as_deref(), args.data.is_some())?;
    let out = match &args.out {
        Some(out) => std::path::absolute(out).context("--out")?,
        None => workspace::root().join("target/reproduce"),
    };
    let many = entries.len() > 1;
    if !args.only.is_empty() && !matches!(&*entries, [Entry { kind: Kind::Trainings(_), .. }]) {
        bail!("--only chooses networks of one experiment: name one that trains networks");
    }
    let options = Options {
        scale: args.scale,
        seeds: args.seeds,
        only: &args.only,
        data: args.data.as_deref(),
        one_of_many: many,
        resume: args.resume,
    };
    let (mut planned, mut failed) = (Vec::new(), Vec::new());
    for Entry { name, kind } in entries {
        let plan = match kind {
            Kind::Study(study) => Ok(Planned::Study { name, study }),
            Kind::Trainings(experiment) => {
                Trainings::plan(name, *experiment, &options, &out).map(Box::new).map(Planned::Trainings)
            }
        };
        match plan {
            Ok(plan) => planned.push(plan),
            Err(error) if many => {
                eprintln!("left out: {error:#}");
                failed.push(name);
            }
            Err(error) => return Err(error),
        }
    }
    let mut progress = Progress::new(planned.iter().map(|plan| plan.len(args.scale)).sum());
    let mut program = None;
    for plan in &planned {
        let outcome = match plan {
            Planned::Trainings(trainings) => {
                let program = match &program {
                    Some(program) => program,
                    None => program.insert(Program::build(args.scale)?),
                };
                train(trainings, program, &options, &out, &mut progress)
            }
            Planned::Study { name, study } => measure(name, *study, args, &options, &out, &mut progress),
        };
        match outcome {
            Err(error) if many => {
                progress.note(&format!("{} failed: {error:#}", plan.name()));
                failed.push(plan.name());
            }
            outcome => outcome?,
        }
    }
    progress.finish();
    let (report, page) = (report_path(&out), page_path(&out));
    output::line(format_args!("\nwritten: {}\n         {}", report.display(), page.display()));
    if !failed.is_empty() {
        bail!("not all experiments were run: {} are missing", failed.join(", "));
    }
    Ok(())
}

/// An experiment that can be carried out.
enum Planned {
    Trainings(Box<Trainings>),
    Study { name: &'static str, study: Study },
}

impl Planned {
    fn name(&self) -> &'static str {
        match self {
            Self::Trainings(trainings) => trainings.name(),
            Self::Study { name, .. } => name,
        }
    }

    /// Number of steps of its progress.
    fn len(&self, scale: Scale) -> usize {
        match self {
            Self::Trainings(trainings) => trainings.len(),
            Self::Study { study, .. } => study.len(scale),
        }
    }
}

fn report_path(out: &Path) -> PathBuf {
    out.join("report.json")
}

fn page_path(out: &Path) -> PathBuf {
    out.join("report.html")
}

/// Trains the networks of one experiment and puts its results into the report.
fn train(
    trainings: &Trainings,
    program: &Program,
    options: &Options<'_>,
    out: &Path,
    progress: &mut Progress,
) -> Result<()> {
    trainings.train(program, options.resume, progress)?;
    let gathered = trainings.gather(options)?;
    write(out, trainings.name(), &gathered)?;
    let runs = if options.seeds == 1 { "1 run".to_owned() } else { format!("{} runs", options.seeds) };
    progress.print(&format!(
        "\n{} ({} scale, {runs} of each network)\n\n{}",
        trainings.name(),
        options.scale.name(),
        table::text(&gathered)
    ));
    for law in &gathered.positions_laws {
        progress.print(&format!("{}: {}", law.criterion.heading(), law.formula()));
        if let Some(by_kernel) = &law.by_kernel {
            progress.print(&format!("  by the kernel's number of positions alone: {}", by_kernel.formula()));
        }
    }
    Ok(())
}

/// Carries out a study and puts its results into the report.
fn measure(
    name: &str,
    study: Study,
    args: &Args,
    options: &Options<'_>,
    out: &Path,
    progress: &mut Progress,
) -> Result<()> {
    let command = trainings::command_line(name, &Options { data: None, ..*options });
    if options.resume && report::holds(&report_path(out), name, &command) {
        progress.note(&format!("{name}: finished earlier, kept"));
        (0..study.len(args.scale)).for_each(|_| progress.finish_run(true));
        return Ok(());
    }
    let study_options =
        StudyOptions { scale: args.scale, seeds: args.seeds, python: args.python.as_deref(), command };
    let report = study.run(&study_options, progress)?;
    write(out, name, &report)?;
    progress.print(&format!("\n{name} ({} scale)", args.scale.name()));
    for table in &report.tables {
        let heads: Vec<_> = table.heads.iter().map(String::as_str).collect();
        progress.print(&format!("\n{}\n{}", table.title, text_table::columns(&heads, &table.rows)));
    }
    Ok(())
}

fn write(out: &Path, name: &str, results: &impl serde::Serialize) -> Result<()> {
    let report = report::merge(&report_path(out), name, results)?;
    atomic::write(&out.join("report.md"), &markdown::page(&report))?;
    atomic::write(&page_path(out), &html::page(&report)?)
}
