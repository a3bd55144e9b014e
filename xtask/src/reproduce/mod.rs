//! `cargo xtask reproduce`: trains the networks of an experiment and reports what they reach.
//!
//! Results gather in one folder: `report.json` and `report.html` with all experiments, and `runs/` with a folder
//! for each training run, from which an interrupted call goes on.

mod data_path;
mod experiment;
mod html;
mod program;
mod progress;
mod report;
mod run_folder;
mod statistics;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::experiment::{Experiment, Model, Scale};
use self::program::Program;
use self::progress::Progress;
use self::report::{ExperimentReport, Row};
use self::run_folder::{Plan, Request, RunFolder};
use crate::environment::Environment;
use crate::{atomic, workspace};

/// Options of `cargo xtask reproduce`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The experiment: `embedded` (downloads nothing) or `cats-vs-dogs`. Default: the one for the images given.
    name: Option<String>,
    /// Folder or .zip with the images of the experiment.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// How much of it is run.
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// Train each network from this many seeds: 0, 1, ….
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Go on where an earlier call stopped: finished runs are kept, an interrupted one continues.
    #[arg(long)]
    resume: bool,
    /// Folder for the results. Default: target/reproduce in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One training run that the experiment needs.
struct Run {
    model: &'static Model,
    request: Request,
    folder: RunFolder,
}

/// Trains what is missing, then prints and writes the report.
///
/// # Errors
/// Wrong options, missing images, a program that fails, files that cannot be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let experiment = experiment::choose(args.name.as_deref(), args.data.is_some())?;
    let data = data_path::find(experiment, args.data.as_deref())?;
    let out = match &args.out {
        Some(out) => std::path::absolute(out).context("--out")?,
        None => workspace::root().join("target/reproduce"),
    };
    let runs = plan(experiment, args, data.as_deref(), &out)?;
    let program = Program::build()?;
    train(&program, experiment, &runs, args.resume)?;

    let gathered = gather(experiment, args, data.as_deref(), &runs)?;
    let path = out.join("report.json");
    let report = report::merge(&path, experiment.name, &gathered)?;
    let page = out.join("report.html");
    atomic::write(&page, &html::page(&report)?)?;
    println!(
        "\n{} ({} scale, {} of each network)\n",
        experiment.name,
        args.scale.name(),
        runs_text(args.seeds)
    );
    print!("{}", table::text(&gathered));
    println!("\nwritten: {}\n         {}", path.display(), page.display());
    Ok(())
}

fn runs_text(seeds: u64) -> String {
    if seeds == 1 { "1 run".to_owned() } else { format!("{seeds} runs") }
}

/// Lists the runs, seed by seed so that an early look at the results compares networks.
fn plan(experiment: &Experiment, args: &Args, data: Option<&Path>, out: &Path) -> Result<Vec<Run>> {
    let models: &'static [Model] = experiment.models;
    let folder = out.join("runs").join(experiment.name).join(args.scale.name());
    let mut runs = Vec::new();
    for seed in 0..args.seeds {
        for model in models {
            let config = std::fs::read_to_string(workspace::root().join(model.config))
                .with_context(|| format!("reading {}", model.config))?;
            let arguments = experiment.scale_arguments(args.scale);
            let request = Request { config, arguments, data: data.map(Path::to_owned), seed };
            let folder = RunFolder::new(folder.join(format!("{}-seed-{seed}", model.name)));
            runs.push(Run { model, request, folder });
        }
    }
    Ok(runs)
}

fn train(program: &Program, experiment: &Experiment, runs: &[Run], resume: bool) -> Result<()> {
    let mut progress = Progress::new(runs.len());
    for run in runs {
        progress.begin(&format!("{}: {}, seed {}", experiment.name, run.model.label, run.request.seed));
        let plan = run.folder.plan(&run.request, resume);
        match plan {
            Plan::Skip => progress.note("  finished earlier, kept"),
            Plan::Resume => progress.note("  interrupted earlier, goes on"),
            Plan::Start => run.folder.start(&run.request)?,
        }
        if plan != Plan::Skip {
            let config = workspace::root().join(run.model.config);
            program.train(&config, &run.request, &run.folder, plan == Plan::Resume, &mut progress)?;
        }
        progress.finish_run(plan == Plan::Skip);
    }
    progress.finish();
    Ok(())
}

fn gather(
    experiment: &Experiment,
    args: &Args,
    data: Option<&Path>,
    runs: &[Run],
) -> Result<ExperimentReport> {
    let mut config = BTreeMap::new();
    let mut rows = Vec::new();
    for model in experiment.models {
        let mut results = Vec::new();
        for run in runs.iter().filter(|run| run.model.name == model.name) {
            results.push((run.request.seed, run.folder.summary()?, run.folder.curve()?));
            config.insert(model.name.to_owned(), run.folder.config()?);
        }
        rows.push(Row::gather(model.name, model.label, results)?);
    }
    Ok(ExperimentReport {
        about: experiment.about.to_owned(),
        command: command_line(experiment, args),
        scale: args.scale.name().to_owned(),
        data: data.map(|path| path.display().to_string()),
        config,
        seeds: (0..args.seeds).collect(),
        rows,
        environment: Environment::here(),
    })
}

/// The shortest call that gives the same results.
fn command_line(experiment: &Experiment, args: &Args) -> String {
    let mut line = format!("cargo xtask reproduce {}", experiment.name);
    if let Some(data) = &args.data {
        line += &format!(" --data {}", data.display());
    }
    if args.scale != Scale::Full {
        line += &format!(" --scale {}", args.scale.name());
    }
    if args.seeds != 1 {
        line += &format!(" --seeds {}", args.seeds);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::run_folder::tests::{request, write_finished_run};
    use super::*;

    fn args(seeds: u64) -> Args {
        Args { name: None, data: None, scale: Scale::Quick, seeds, resume: true, out: None }
    }

    #[test]
    fn finished_run_folders_become_a_report() {
        let out = tempfile::tempdir().unwrap();
        let experiment = experiment::choose(None, false).unwrap();
        let runs: Vec<_> = (0..2)
            .flat_map(|seed| experiment.models.iter().map(move |model| (seed, model)))
            .map(|(seed, model)| {
                let folder = RunFolder::new(out.path().join(format!("{}-{seed}", model.name)));
                let accuracy = if model.name == "cfconv" { 0.8 } else { 0.7 } + 0.02 * seed as f64;
                write_finished_run(&folder, &request(seed), accuracy);
                Run { model, request: request(seed), folder }
            })
            .collect();
        let gathered = gather(experiment, &args(2), None, &runs).unwrap();
        assert_eq!(gathered.rows.len(), 2);
        assert_eq!((gathered.rows[0].model.as_str(), gathered.rows[0].parameters), ("cfconv", 1234));
        assert!((gathered.rows[0].accuracy - 0.81).abs() < 1e-12);
        assert_eq!(gathered.rows[1].runs[1].curve.len(), 2);
        assert_eq!(gathered.config["cfconv"]["train"]["epochs"], 2);
        assert_eq!(gathered.seeds, [0, 1]);

        let report = report::merge(&out.path().join("report.json"), experiment.name, &gathered).unwrap();
        assert!(html::page(&report).unwrap().contains("3×3 convolution"));
    }

    #[test]
    fn command_line_repeats_what_decides_the_result() {
        let experiment = experiment::choose(None, false).unwrap();
        let line = command_line(experiment, &args(3));
        assert_eq!(line, "cargo xtask reproduce embedded --scale quick --seeds 3");
    }
}
