//! The training runs of an experiment: planned, done and gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Args;
use super::answers;
use super::experiment::{Experiment, Variant};
use super::images::ImageSet;
use super::kernels;
use super::positions_law::{self, Criterion};
use super::program::Program;
use super::report::{Intro, Results, TrainingResults};
use super::row::{Row, SeedRun};
use super::run_folder::{KERNELS, Plan, Request, RunFolder};
use crate::progress::Progress;
use crate::scale::Scale;
use crate::{files, workspace};

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
    /// Whether a smoke run draws its own images because there are no others.
    stand_in: bool,
    /// Images that `--data` does not give and whose runs are left out.
    left_out: Vec<&'static str>,
}

impl Trainings {
    /// Lists the runs, seed by seed so that an early look at the results compares networks. Fails if images are
    /// missing or `--only` names a network that does not exist.
    pub(crate) fn plan(name: &'static str, experiment: Experiment, args: &Args, out: &Path) -> Result<Self> {
        let find = |images: ImageSet| images.find(args.data.as_deref(), !args.is_of_all());
        let stand_in = args.scale == Scale::Smoke && args.data.is_none();
        let mut variants = experiment.variants(args.scale);
        restrict(&mut variants, &args.only).with_context(|| name.to_owned())?;
        let mut left_out = Vec::new();
        variants.retain(|variant| {
            let leave_out = variant.if_found && !stand_in && find(variant.images).is_err();
            if leave_out && !left_out.contains(&variant.images.label()) {
                left_out.push(variant.images.label());
            }
            !leave_out
        });
        let folder = out.join("runs").join(name).join(args.scale.name());
        let mut runs = Vec::new();
        for seed in 0..args.seeds {
            for (index, variant) in variants.iter().enumerate() {
                if variant.network.max_seeds.is_some_and(|most| seed >= most) {
                    continue;
                }
                let images = if stand_in { ImageSet::Embedded } else { variant.images };
                let request = Request {
                    config: files::read(&workspace::root().join(&variant.network.config))?,
                    arguments: variant.set.iter().flat_map(|it| ["--set".to_owned(), it.clone()]).collect(),
                    data: find(images).with_context(|| name.to_owned())?,
                    seed,
                };
                let folder = RunFolder::new(folder.join(format!("{}-seed-{seed}", variant.name)));
                runs.push(Run { variant: index, request, folder });
            }
        }
        Ok(Self { name, experiment, variants, runs, stand_in, left_out })
    }

    /// Number of runs.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Trains what is missing.
    pub(crate) fn train(&self, program: &Program, resume: bool, progress: &mut Progress) -> Result<()> {
        let (name, images) = (self.name, self.experiment.images.label());
        if self.stand_in && self.experiment.images != ImageSet::Embedded {
            progress.note(format_args!("{name}: --data gives no {images}; the program draws other images"));
        }
        for images in &self.left_out {
            progress.note(format_args!("{name}: --data gives no {images}; left out"));
        }
        for run in &self.runs {
            let variant = &self.variants[run.variant];
            progress.begin(&format!("{name}: {}, seed {}", variant.label, run.request.seed));
            let plan = run.folder.plan(&run.request, resume);
            match plan {
                Plan::Skip => progress.note("  already finished, kept"),
                Plan::Resume => progress.note("  interrupted earlier, continues"),
                Plan::Start => run.folder.start(&run.request)?,
            }
            if plan != Plan::Skip {
                let config = workspace::root().join(&variant.network.config);
                program.train(&config, &run.request, &run.folder, plan == Plan::Resume, progress)?;
            }
            if !self.experiment.evaluate_sizes.is_empty() {
                program.evaluate_sizes(&run.request, &run.folder, &self.experiment.evaluate_sizes)?;
            }
            if self.draws_kernels(run) {
                program.write_kernels(&run.folder)?;
            }
            if self.shows_mistakes(run) {
                program.write_answers(variant, &run.request, &run.folder)?;
            }
            progress.advance(1.0, plan == Plan::Skip);
        }
        Ok(())
    }

    /// Only the first seed's kernels are drawn.
    fn draws_kernels(&self, run: &Run) -> bool {
        self.experiment.draw_kernels && run.request.seed == 0
    }

    /// Only the first seed's mistakes are shown.
    fn shows_mistakes(&self, run: &Run) -> bool {
        self.experiment.show_mistakes && run.request.seed == 0
    }

    /// Reads the results of all runs, which must be finished.
    pub(crate) fn gather(&self, args: &Args) -> Result<(Intro, Results)> {
        let mut config = BTreeMap::new();
        let (mut rows, mut drawn, mut answered) = (Vec::new(), Vec::new(), Vec::new());
        for (index, variant) in self.variants.iter().enumerate() {
            let mut seeds = Vec::new();
            for run in self.runs.iter().filter(|run| run.variant == index) {
                let sizes = match self.experiment.evaluate_sizes.is_empty() {
                    true => vec![],
                    false => run.folder.size_scores()?,
                };
                let (summary, curve) = (run.folder.summary()?, run.folder.curve()?);
                seeds.push(SeedRun { seed: run.request.seed, summary, curve, sizes });
                if self.draws_kernels(run) {
                    let kernels = kernels::read(&run.folder.file(KERNELS))?;
                    drawn.push((variant.name.as_str(), variant.label.as_str(), kernels));
                }
                if self.shows_mistakes(run) {
                    answered.push(answers::read(variant, &run.folder)?);
                }
                config.insert(variant.name.clone(), run.folder.config()?);
            }
            rows.push(Row::gather(variant, seeds)?);
        }
        let data: BTreeSet<_> = self.runs.iter().filter_map(|run| run.request.data.as_ref()).collect();
        let data: Vec<_> = data.iter().map(|path| path.display().to_string()).collect();
        let laws: &[_] = match self.experiment.fit_positions_law {
            true => &[Criterion::Accuracy, Criterion::ShadowGap],
            false => &[],
        };
        let results = TrainingResults {
            data: (!data.is_empty()).then(|| data.join(", ")),
            abscissa: self.experiment.abscissa.clone(),
            config,
            seeds: (0..args.seeds).collect(),
            positions_laws: laws.iter().map(|&criterion| positions_law::fit(&rows, criterion)).collect(),
            rows,
            kernels: kernels::compare(drawn)?,
            answers: answered,
        };
        let Experiment { about, question, paper, .. } = self.experiment.clone();
        Ok((Intro { about, question, paper }, Results::Trainings(Box::new(results))))
    }
}

/// Keeps the networks with these names, or all if there are no names. The error for an unknown name lists the valid
/// ones.
fn restrict(variants: &mut Vec<Variant>, only: &[String]) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| !variants.iter().any(|variant| variant.is_called(name))) {
        let valid: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
        bail!("--only: there is no network `{unknown}` at this scale; there are: {}", valid.join(", "));
    }
    variants.retain(|variant| only.is_empty() || only.iter().any(|name| variant.is_called(name)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::answers::tests::write_answers;
    use super::super::report::tests::section;
    use super::super::run_folder::tests::write_finished_run;
    use super::super::{html, report, suite};
    use super::*;

    fn quick(seeds: u64) -> Args {
        Args { scale: Scale::Quick, seeds, resume: true, ..Args::default() }
    }

    /// The experiment and all others get their images from `folder`.
    fn with_data(folder: &Path, args: Args) -> Args {
        Args { name: Some(suite::ALL.to_owned()), data: Some(folder.to_owned()), ..args }
    }

    fn described(name: &str) -> Experiment {
        match suite::choose(Some(name), false).unwrap()[0].1 {
            suite::Source::Networks(text) => suite::parse(name, text).unwrap(),
            suite::Source::Study(_) => panic!("{name} trains no networks"),
        }
    }

    fn plan(name: &'static str, args: &Args) -> Result<Trainings> {
        Trainings::plan(name, described(name), args, Path::new("out"))
    }

    #[test]
    fn finished_run_folders_become_a_report() {
        let out = tempfile::tempdir().unwrap();
        let trainings = Trainings::plan("embedded", described("embedded"), &quick(2), out.path()).unwrap();
        assert_eq!(trainings.len(), 6);
        for run in &trainings.runs {
            let accuracy = if run.variant == 0 { 0.8 } else { 0.7 } + 0.02 * run.request.seed as f64;
            write_finished_run(&run.folder, &run.request, accuracy);
            let is_first = run.request.seed == 0;
            if is_first {
                write_answers(&run.folder);
                let kernels = serde_json::json!({ "kernels": [] });
                files::replace_json(&run.folder.file(KERNELS), &kernels).unwrap();
            }
        }
        let section = section(trainings.gather(&quick(2)).unwrap().1);
        let Results::Trainings(gathered) = &section.results else { panic!("networks were trained") };
        assert_eq!(gathered.rows.len(), 3);
        assert_eq!((gathered.rows[0].model.as_str(), gathered.rows[0].parameters), ("cfconv", 1234));
        assert!((gathered.rows[0].accuracy - 0.81).abs() < 1e-12);
        assert_eq!(gathered.rows[1].runs[1].curve.len(), 2);
        assert_eq!(gathered.config["cfconv"]["train"]["epochs"], 2);
        assert_eq!(gathered.seeds, [0, 1]);
        assert_eq!(gathered.answers.len(), 3, "of the first seed");
        let table = &section.tables()[0];
        let column = table.heads.iter().position(|head| *head == "signatures").unwrap();
        assert_eq!(table.rows[0][column], "plateau", "of both runs once");

        let report = report::merge(&out.path().join("report.json"), trainings.name, &section).unwrap();
        let page = html::page(&report).unwrap();
        assert!(page.contains("3×3 convolution") && page.contains("it fell by 0.2 %"));
        assert!(page.contains("Dog, said Cat 98 %"));
    }

    #[test]
    fn settings_of_the_variant_and_the_scale_reach_the_program() {
        let trainings = plan("embedded", &quick(1)).unwrap();
        assert_eq!(trainings.runs[0].request.arguments.join(" "), "--set train.epochs=3");
        assert!(trainings.runs[0].folder.path().ends_with("runs/embedded/quick/cfconv-seed-0"));
    }

    #[test]
    fn drawn_images_stand_in_for_missing_ones_in_smoke_runs_only() {
        let smoke = plan("positions", &Args { scale: Scale::Smoke, ..quick(1) }).unwrap();
        assert!(smoke.stand_in && smoke.runs.iter().all(|run| run.request.data.is_none()));
        let message = format!("{:#}", plan("positions", &quick(1)).err().unwrap());
        assert!(message.contains("positions") && message.contains("--data"), "{message}");
    }

    #[test]
    fn a_network_can_have_fewer_seeds_than_the_others() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("cats_vs_dogs_64.zip"), "").unwrap();
        let trainings = plan("cats-vs-dogs", &with_data(data.path(), quick(3))).unwrap();
        let seeds = |name: &str| {
            let runs = trainings.runs.iter().filter(|run| trainings.variants[run.variant].name == name);
            runs.map(|run| run.request.seed).collect::<Vec<_>>()
        };
        assert_eq!((seeds("cfconv"), seeds("conv3x3")), (vec![0], vec![0, 1, 2]));
    }

    #[test]
    fn an_experiment_can_be_restricted_to_some_networks() {
        let names = |only: &[&str]| {
            let only = only.iter().map(|&name| name.to_owned()).collect();
            let planned = plan("positions", &Args { only, scale: Scale::Smoke, ..quick(1) })?;
            let names = planned.runs.iter().map(|run| planned.variants[run.variant].name.as_str());
            anyhow::Ok(names.collect::<Vec<_>>().join(" "))
        };
        let pairs = names(&["cfconv-pairs"]).unwrap();
        assert_eq!(pairs, "cfconv-pairs-212 cfconv-pairs-all", "every point of the network");
        assert_eq!(names(&["cfconv-all", "cfconv-pairs-212"]).unwrap(), "cfconv-all cfconv-pairs-212");
        let message = format!("{:#}", names(&["cfconv-2"]).unwrap_err());
        assert!(message.contains("cfconv-2`") && message.contains("cfconv-pairs-212"), "{message}");
    }

    #[test]
    fn optional_images_that_are_not_there_are_left_out() {
        let data = tempfile::tempdir().unwrap();
        let plan = || plan("scale-up", &with_data(data.path(), quick(1)));
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
}
