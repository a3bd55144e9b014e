//! Runs from inside: memory against its estimate, undone steps.

use super::*;
use crate::data::load_dataset;
use crate::device::Cpu;

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

fn trainer(folder: &std::path::Path) -> Trainer<Cpu> {
    let config: TrainConfig = toml::from_str(CONFIG).unwrap();
    let dataset = Arc::new(load_dataset(&config.data, &|_, _| {}).unwrap());
    let folder = RunFolder::create(&folder.join("run")).unwrap();
    Trainer::try_new(Cpu::default(), config, dataset, folder).unwrap()
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
        let mut trainer = trainer(temporary.path());
        let steps = trainer.training.batches_per_epoch();
        for batch in &mut trainer.training.epoch(0, 0) {
            assert!(matches!(trainer.step(&batch, steps).unwrap(), Stepped::Done(_)));
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

#[test]
fn undone_step_leaves_nothing_behind_but_its_number() {
    let temporary = tempfile::tempdir().unwrap();
    let mut trainer = trainer(temporary.path());
    let steps = trainer.training.batches_per_epoch();
    let mut batches: Vec<Batch> = trainer.training.epoch(0, 0).collect();
    trainer.step(&batches[0], steps).unwrap();
    let state = |trainer: &Trainer<Cpu>| {
        (trainer.network.export_parameters().unwrap(), trainer.network.export_states().unwrap())
    };
    let before = state(&trainer);
    batches[1].images[7] = f32::NAN;
    for undone in 1..=MAX_UNDONE {
        let rate = trainer.learning_rate(1, steps);
        let Stepped::Undone(signature) = trainer.step(&batches[1], steps).unwrap() else {
            panic!("the loss of a batch with NaN was finite");
        };
        assert_eq!(signature.evidence["undone_steps"], f64::from(undone));
        assert_eq!(trainer.learning_rate(1, steps), 0.5 * rate);
        assert_eq!(trainer.progress.step, 1 + undone as usize);
        assert!(state(&trainer) == before, "step {undone} was not undone");
    }
    let stopped = trainer.step(&batches[1], steps);
    assert!(matches!(stopped, Err(TrainError::NotFinite { undone: MAX_UNDONE, .. })));
    assert!(state(&trainer) == before);
    trainer.step(&batches[2], steps).unwrap();
    assert!(state(&trainer) != before, "a step that goes on changes the network");
}
