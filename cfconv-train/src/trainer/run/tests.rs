//! Runs from inside: memory against its estimate, undone steps.

use super::*;
use crate::data::{Batch, load_dataset};
use crate::device::Cpu;
use crate::metrics::StepEvent;
use crate::networks::NamedTensor;
use crate::signatures::not_finite::MAX_UNDONE;

const CONFIG: &str = "
    [data]
    size = 9
    embedded_images = 120
    [average]
    decay = 0.9
    [train]
    epochs = 2
    batch_size = 17
    evaluation_batch_size = 33
    [network]
    ema_alpha = 0.5
    kernel = { hidden_width = 8 }
    sampler = { kind = 'uniform', num_positions = 100 }
    [[network.layers]]
    type = 'cf-conv'
    out_channels = 5
    [[network.layers]]
    type = 'batch-norm'
    [[network.layers]]
    type = 'conv'
    out_channels = 4
    [[network.layers]]
    type = 'max-pool'
    [[network.layers]]
    type = 'cf-conv'
    out_channels = 20
    sampler = { kind = 'lattice', size = 3 }
    [[network.layers]]
    type = 'depthwise-cf-conv'
    sampler = { kind = 'all' }
    [[network.layers]]
    type = 'self-attention'
    heads = 4
    [[network.layers]]
    type = 'to-spectrum'
    [[network.layers]]
    type = 'cf-mix'
    out_channels = 8
    [[network.layers]]
    type = 'to-image'
    [[network.layers]]
    type = 'global-avg-pool'
    [[network.layers]]
    type = 'linear'
";

fn trainer<D: Device + Default>(folder: &std::path::Path) -> Trainer<D> {
    let config: TrainConfig = toml::from_str(CONFIG).unwrap();
    let dataset = Arc::new(load_dataset(&config.data, &|_, _| {}).unwrap());
    let folder = RunFolder::create(&folder.join("run")).unwrap();
    Trainer::try_new(D::default(), config, dataset, folder).unwrap()
}

/// What the trainer holds in training, but for batches of images and the copy that a checkpoint is written from.
fn held_bytes(trainer: &Trainer<Cpu>) -> usize {
    let average =
        trainer.average.as_ref().map_or(0, |average| average.memory_bytes(trainer.network.device()));
    trainer.network.memory_bytes()
        + trainer.optimizer.memory_bytes()
        + average
        + trainer.dataset.images().len()
}

#[test]
fn buffers_are_what_was_estimated_within_a_tenth() {
    let temporary = tempfile::tempdir().unwrap();
    // On one thread every buffer of a task is in use.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    threads.install(|| {
        let mut trainer = trainer::<Cpu>(temporary.path());
        for batch in trainer.training.epoch(0, 0) {
            assert_eq!(step(&mut trainer, &batch).unwrap(), None);
        }
        trainer.evaluate_trained(Split::Train).unwrap();
        trainer.evaluate_average(Split::Train).unwrap();
        let estimate = trainer.memory;
        let in_flight = 4 * 33 * CHANNELS * 9 * 9 * size_of::<f32>();
        let expected = estimate.total() - estimate.checkpoint - in_flight;
        let held = held_bytes(&trainer);
        assert!(
            held <= expected && held as f64 > 0.9 * expected as f64,
            "{held} of {expected}: {estimate:?}"
        );
    });
}

/// Starts a step and waits for it; gives the signature if it was undone.
fn step<D: Device>(trainer: &mut Trainer<D>, batch: &Batch) -> Result<Option<Signature>> {
    let mut seen = Seen::default();
    trainer.start_step(batch.clone())?;
    trainer.sync(Instant::now(), &mut seen, &|_| {})?;
    Ok(seen.signatures.pop())
}

/// Keeps what it is told, but for times.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    steps: Vec<StepEvent>,
    signatures: Vec<Signature>,
}

impl Observer for Seen {
    fn started(&mut self, _: &StartEvent, _: usize) {}

    fn step(&mut self, step: &StepEvent) {
        self.steps.push(StepEvent { step_ms: 0.0, ..step.clone() });
    }

    fn epoch(&mut self, _: &EpochEvent) {}

    fn signature(&mut self, signature: &Signature) {
        self.signatures.push(signature.clone());
    }

    fn ended(&mut self, _: &EndEvent) {}
}

/// Everything that a step may change.
fn state<D: Device>(trainer: &Trainer<D>) -> Vec<NamedTensor> {
    let average = trainer.average.as_ref().unwrap();
    [
        trainer.network.export_parameters().unwrap(),
        trainer.network.export_states().unwrap(),
        trainer.optimizer.export(&trainer.network).unwrap(),
        average.export(&trainer.network).unwrap(),
    ]
    .concat()
}

#[test]
fn undone_step_leaves_nothing_behind_but_its_number() {
    let temporary = tempfile::tempdir().unwrap();
    let mut trainer = trainer::<Cpu>(temporary.path());
    let mut batches: Vec<Batch> = trainer.training.epoch(0, 0).collect();
    step(&mut trainer, &batches[0]).unwrap();
    let before = state(&trainer);
    batches[1].images[7] = f32::NAN;
    for undone in 1..=MAX_UNDONE {
        let rate = trainer.learning_rate(1);
        let signature = step(&mut trainer, &batches[1]).unwrap().expect("the loss of a batch with NaN");
        assert_eq!(signature.evidence["undone_steps"], f64::from(undone));
        assert_eq!(trainer.learning_rate(1), 0.5 * rate);
        assert_eq!(trainer.progress.step, 1 + undone as usize);
        assert!(state(&trainer) == before, "step {undone} was not undone");
    }
    let stopped = step(&mut trainer, &batches[1]);
    assert!(matches!(stopped, Err(TrainError::NotFinite { undone: MAX_UNDONE, .. })));
    assert!(state(&trainer) == before);
    step(&mut trainer, &batches[2]).unwrap();
    assert!(state(&trainer) != before, "a step that goes on changes the network");
}

/// Steps on their way together, some of which fail, do what they do one after another, bit for bit.
fn groups_of_steps_equal_single_ones<D: Device + Default>(capacities: &[usize]) {
    let run = |capacity: usize| {
        let temporary = tempfile::tempdir().unwrap();
        let mut trainer = trainer::<D>(temporary.path());
        trainer.monitor = StepMonitor::try_new(trainer.network.device(), capacity).unwrap();
        let mut batches: Vec<Batch> = trainer.training.epoch(0, 0).collect();
        batches.extend(trainer.training.epoch(1, 0));
        for failing in [1, 3, 4] {
            batches[failing].images[7] = f32::NAN;
        }
        let mut seen = Seen::default();
        let given_back = std::cell::RefCell::new(Vec::new());
        let recycle = |batch: Batch| given_back.borrow_mut().push(batch.indices);
        for batch in &batches {
            trainer.start_step(batch.clone()).unwrap();
            if trainer.monitor.is_full() {
                trainer.sync(Instant::now(), &mut seen, &recycle).unwrap();
            }
        }
        trainer.sync(Instant::now(), &mut seen, &recycle).unwrap();
        let order: Vec<_> = batches.iter().map(|batch| batch.indices.clone()).collect();
        assert_eq!(given_back.into_inner(), order);
        assert_eq!(trainer.progress.undone_steps, 3);
        (state(&trainer), seen, trainer.progress)
    };
    let single = run(1);
    assert_eq!(single.1.signatures.len(), 3);
    for &capacity in capacities {
        let group = run(capacity);
        assert_eq!(group.1, single.1);
        assert_eq!(group.2, single.2);
        assert!(group.0 == single.0, "states after groups of {capacity} steps");
    }
}

#[test]
fn groups_of_steps_equal_single_ones_on_the_cpu() {
    groups_of_steps_equal_single_ones::<Cpu>(&[3, 8]);
}

#[cfg(all(feature = "cuda-emulation", cuda_emulator))]
#[test]
fn groups_of_steps_equal_single_ones_on_the_emulated_device() {
    groups_of_steps_equal_single_ones::<crate::device::cuda::EmulatedCuda>(&[4]);
}

/// Trains for some steps in each device's turn, through the checkpoint's file; the losses of all steps.
#[cfg(all(feature = "cuda-emulation", cuda_emulator))]
fn losses_of_turns(turns: &[(bool, usize)]) -> Vec<f64> {
    use crate::device::cuda::EmulatedCuda;

    fn go_on<D: Device + Default>(folder: &std::path::Path, fresh: bool, max_steps: usize) -> Vec<f64> {
        let config: TrainConfig = toml::from_str(CONFIG).unwrap();
        let trainer = if fresh {
            trainer::<D>(folder)
        } else {
            let dataset = Arc::new(load_dataset(&config.data, &|_, _| {}).unwrap());
            let run = RunFolder::resume(&folder.join("run")).unwrap();
            Trainer::resume(D::default(), config, dataset, run).unwrap()
        };
        let limits = Limits { max_steps: Some(max_steps), interrupted: &AtomicBool::new(false) };
        let mut seen = Seen::default();
        let outcome = trainer.run(&limits, &mut seen).unwrap();
        assert!(matches!(outcome, Outcome::Done(summary) if summary.steps == max_steps));
        seen.steps.iter().map(|step| step.loss).collect()
    }

    let temporary = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    for (turn, &(on_emulated_device, end)) in turns.iter().enumerate() {
        let go_on = if on_emulated_device { go_on::<EmulatedCuda> } else { go_on::<Cpu> };
        losses.extend(go_on(temporary.path(), turn == 0, end));
    }
    losses
}

/// Of the first loss, as for a training on one device: sums in another order part the curves slowly.
#[cfg(all(feature = "cuda-emulation", cuda_emulator))]
#[test]
fn a_checkpoint_moves_between_devices_and_back() {
    let expected = losses_of_turns(&[(false, 8)]);
    assert!(expected[7] < expected[0], "{expected:?}");
    for turns in [[(true, 3), (false, 6), (true, 8)], [(false, 3), (true, 6), (false, 8)]] {
        let losses = losses_of_turns(&turns);
        assert_eq!(losses.len(), 8);
        for (step, (loss, expected_loss)) in losses.iter().zip(&expected).enumerate() {
            let error = (loss - expected_loss).abs();
            assert!(error < 2e-3 * expected[0], "{turns:?}: step {step}: {loss} ≠ {expected_loss}");
        }
    }
}
