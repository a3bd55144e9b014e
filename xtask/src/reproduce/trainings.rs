//! The training runs of an experiment: what is to be done, done, and gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::experiment::{Experiment, Variant};
use super::images::ImageSet;
use super::kernels::{self, NetworkKernels};
use super::law::{self, Criterion};
use super::program::Program;
use super::progress::Progress;
use super::report::ExperimentReport;
use super::row::{Row, SeedRun};
use super::run_folder::{Plan, Request, RunFolder};
use super::scale::Scale;
use crate::environment::Environment;
use crate::workspace;

/// What decides the runs of an experiment besides its description.
pub(crate) struct Options<'a> {
    pub(crate) scale: Scale,
    pub(crate) seeds: u64,
    /// Networks to which it is restricted, if any.
    pub(crate) only: &'a [String],
    /// What `--data` says.
    pub(crate) data: Option<&'a Path>,
    /// Whether other experiments may take other images from there.
    pub(crate) one_of_many: bool,
    pub(crate) resume: bool,
}

/// One training run.
struct Run {
    /// Its place among the variants.
    variant: usize,
    request: Request,
    folder: RunFolder,
}

/// All runs of one experiment.
pub(crate) struct Trainings {
    name: &'static str,
    experiment: Experiment,
    variants: Vec<Variant>,
    runs: Vec<Run>,
    /// Images that stand in for missing ones in a smoke run.
    stand_in: bool,
    /// Images that `--data` does not give and whose runs are left out.
    left_out: Vec<&'static str>,
}

impl Trainings {
    /// Lists the runs, seed by seed so that an early look at the results compares networks.
    ///
    /// # Errors
    /// Images or configuration files are missing, or there is no network of a name that is asked for.
    pub(crate) fn plan(
        name: &'static str,
        experiment: Experiment,
        options: &Options<'_>,
        out: &Path,
    ) -> Result<Self> {
        let stand_in = options.scale == Scale::Smoke && options.data.is_none();
        let mut variants = experiment.variants(options.scale);
        restrict(&mut variants, options.only).with_context(|| name.to_owned())?;
        let mut left_out = Vec::new();
        variants.retain(|variant| {
            let absent = || variant.images.find(options.data, !options.one_of_many).is_err();
            let leave_out = variant.if_found && !stand_in && absent();
            if leave_out && !left_out.contains(&variant.images.label()) {
                left_out.push(variant.images.label());
            }
            !leave_out
        });
        let folder = out.join("runs").join(name).join(options.scale.name());
        let mut runs = Vec::new();
        for seed in 0..options.seeds {
            for (index, variant) in variants.iter().enumerate() {
                if variant.max_seeds.is_some_and(|most| seed >= most) {
                    continue;
                }
                let images = if stand_in { ImageSet::Embedded } else { variant.images };
                let data =
                    images.find(options.data, !options.one_of_many).with_context(|| name.to_owned())?;
                let config = std::fs::read_to_string(workspace::root().join(&variant.config))
                    .with_context(|| format!("reading {}", variant.config))?;
                let arguments =
                    variant.set.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]).collect();
                let request = Request { config, arguments, data, seed };
                let folder = RunFolder::new(folder.join(format!("{}-seed-{seed}", variant.name)));
                runs.push(Run { variant: index, request, folder });
            }
        }
        Ok(Self { name, experiment, variants, runs, stand_in, left_out })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Number of runs.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Trains what is missing.
    ///
    /// # Errors
    /// A run that fails: with the end of what it printed.
    pub(crate) fn train(&self, program: &Program, resume: bool, progress: &mut Progress) -> Result<()> {
        if self.stand_in && self.experiment.images != ImageSet::Embedded {
            progress.note(&format!(
                "{}: images that the program draws stand in for {}, which --data does not give",
                self.name,
                self.experiment.images.label()
            ));
        }
        for images in &self.left_out {
            progress.note(&format!("{}: no {images}, which --data does not give", self.name));
        }
        for run in &self.runs {
            let variant = &self.variants[run.variant];
            progress.begin(&format!("{}: {}, seed {}", self.name, variant.label, run.request.seed));
            let plan = run.folder.plan(&run.request, resume);
            match plan {
                Plan::Skip => progress.note("  finished earlier, kept"),
                Plan::Resume => progress.note("  interrupted earlier, goes on"),
                Plan::Start => run.folder.start(&run.request)?,
            }
            if plan != Plan::Skip {
                let config = workspace::root().join(&variant.config);
                program.train(&config, &run.request, &run.folder, plan == Plan::Resume, progress)?;
            }
            if !self.experiment.evaluate_sizes.is_empty() {
                program.evaluate_sizes(&run.request, &run.folder, &self.experiment.evaluate_sizes)?;
            }
            if self.draws_kernels(run) {
                program.write_kernels(&run.folder)?;
            }
            progress.finish_run(plan == Plan::Skip);
        }
        Ok(())
    }

    /// Kernels are drawn of the first seed.
    fn draws_kernels(&self, run: &Run) -> bool {
        self.experiment.draw_kernels && run.request.seed == 0
    }

    /// Reads the results of all runs.
    ///
    /// # Errors
    /// A run is not finished, or a file is damaged.
    pub(crate) fn gather(&self, options: &Options<'_>) -> Result<ExperimentReport> {
        let mut config = BTreeMap::new();
        let (mut rows, mut networks) = (Vec::new(), Vec::new());
        for (index, variant) in self.variants.iter().enumerate() {
            let mut results = Vec::new();
            for run in self.runs.iter().filter(|run| run.variant == index) {
                let summary = run.folder.summary()?;
                let mut result = SeedRun::new(run.request.seed, &summary, run.folder.curve()?);
                if !self.experiment.evaluate_sizes.is_empty() {
                    result.sizes = run.folder.size_scores()?;
                }
                if self.draws_kernels(run) {
                    let pictures = kernels::draw(&run.folder.kernels(), kernels::REACH)?;
                    let (model, label) = (variant.name.clone(), variant.label.clone());
                    networks.extend((!pictures.is_empty()).then_some(NetworkKernels {
                        model,
                        label,
                        pictures,
                    }));
                }
                results.push((summary, result));
                config.insert(variant.name.clone(), run.folder.config()?);
            }
            rows.push(Row::gather(variant, results)?);
        }
        let data: BTreeSet<&PathBuf> = self.runs.iter().filter_map(|run| run.request.data.as_ref()).collect();
        Ok(ExperimentReport {
            about: self.experiment.about.clone(),
            question: self.experiment.question.clone(),
            paper: self.experiment.paper.clone(),
            command: command_line(self.name, options),
            scale: options.scale.name().to_owned(),
            data: (!data.is_empty())
                .then(|| data.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")),
            abscissa: self.experiment.abscissa.clone(),
            config,
            seeds: (0..options.seeds).collect(),
            positions_laws: match self.experiment.fit_positions_law {
                true => [Criterion::Accuracy, Criterion::ShadowGap]
                    .map(|criterion| law::fit(&rows, criterion))
                    .into(),
                false => vec![],
            },
            rows,
            kernels: networks,
            environment: Environment::here(),
        })
    }
}

/// Keeps the networks of these names, all if there are none.
///
/// # Errors
/// A name that nothing bears, with the valid ones.
fn restrict(variants: &mut Vec<Variant>, only: &[String]) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| !variants.iter().any(|variant| variant.is_called(name))) {
        let valid: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
        bail!("--only: there is no network `{unknown}` at this scale; there are: {}", valid.join(", "));
    }
    variants.retain(|variant| only.is_empty() || only.iter().any(|name| variant.is_called(name)));
    Ok(())
}

/// The shortest call that gives the same results.
pub(crate) fn command_line(name: &str, options: &Options<'_>) -> String {
    let mut line = format!("cargo xtask reproduce {name}");
    if let Some(data) = options.data {
        line += &format!(" --data {}", data.display());
    }
    if options.scale != Scale::Full {
        line += &format!(" --scale {}", options.scale.name());
    }
    if options.seeds != 1 {
        line += &format!(" --seeds {}", options.seeds);
    }
    if !options.only.is_empty() {
        line += &format!(" --only {}", options.only.join(","));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::html;
    use super::super::report;
    use super::super::run_folder::tests::write_finished_run;
    use super::super::suite;
    use super::super::table;
    use super::*;

    fn options(seeds: u64) -> Options<'static> {
        Options { scale: Scale::Quick, seeds, only: &[], data: None, one_of_many: false, resume: true }
    }

    fn described(name: &str) -> Experiment {
        match suite::choose(Some(name), false).unwrap().remove(0).kind {
            suite::Kind::Trainings(experiment) => *experiment,
            suite::Kind::Study(_) => panic!("{name} trains no networks"),
        }
    }

    fn planned(out: &Path, seeds: u64) -> Trainings {
        Trainings::plan("embedded", described("embedded"), &options(seeds), out).unwrap()
    }

    #[test]
    fn finished_run_folders_become_a_report() {
        let out = tempfile::tempdir().unwrap();
        let trainings = planned(out.path(), 2);
        assert_eq!(trainings.len(), 6);
        for run in &trainings.runs {
            let accuracy = if run.variant == 0 { 0.8 } else { 0.7 } + 0.02 * run.request.seed as f64;
            write_finished_run(&run.folder, &run.request, accuracy);
        }
        let gathered = trainings.gather(&options(2)).unwrap();
        assert_eq!(gathered.rows.len(), 3);
        assert_eq!((gathered.rows[0].model.as_str(), gathered.rows[0].parameters), ("cfconv", 1234));
        assert!((gathered.rows[0].accuracy - 0.81).abs() < 1e-12);
        assert_eq!(gathered.rows[1].runs[1].curve.len(), 2);
        assert_eq!(gathered.config["cfconv"]["train"]["epochs"], 2);
        assert_eq!(gathered.seeds, [0, 1]);
        let (heads, rows) = table::cells(&gathered);
        let column = heads.iter().position(|head| *head == "signatures").unwrap();
        assert_eq!(rows[0][column], "plateau", "of both runs once");

        let report = report::merge(&out.path().join("report.json"), trainings.name(), &gathered).unwrap();
        let page = html::page(&report).unwrap();
        assert!(page.contains("3×3 convolution") && page.contains("it fell by 0.2 %"));
    }

    #[test]
    fn settings_of_the_variant_and_the_scale_reach_the_program() {
        let out = tempfile::tempdir().unwrap();
        let trainings = planned(out.path(), 1);
        assert_eq!(trainings.runs[0].request.arguments.join(" "), "--set train.epochs=3");
        assert!(trainings.runs[0].folder.path().ends_with("runs/embedded/quick/cfconv-seed-0"));
    }

    #[test]
    fn drawn_images_stand_in_for_missing_ones_in_smoke_runs_only() {
        let out = tempfile::tempdir().unwrap();
        let plan = |scale| {
            let options = Options { scale, ..options(1) };
            Trainings::plan("positions", described("positions"), &options, out.path())
        };
        let smoke = plan(Scale::Smoke).unwrap();
        assert!(smoke.stand_in && smoke.runs.iter().all(|run| run.request.data.is_none()));
        let message = format!("{:#}", plan(Scale::Quick).err().unwrap());
        assert!(message.contains("positions") && message.contains("--data"), "{message}");
    }

    #[test]
    fn a_network_can_have_fewer_seeds_than_the_others() {
        let (out, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(data.path().join("cats_vs_dogs_64.zip"), "").unwrap();
        let options = Options { data: Some(data.path()), one_of_many: true, ..options(3) };
        let trainings =
            Trainings::plan("cats-vs-dogs", described("cats-vs-dogs"), &options, out.path()).unwrap();
        let seeds = |name: &str| {
            let runs = trainings.runs.iter().filter(|run| trainings.variants[run.variant].name == name);
            runs.map(|run| run.request.seed).collect::<Vec<_>>()
        };
        assert_eq!((seeds("cfconv"), seeds("conv3x3")), (vec![0], vec![0, 1, 2]));
    }

    #[test]
    fn an_experiment_can_be_restricted_to_some_networks() {
        let out = tempfile::tempdir().unwrap();
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|&name| name.to_owned()).collect();
            let options = Options { only: &only, scale: Scale::Smoke, ..options(1) };
            let planned = Trainings::plan("positions", described("positions"), &options, out.path())?;
            let line = command_line("positions", &options);
            let ran: Vec<_> =
                planned.runs.iter().map(|run| planned.variants[run.variant].name.clone()).collect();
            Ok::<_, anyhow::Error>((ran.join(" "), line))
        };
        let (pairs, line) = names(&["cfconv-pairs"]).unwrap();
        assert_eq!(pairs, "cfconv-pairs-212 cfconv-pairs-all", "every point of the network");
        assert_eq!(line, "cargo xtask reproduce positions --scale smoke --only cfconv-pairs");
        let (both, _) = names(&["cfconv-all", "cfconv-pairs-212"]).unwrap();
        assert_eq!(both, "cfconv-all cfconv-pairs-212");
        let message = format!("{:#}", names(&["cfconv-2"]).unwrap_err());
        assert!(message.contains("cfconv-2`") && message.contains("cfconv-pairs-212"), "{message}");
    }

    #[test]
    fn optional_images_that_are_not_there_are_left_out() {
        let (out, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let plan = || {
            let options =
                Options { data: Some(data.path()), one_of_many: true, scale: Scale::Quick, ..options(1) };
            Trainings::plan("scale-up", described("scale-up"), &options, out.path())
        };
        for name in ["imagenette_64.zip", "cifar10.zip"] {
            assert!(plan().is_err(), "what is not optional has to be there");
            std::fs::write(data.path().join(name), "").unwrap();
        }
        let without = plan().unwrap();
        assert_eq!((without.len(), without.left_out), (16, vec!["CIFAR-100"]));
        std::fs::write(data.path().join("cifar100.zip"), "").unwrap();
        let with = plan().unwrap();
        assert_eq!((with.len(), with.left_out.len()), (24, 0));
    }

    #[test]
    fn command_line_repeats_what_decides_the_result() {
        let line = command_line("embedded", &options(3));
        assert_eq!(line, "cargo xtask reproduce embedded --scale quick --seeds 3");
    }
}
