//! `cargo xtask bench`: measures cfconv and PyTorch in turn and writes how they compare.
//!
//! First both sides compute the same step from the same operands, and every result and gradient is compared. Then
//! each case is measured in rounds, one process of each side after the other, so that a machine that slows down
//! slows both. Results gather in one folder: `report.json`, `report.html`, `table.md` and a drawing for each
//! scaling curve. They are written again after each row, so that an interrupted call leaves what it measured.

pub(crate) mod case;
mod check;
pub(crate) mod contestants;
mod curves;
mod goal;
mod page;
pub(crate) mod python;
mod report;
mod rows;
pub(crate) mod scaling;
mod table;
pub(crate) mod timing;

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use self::case::Case;
use self::check::Check;
use self::contestants::{Contestants, Effort, Side};
use self::report::{Comparison, MlpShare, Report, RowReport};
use self::rows::{Opponent, Row};
use self::scaling::{Curve, Point, Sweep};
use self::timing::Timing;
use crate::environment::Environment;
use crate::progress::Progress;
use crate::scale::Scale;
use crate::{build, files, plots};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take minutes: one round of few steps, and short curves.
    #[arg(long)]
    quick: bool,
    /// Take seconds: tiny sizes without optimisation. Shows that everything works together; the figures mean nothing.
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Measure only these rows of the table, separated by commas; `scaling` means the curves.
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = rows::names())]
    only: Vec<String>,
    /// Threads of each side.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Rounds; in each round every program runs once. Default: 3, or 1 with --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measured steps of a run; PyTorch takes fewer where a step lasts seconds. Default: 7, or 3 with --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// A Python (3.11 or newer) that has torch. Default: an environment in target/bench/venv, made if it is missing.
    #[arg(long, value_name = "PATH", conflicts_with = "no_peer")]
    python: Option<PathBuf>,
    /// Measure cfconv only.
    #[arg(long)]
    no_peer: bool,
    /// Measure PyTorch a second time through torch.compile, where that can compile the case.
    #[arg(long, conflicts_with = "no_peer")]
    compile: bool,
    /// Keep the measurements of an earlier call with the same settings, and measure the rest.
    #[arg(long)]
    resume: bool,
    /// Folder for the results. Default: target/bench in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    fn scale(&self) -> Scale {
        match (self.smoke, self.quick) {
            (true, _) => Scale::Smoke,
            (_, true) => Scale::Quick,
            _ => Scale::Full,
        }
    }

    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.scale() == Scale::Full { 3 } else { 1 })
    }

    fn effort(&self) -> Effort {
        let (steps, warmup) = match self.scale() {
            Scale::Full => (7, 2),
            Scale::Quick => (3, 1),
            Scale::Smoke => (1, 0),
        };
        Effort { threads: self.threads.into(), steps: self.steps.unwrap_or(steps), warmup }
    }
}

/// Guessed seconds of a check, for the estimate of the time that is left.
const CHECK_S: f64 = 6.0;

/// Steps of a point of a curve.
const CURVE_STEPS: u32 = 3;

/// Checks, measures and writes the results. Fails if our program fails or the sides compute different numbers; the
/// peer may fail.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (mut rows, scaling) = rows::choose(&args.only);
    let scale = args.scale();
    if scale == Scale::Smoke {
        rows = rows.into_iter().map(Row::shrunk).collect();
    }
    let out = files::results_folder(args.out.as_deref(), "target/bench")?;
    let (python, without_peer) = find_peer(args)?;
    let ours = build::program("cfconv-bench", "cfconv-bench", scale.profile())?;
    let with_peer = python.is_some();
    let mut report = Report {
        command: format!("cargo xtask {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        scale,
        threads: args.threads.into(),
        rounds: args.rounds(),
        steps: args.effort().steps,
        environment: Environment::here(),
        peer: python.as_ref().map(|python| python.versions.clone()),
        without_peer,
        ..Report::default()
    };
    if args.resume {
        report.resume(&out.join("report.json"))?;
        rows.retain(|row| report.rows.iter().all(|done| done.id != row.id));
    }
    let mut sweeps = if scaling { scaling::sweeps(scale, args.threads.into(), with_peer) } else { vec![] };
    let measured = |sweep: &Sweep| {
        report.scaling.iter().any(|curve| (curve.axis.as_str(), &curve.label) == (sweep.axis, &sweep.label()))
    };
    sweeps.retain(|sweep| !measured(sweep));
    let mut checks: Vec<&Case> = rows.iter().flat_map(|row| &row.checks).collect();
    // Several rows share a check.
    let mut known: HashSet<String> = report.checks.iter().map(|done| done.command.clone()).collect();
    checks.retain(|case| with_peer && known.insert(case.to_string()));
    let total = CHECK_S * checks.len() as f64
        + f64::from(args.rounds())
            * rows.iter().map(|row| row_seconds(row, with_peer, args.compile)).sum::<f64>()
        + sweeps.iter().map(|it| run_seconds(it.side, false) * it.points.len() as f64).sum::<f64>();
    // The guesses above need a twentieth of the work to become an estimate.
    let progress = Progress::new(total, 0.05 * total);
    let mut session = Session { args, contestants: Contestants { ours, python }, report, progress, out };
    session.check(&checks)?;
    for row in &rows {
        session.measure_row(row)?;
    }
    for sweep in &sweeps {
        session.measure_curve(sweep)?;
    }
    session.report.complete = true;
    session.progress.finish();
    session.write()?;
    session.progress.print(format_args!("\n{}", table::text(&session.report)));
    session.progress.print(format_args!("written: {}", session.out.display()));
    Ok(())
}

/// The peer, or why there is none.
fn find_peer(args: &Args) -> Result<(Option<python::Python>, Option<String>)> {
    if args.no_peer {
        return Ok((None, Some("--no-peer was given".to_owned())));
    }
    if let Some(path) = &args.python {
        return Ok((Some(python::given(path)?), None));
    }
    match python::environment() {
        Ok(python) => Ok((Some(python), None)),
        Err(error) => {
            let reason = format!("{error:#}").replace('\n', " ");
            eprintln!("note: there is no PyTorch, so only cfconv is measured: {reason}");
            Ok((None, Some(reason)))
        }
    }
}

/// Guessed seconds of one run.
fn run_seconds(side: Side, is_slow: bool) -> f64 {
    match side {
        Side::Ours => 2.0,
        Side::Peer if is_slow => 20.0,
        Side::Peer => 5.0,
    }
}

/// Guessed seconds of one round of a row.
fn row_seconds(row: &Row, with_peer: bool, compile: bool) -> f64 {
    let measured = row.opponents.iter().filter(|opponent| opponent.side == Side::Ours || with_peer);
    let opponents: f64 = measured.map(|it| run_seconds(it.side, it.max_steps.is_some())).sum();
    run_seconds(Side::Ours, false) + if compile { 2.0 * opponents } else { opponents }
}

/// A call under way.
struct Session<'a> {
    args: &'a Args,
    contestants: Contestants,
    report: Report,
    progress: Progress,
    out: PathBuf,
}

/// An opponent of a row while its rounds run.
struct Contest<'a> {
    label: String,
    opponent: &'a Opponent,
    compile: bool,
    runs: Vec<Value>,
    failure: Option<String>,
}

impl Session<'_> {
    fn check(&mut self, checks: &[&Case]) -> Result<()> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let dump = folder.path().join("step.safetensors");
        for case in checks {
            self.progress.begin(&format!("same numbers? {case}"));
            let found = self.contestants.check(case, self.report.threads, &dump)?;
            let check = Check::judge(&case.to_string(), &found)?;
            self.progress.note(format_args!("  {}: {:.1e}, {case}", check.largest_of, check.largest));
            self.report.checks.push(check);
            self.progress.advance(CHECK_S, false);
        }
        self.write()
    }

    fn measure_row(&mut self, row: &Row) -> Result<()> {
        let with_peer = self.contestants.python.is_some();
        let mut contests = Vec::new();
        for opponent in row.opponents.iter().filter(|o| o.side == Side::Ours || with_peer) {
            let contest =
                |label: String, compile| Contest { label, opponent, compile, runs: vec![], failure: None };
            contests.push(contest(opponent.label.to_owned(), false));
            let can_compile = matches!(opponent.case.command(), "layer" | "net" | "infer");
            if self.args.compile && opponent.side == Side::Peer && can_compile {
                contests.push(contest(format!("{}, compiled", opponent.label), true));
            }
        }
        let effort = self.args.effort();
        let mut ours = Vec::new();
        for round in 1..=self.args.rounds() {
            self.progress.begin(&format!("{}, round {round} of {}", row.label, self.args.rounds()));
            ours.push(self.contestants.measure(Side::Ours, &row.case, effort, false)?);
            for contest in contests.iter_mut().filter(|contest| contest.failure.is_none()) {
                let opponent = contest.opponent;
                let mut effort = effort.at_most(opponent.max_steps);
                if contest.compile {
                    // The first step compiles.
                    effort.warmup = effort.warmup.max(1);
                }
                match self.contestants.measure(opponent.side, &opponent.case, effort, contest.compile) {
                    Ok(run) => contest.runs.push(run),
                    // The peer may run out of memory or fail to compile; the others go on.
                    Err(error) => {
                        contest.failure = Some(format!("{}, {}: {error:#}", row.label, contest.label))
                    }
                }
            }
            self.progress.advance(row_seconds(row, with_peer, self.args.compile), false);
        }
        if let Some(set) = ours[0]["instruction_set"].as_str() {
            self.report.instruction_set = Some(set.to_owned());
        }
        let ours = Timing::gather(row.case.to_string(), Side::Ours, ours);
        let mut result = RowReport::new(row.id, row.label, ours, row.memory_goal_mib);
        for Contest { label, opponent, compile, runs, failure } in contests {
            failure.into_iter().for_each(|failure| self.not_measured(failure));
            if !runs.is_empty() {
                let theirs = Timing::gather(opponent.case.to_string(), opponent.side, runs);
                let goal = opponent.goal.filter(|_| !compile);
                result.comparisons.push(Comparison::new(&label, &result.ours, theirs, goal));
            }
        }
        self.report.rows.push(result);
        // A resumed call measures what is missing; the table keeps its order.
        let order = rows::names();
        self.report.rows.sort_by_key(|row| order.iter().position(|id| *id == row.id));
        self.report.mlp_share = MlpShare::of(&self.report.rows);
        self.write()
    }

    fn measure_curve(&mut self, sweep: &Sweep) -> Result<()> {
        let effort = self.args.effort();
        let effort = Effort { threads: sweep.threads, ..effort.at_most(Some(CURVE_STEPS)) };
        let (axis, label, threads) = (sweep.axis.to_owned(), sweep.label(), sweep.threads);
        let mut curve = Curve { axis, label, threads, points: vec![] };
        for (x, case) in &sweep.points {
            self.progress.begin(&format!("{} over {}: {x}", curve.label, sweep.axis));
            match self.contestants.measure(sweep.side, case, effort, false) {
                Ok(run) => {
                    let timing = Timing::gather(case.to_string(), sweep.side, vec![run]);
                    let Timing { command, median_s, min_s, scratch_mib, .. } = timing;
                    curve.points.push(Point { x: *x, command, median_s, min_s, scratch_mib });
                }
                // Large sizes may not fit the memory of this machine.
                Err(error) => self.not_measured(format!("{}, {case}: {error:#}", curve.label)),
            }
            self.progress.advance(run_seconds(sweep.side, false), false);
        }
        self.report.scaling.push(curve);
        self.write()
    }

    fn not_measured(&mut self, failure: String) {
        self.progress.note(format_args!("NOT MEASURED: {failure}"));
        self.report.failures.push(failure);
    }

    /// Writes all files with the results so far.
    fn write(&self) -> Result<()> {
        files::replace_json(&self.out.join("report.json"), &self.report)?;
        files::replace(&self.out.join("table.md"), &table::markdown(&self.report))?;
        let drawings = curves::draw(&self.report.scaling)?;
        for drawing in &drawings {
            files::replace(&self.out.join(&drawing.file), &plots::standalone(&drawing.svg))?;
        }
        files::replace(&self.out.join("report.html"), &page::page(&self.report, &drawings))
    }
}
