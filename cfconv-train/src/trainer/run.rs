//! A run from its first step to its summary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::clock::Clock;
use super::error::{Result, TrainError};
use super::evaluate::evaluate;
use super::observer::Observer;
use super::summary::{Summary, median};
use crate::averaging::WeightAverage;
use crate::checkpoint::{
    Best, EpochTotals, Kind, Metadata, RunState, TensorFile, VERSION, install_model, load_training,
    save_model, save_training,
};
use crate::config::{Select, TrainConfig};
use crate::data::{CHANNELS, Dataset, Loader, Normalization, Split};
use crate::device::Device;
use crate::metrics::{
    EndEvent, EpochEvent, Event, History, KernelHealth, MetricsWriter, Score, SplitSizes, StartEvent,
};
use crate::networks::{InputShape, Network};
use crate::nn::{KernelSource, StepMonitor};
use crate::optim::Optimizer;
use crate::process_memory::peak_mib;
use crate::run_folder::RunFolder;
use crate::signatures::plateau::EpochPoint;
use crate::signatures::{EpochView, MemoryDemand, MemoryEstimate, Signature};
use steps::StartedStep;

/// Positions at which the shadow gap is estimated: its relative error is below 1 %.
const GAP_POSITIONS: usize = 1 << 14;

/// What may end a run before its last epoch.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Stop after this many steps in all.
    pub max_steps: Option<usize>,
    /// Stop before the next step once this is set.
    pub interrupted: &'a AtomicBool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs are done, or the limit of steps was reached.
    Done(Box<Summary>),
    /// It was interrupted, and its checkpoint written.
    Interrupted {
        /// Steps done.
        step: usize,
    },
}

/// A network in training, with everything that belongs to the run.
pub struct Trainer<D: Device> {
    config: TrainConfig,
    dataset: Arc<Dataset>,
    normalization: Normalization,
    training: Loader,
    memory: MemoryEstimate,
    network: Network<D>,
    optimizer: Optimizer<D>,
    average: Option<WeightAverage<D>>,
    monitor: StepMonitor<D>,
    /// The steps that the monitor has.
    started: Vec<StartedStep>,
    folder: RunFolder,
    metrics: MetricsWriter,
    history: History,
    progress: RunState,
}

impl<D: Device> Trainer<D> {
    /// Begins a run in `folder`: initialises the network and writes `config.toml`.
    ///
    /// # Errors
    /// A network that does not fit the images, [`TrainError::Memory`] for one that does not fit the memory, an empty
    /// training part, files that cannot be written.
    pub fn try_new(device: D, config: TrainConfig, dataset: Arc<Dataset>, folder: RunFolder) -> Result<Self> {
        Self::assemble(device, config, dataset, folder, None)
    }

    /// Goes on with the run in `folder` where its checkpoint was made.
    ///
    /// # Errors
    /// [`TrainError::ConfigChanged`] if anything but `train.epochs`, `train.threads`, `train.memory_limit_mib` or the
    /// place of the data differs, [`TrainError::DataChanged`], and whatever is wrong with the folder's files.
    pub fn resume(device: D, config: TrainConfig, dataset: Arc<Dataset>, folder: RunFolder) -> Result<Self> {
        let path = folder.checkpoint();
        let file = TensorFile::read(&path)?;
        let metadata = Metadata::read(&file)?;
        let differences = metadata.config.differences(&config)?;
        if !differences.is_empty() {
            return Err(TrainError::ConfigChanged { path, differences });
        }
        let split = split_sizes(&dataset);
        let data_changed = |what, old: String, new: String| {
            Err(TrainError::DataChanged { path: path.clone(), what, old, new })
        };
        if metadata.class_names != dataset.class_names() {
            let [old, new] = [&metadata.class_names[..], dataset.class_names()].map(|names| names.join(", "));
            return data_changed("the list of classes", old, new);
        }
        if metadata.split != split {
            return data_changed(
                "the number of images",
                format!("{:?}", metadata.split),
                format!("{split:?}"),
            );
        }
        Self::assemble(device, config, dataset, folder, Some((file, metadata)))
    }

    /// Builds everything that belongs to the run, as it was at `checkpoint` or from the start.
    fn assemble(
        device: D,
        config: TrainConfig,
        dataset: Arc<Dataset>,
        folder: RunFolder,
        checkpoint: Option<(TensorFile, Metadata)>,
    ) -> Result<Self> {
        let normalization = match &checkpoint {
            None => Normalization::from_config(&config.data, &dataset)?,
            Some((_, metadata)) => metadata.normalization,
        };
        let (mut network, memory) = build(device, &config, &dataset)?;
        match &checkpoint {
            None => network.initialize(config.seed)?,
            Some(_) => network.set_run_seed(config.seed),
        }
        let mut optimizer = Optimizer::try_new(&network, &config.optimizer)?;
        let mut average =
            config.average.as_ref().map(|average| WeightAverage::try_new(&network, average)).transpose()?;
        let monitor = StepMonitor::try_new(network.device(), D::STEPS_IN_FLIGHT)?;
        let (augment, batch) = (config.augment.clone(), config.train.batch_size);
        let training = Loader::training(Arc::clone(&dataset), batch, normalization, augment, config.seed)?;
        let (metrics, history, progress) = match checkpoint {
            None => (MetricsWriter::create(&folder.metrics())?, History::default(), RunState::default()),
            Some((file, metadata)) => {
                load_training(file, &metadata, &mut network, &mut optimizer, average.as_mut())?;
                let progress = metadata.progress.unwrap_or_default();
                network.set_step((progress.step as u64).saturating_sub(1));
                let (metrics, history) = MetricsWriter::resume(&folder.metrics(), progress.metrics_lines)?;
                (metrics, history, progress)
            }
        };
        folder.write_config(&config.to_toml()?)?;
        Ok(Self {
            config,
            dataset,
            normalization,
            training,
            memory,
            network,
            optimizer,
            average,
            monitor,
            started: Vec::new(),
            folder,
            metrics,
            history,
            progress,
        })
    }

    /// Trains to the end of the configured epochs or to a limit, then tests and writes the summary.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] if a loss or gradient is not a number after three steps have already been undone;
    /// the last checkpoint is kept. Files that cannot be written.
    pub fn run(mut self, limits: &Limits<'_>, observer: &mut dyn Observer) -> Result<Outcome> {
        let steps_per_epoch = self.training.batches_per_epoch();
        let start = self.start_event(steps_per_epoch);
        let mut fresh = false;
        if self.progress.step == 0 && self.metrics.lines() == 0 {
            self.metrics.write(&Event::Start(start.clone()))?;
            fresh = true;
        }
        observer.started(&start, self.progress.step);
        if let Some(warning) = self.memory_warning().filter(|_| fresh) {
            self.progress.watch.record(warning.clone());
            self.report(&warning, observer)?;
        }
        let mut clock = Clock::resumed(&self.history);
        let every = self.config.train.checkpoint_every;
        while self.progress.epoch < self.config.train.epochs {
            let mut batches = self.training.epoch(self.progress.epoch as u64, self.progress.batch);
            let mut begun = Instant::now();
            while self.progress.batch + self.started.len() < steps_per_epoch {
                let step = self.progress.step + self.started.len();
                let interrupted = limits.interrupted.load(Ordering::Relaxed);
                if interrupted || limits.max_steps.is_some_and(|limit| step >= limit) {
                    self.sync(begun, observer, &|batch| batches.recycle(batch))?;
                    self.save()?;
                    if interrupted {
                        return Ok(Outcome::Interrupted { step: self.progress.step });
                    }
                    return self.finish(&clock, observer);
                }
                if self.started.is_empty() {
                    begun = Instant::now();
                }
                let Some(batch) = batches.next() else { break };
                self.start_step(batch)?;
                let due = every > 0 && (step + 1).is_multiple_of(every);
                if due || self.monitor.is_full() {
                    self.sync(begun, observer, &|batch| batches.recycle(batch))?;
                }
                if due {
                    self.save()?;
                }
            }
            self.sync(begun, observer, &|batch| batches.recycle(batch))?;
            drop(batches);
            let (event, signatures) = self.end_epoch(&mut clock, steps_per_epoch)?;
            observer.epoch(&event);
            for signature in &signatures {
                self.report(signature, observer)?;
            }
            self.save()?;
        }
        self.finish(&clock, observer)
    }

    /// Writes a signature to the metrics and tells the observer.
    fn report(&mut self, signature: &Signature, observer: &mut dyn Observer) -> Result<()> {
        self.metrics.write(&Event::Signature(signature.clone()))?;
        observer.signature(signature);
        Ok(())
    }

    /// What the estimate says against the configured limit; the system's own limit differs from start to start and is
    /// no part of the run.
    fn memory_warning(&self) -> Option<Signature> {
        let limit = self.config.train.memory_limit_mib.saturating_mul(1 << 20);
        (limit > 0).then(|| self.memory.warning(limit)).flatten()
    }

    /// Evaluates, keeps the best model, and turns to the next epoch.
    fn end_epoch(
        &mut self,
        clock: &mut Clock,
        steps_per_epoch: usize,
    ) -> Result<(EpochEvent, Vec<Signature>)> {
        let epoch = self.progress.epoch;
        let last = epoch + 1 >= self.config.train.epochs;
        let due = last || (epoch + 1).is_multiple_of(self.config.train.evaluate_every);
        let (mut validation, mut validation_averaged) = (None, None);
        if due && !self.dataset.indices(Split::Validation).is_empty() {
            validation = Some(self.evaluate_trained(Split::Validation)?);
            validation_averaged = self.evaluate_average(Split::Validation)?;
        }
        let kernels = self.network.kernel_diagnostics(GAP_POSITIONS, steps_per_epoch)?;
        let train = self.progress.totals.score();
        let score = validation_averaged.or(validation);
        self.progress.train = Some(train);
        self.progress.validation = score;
        let better = |score: Score, best: Best| {
            let (old, new) = (best.score, score);
            new.accuracy > old.accuracy || (new.accuracy == old.accuracy && new.loss < old.loss)
        };
        if let Some(score) = score.filter(|&score| self.progress.best.is_none_or(|best| better(score, best)))
        {
            self.progress.best = Some(Best { epoch, score });
            self.save_model(Some(score))?;
        } else if self.dataset.indices(Split::Validation).is_empty() {
            self.save_model(None)?;
        }
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.totals = EpochTotals::default();
        let (seconds, elapsed_seconds) = clock.lap();
        self.history.epoch_seconds.push(seconds);
        let event = EpochEvent {
            epoch,
            step: self.progress.step,
            train,
            validation,
            validation_averaged,
            kernels: kernels
                .into_iter()
                .map(|kernel| KernelHealth {
                    layer: kernel.layer,
                    shadow_gap: kernel.shadow_gap,
                    coverage: kernel.coverage,
                    positions_per_step: kernel.positions_per_step,
                    num_positions: kernel.num_positions,
                    nyquist_energy: kernel.ringing.nyquist_energy,
                    overshoot: kernel.ringing.overshoot,
                    ringing: kernel.ringing.ringing,
                })
                .collect(),
            seconds,
            elapsed_seconds,
        };
        self.metrics.write(&Event::Epoch(event.clone()))?;
        let middle = (epoch * steps_per_epoch + steps_per_epoch / 2) as u64;
        let total = (self.config.train.epochs * steps_per_epoch) as u64;
        let factor = self.config.schedule.factor(middle, total);
        let point = EpochPoint { loss: train.loss, accuracy: train.accuracy, factor };
        let view = EpochView {
            step: self.progress.step,
            epoch,
            planned_epochs: self.config.train.epochs,
            classes: self.dataset.class_names().len(),
            validation: score,
            kernels: &event.kernels,
        };
        let signatures = self.progress.watch.end_epoch(&view, point);
        Ok((event, signatures))
    }

    fn evaluate_trained(&mut self, split: Split) -> Result<Score> {
        self.network.begin_evaluation(KernelSource::Configured)?;
        let loader = self.evaluation_loader(split)?;
        Ok(evaluate(&mut self.network, &loader)?.score)
    }

    /// Evaluates the averaged weights, if there are any.
    fn evaluate_average(&mut self, split: Split) -> Result<Option<Score>> {
        let loader = self.evaluation_loader(split)?;
        let Some(average) = &mut self.average else { return Ok(None) };
        average.swap(&mut self.network);
        let begun = self.network.begin_evaluation(KernelSource::Dense);
        let outcome = begun.map_err(TrainError::from).and_then(|()| evaluate(&mut self.network, &loader));
        average.swap(&mut self.network);
        Ok(Some(outcome?.score))
    }

    fn evaluation_loader(&self, split: Split) -> Result<Loader> {
        let batch = self.config.train.evaluation_batch();
        Ok(Loader::evaluation(Arc::clone(&self.dataset), split, batch, self.normalization)?)
    }

    fn metadata(&self, kind: Kind, validation: Option<Score>) -> Metadata {
        let mut config = self.config.clone();
        // Neither changes what is computed.
        config.train.threads = 0;
        config.train.memory_limit_mib = 0;
        Metadata {
            version: VERSION,
            kind,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            class_names: self.dataset.class_names().to_vec(),
            normalization: self.normalization,
            split: split_sizes(&self.dataset),
            parameters: self.network.num_parameters(),
            averaged: kind == Kind::Model && self.average.is_some(),
            step: self.progress.step,
            validation,
            progress: None,
        }
    }

    fn save_model(&mut self, validation: Option<Score>) -> Result<()> {
        let metadata = self.metadata(Kind::Model, validation);
        Ok(save_model(&self.folder.best(), &metadata, &mut self.network, self.average.as_mut())?)
    }

    /// Writes the checkpoint; the metrics up to here are on the disc before.
    fn save(&mut self) -> Result<()> {
        debug_assert!(self.started.is_empty(), "the outcome of a step is not known");
        self.progress.metrics_lines = self.metrics.lines();
        self.metrics.sync()?;
        let mut metadata = self.metadata(Kind::Training, self.progress.validation);
        metadata.progress = Some(self.progress.clone());
        let path = self.folder.checkpoint();
        Ok(save_training(&path, &metadata, &self.network, &self.optimizer, self.average.as_ref())?)
    }

    /// Tests the chosen weights and writes the summary.
    fn finish(mut self, clock: &Clock, observer: &mut dyn Observer) -> Result<Outcome> {
        let best = self.progress.best.filter(|_| self.config.train.select == Select::Best);
        let at_epoch_end = self.progress.batch == 0 && self.progress.epoch > 0;
        let mut validation = self.progress.validation.filter(|_| at_epoch_end);
        let report = self.dataset.report_split();
        let reported = report != Split::All;
        let test = if let Some(best) = best {
            validation = Some(best.score);
            let path = self.folder.best();
            let file = TensorFile::read(&path)?;
            let metadata = Metadata::read(&file)?;
            install_model(&mut self.network, &metadata, file)?;
            let loader = self.evaluation_loader(report)?;
            reported.then(|| evaluate(&mut self.network, &loader)).transpose()?.map(|done| done.score)
        } else {
            if validation.is_none() && !self.dataset.indices(Split::Validation).is_empty() {
                validation = Some(self.evaluate_last(Split::Validation)?);
            }
            reported.then(|| self.evaluate_last(report)).transpose()?
        };
        let end = EndEvent {
            step: self.progress.step,
            complete: self.progress.epoch >= self.config.train.epochs,
            test,
            elapsed_seconds: clock.elapsed(),
        };
        self.metrics.write(&Event::End(end.clone()))?;
        self.metrics.sync()?;
        let summary = Summary {
            model: self.config.name.clone(),
            parameters: self.network.num_parameters(),
            epochs: self.progress.epoch,
            steps: self.progress.step,
            complete: end.complete,
            seed: self.config.seed,
            select: self.config.train.select,
            best_epoch: best.map(|best| best.epoch),
            train_accuracy: self.progress.train.map(|score| score.accuracy),
            validation_accuracy: validation.map(|score| score.accuracy),
            test_accuracy: test.map(|score| score.accuracy),
            test_loss: test.map(|score| score.loss),
            test_images: test.map_or(0, |score| score.images),
            test_split: report,
            step_ms: median(&self.history.step_ms).unwrap_or_default(),
            epoch_seconds: median(&self.history.epoch_seconds),
            total_seconds: end.elapsed_seconds,
            peak_mib: peak_mib(),
            split: split_sizes(&self.dataset),
            data: self.dataset.origin().to_owned(),
            skipped: self.dataset.skip_summary().total(),
            threads: rayon::current_num_threads(),
            signatures: self.progress.watch.signatures().to_vec(),
            config: self.config.clone(),
        };
        self.folder.write_summary(&summary)?;
        observer.ended(&end);
        Ok(Outcome::Done(Box::new(summary)))
    }

    /// Evaluates the weights after the last step: the average, if there is one.
    fn evaluate_last(&mut self, split: Split) -> Result<Score> {
        match self.evaluate_average(split)? {
            Some(score) => Ok(score),
            None => self.evaluate_trained(split),
        }
    }

    fn start_event(&self, steps_per_epoch: usize) -> StartEvent {
        StartEvent {
            model: self.config.name.clone(),
            parameters: self.network.num_parameters(),
            seed: self.config.seed,
            epochs: self.config.train.epochs,
            steps_per_epoch,
            split: split_sizes(&self.dataset),
            data: self.dataset.origin().to_owned(),
            skipped: self.dataset.skip_summary().total(),
            memory: self.memory,
        }
    }
}

/// Estimates what the run needs, refuses what does not fit, and only then allocates the network.
fn build<D: Device>(
    device: D,
    config: &TrainConfig,
    dataset: &Dataset,
) -> Result<(Network<D>, MemoryEstimate)> {
    let image_bytes = dataset.images().len();
    let demand = MemoryDemand { classes: dataset.num_classes(), images: dataset.len() };
    let memory = MemoryEstimate::of(&device, config, &demand)?;
    let limit = match config.train.memory_limit_mib {
        0 if D::OWN_MEMORY => device.available_bytes(),
        // The images have their memory already.
        0 => device.available_bytes().map(|available| available.saturating_add(image_bytes)),
        mib => Some(mib.saturating_mul(1 << 20)),
    };
    if let Some(limit) = limit
        && let Some(refusal) = memory.check(limit, &device, config, &demand)?
    {
        return Err(TrainError::Memory(Box::new(refusal)));
    }
    let size = dataset.size();
    let input = InputShape { channels: CHANNELS, height: size, width: size };
    let batch = config.train.batch_size.max(config.train.evaluation_batch());
    let mut network = Network::try_new(device, &config.network, input, dataset.num_classes(), batch)?;
    network.enable_rollback()?;
    Ok((network, memory))
}

fn split_sizes(dataset: &Dataset) -> SplitSizes {
    let count = |split| dataset.indices(split).len();
    SplitSizes { train: count(Split::Train), validation: count(Split::Validation), test: count(Split::Test) }
}

mod steps;
#[cfg(test)]
mod tests;
