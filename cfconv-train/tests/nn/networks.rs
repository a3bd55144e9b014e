//! Whole networks: gradients, threads, states, memory, messages.

use crate::support::training::{continue_training, labels};
use crate::support::{assert_close, host, noise, upload};
use cfconv_train::averaging::{AverageConfig, WeightAverage};
use cfconv_train::device::{Cpu, Device, Memory};
use cfconv_train::networks::{InputShape, Network, NetworkConfig, NetworkError, NetworkPlan, Shape};
use cfconv_train::nn::{KernelSource, StepMonitor};
use cfconv_train::optim::{OptimError, Optimizer, OptimizerConfig, OptimizerKind};

/// Every type of layer that works on images, on images whose sides are odd and unequal after pooling.
pub(crate) const EVERYTHING: &str = "
    padding = 'zeros'
    [kernel]
    hidden_width = 8
    hidden_layers = 1
    [sampler]
    kind = 'lattice'
    size = 3
    [[layers]]
    type = 'conv'
    out_channels = 4
    [[layers]]
    type = 'batch-norm'
    [[layers]]
    type = 'activation'
    kind = 'gelu'
    [[layers]]
    type = 'avg-pool'
    [[layers]]
    type = 'residual'
    shortcut = [{ type = 'conv', out_channels = 5, kernel_size = 1, padding = 'circular', bias = false }]
    [[layers.layers]]
    type = 'cf-conv'
    out_channels = 5
    [[layers.layers]]
    type = 'activation'
    kind = 'silu'
    [[layers]]
    type = 'residual'
    [[layers.layers]]
    type = 'conv'
    out_channels = 5
    padding = 'circular'
    [[layers.layers]]
    type = 'batch-norm'
    [[layers]]
    type = 'spectral-pool'
    size = 4
    [[layers]]
    type = 'cf-conv'
    out_channels = 6
    padding = 'circular'
    bias = false
    sampler = { kind = 'all' }
    [[layers]]
    type = 'max-pool'
    size = 3
    stride = 1
    [[layers]]
    type = 'flatten'
    [[layers]]
    type = 'linear'
    out_features = 7
    [[layers]]
    type = 'activation'
    kind = 'tanh'
    [[layers]]
    type = 'dropout'
    rate = 0.2
    [[layers]]
    type = 'linear'";

/// Every type of layer that works on half spectra, on images whose sides are odd and unequal.
pub(crate) const SPECTRUM: &str = "
    ema_alpha = 0.5
    [kernel]
    hidden_width = 8
    [sampler]
    kind = 'uniform'
    num_positions = 100
    [[layers]]
    type = 'to-spectrum'
    [[layers]]
    type = 'cf-mix'
    out_channels = 4
    [[layers]]
    type = 'complex-batch-norm'
    statistics = 'radial'
    [[layers]]
    type = 'complex-activation'
    kind = 'phase-gate'
    initial_bias = 0.1
    [[layers]]
    type = 'residual'
    [[layers.layers]]
    type = 'cf-mix'
    out_channels = 4
    gain = 0.5
    sampler = { kind = 'lattice', size = 3 }
    [[layers.layers]]
    type = 'complex-activation'
    kind = 'modrelu'
    initial_bias = 0.2
    [[layers]]
    type = 'spectral-crop'
    size = 6
    [[layers]]
    type = 'cf-mix'
    out_channels = 5
    bias = false
    sampler = { kind = 'all' }
    [[layers]]
    type = 'complex-batch-norm'
    [[layers]]
    type = 'complex-activation'
    kind = 'cardioid'
    [[layers]]
    type = 'to-image'
    [[layers]]
    type = 'activation'
    kind = 'gelu'
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'linear'";

pub(crate) const INPUT: InputShape = InputShape { channels: 2, height: 11, width: 9 };

fn config(text: &str) -> NetworkConfig {
    toml::from_str(text).unwrap()
}

fn everything(max_batch: usize) -> Network<Cpu> {
    let mut network = Network::try_new(Cpu::default(), &config(EVERYTHING), INPUT, 3, max_batch).unwrap();
    network.initialize(11).unwrap();
    network
}

fn images(batch: usize, seed: u64) -> Vec<f32> {
    noise(seed, 2 * 11 * 9 * batch).iter().map(|x| 3.0 * x).collect()
}

/// The mean loss of step 3 with these parameters, states refreshed from them.
fn loss_with<D: Device>(network: &mut Network<D>, params: &[f32], images: &[f32], labels: &[u32]) -> f64 {
    let buffer = upload(network.device(), params);
    *network.params_and_grads().0 = buffer;
    network.begin_step(3).unwrap();
    network.forward(labels.len(), images).unwrap();
    network.loss(labels, 0.1).unwrap().mean()
}

#[test]
fn gradient_of_every_layer_matches_finite_differences() {
    // Smooth throughout, so that long steps, in which rounding counts little, are exact to 0.3 %. Max pooling has
    // kinks wherever two pixels change places: short steps, and a tolerance for the kinks met on the way.
    let smooth = EVERYTHING.replace("max-pool", "avg-pool");
    check_gradient(&smooth, 1e-3, 3e-3);
    check_gradient(EVERYTHING, 2.5e-4, 2e-2);
    // With α = 1 a step that is repeated finds the same kernel. Complex functions are smooth, but strongly curved
    // where a bin's modulus is small.
    let smooth = SPECTRUM.replace("ema_alpha = 0.5", "ema_alpha = 1.0");
    check_gradient(&smooth, 2.5e-4, 1e-2);
    // Without zReLU, which is not continuous: differences across its jumps mean nothing.
    let kinked = smooth.replace("'cardioid'", "'crelu'");
    assert_ne!(kinked, smooth);
    check_gradient(&kinked, 1e-4, 2e-2);
}

/// Tests the gradient of each segment along random directions, which weigh all of its parameters: in single
/// precision a difference along a single one would drown in rounding.
fn check_gradient(text: &str, relative_step: f64, relative_tolerance: f64) {
    let norm = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let batch = 5;
    let mut network = Network::try_new(Cpu::default(), &config(text), INPUT, 3, 8).unwrap();
    network.initialize(11).unwrap();
    let (images, labels) = (images(batch, 1), labels(batch));
    let params = host(network.device(), network.params());
    loss_with(&mut network, &params, &images, &labels);
    network.backward().unwrap();
    let grads = host(network.device(), network.grads());
    for segment in network.segments().to_vec() {
        let range = segment.range.clone();
        for seed in 0..2 {
            let direction = noise(20 + seed, range.len());
            let length = norm(&direction);
            let step = relative_step * norm(&params[range.clone()]).max(0.3) / length;
            let mut moved = |amount: f64| {
                let mut params = params.clone();
                for (param, direction) in params[range.clone()].iter_mut().zip(&direction) {
                    *param += (amount * f64::from(*direction)) as f32;
                }
                loss_with(&mut network, &params, &images, &labels)
            };
            // Four points: the error of the formula is of fourth order.
            let near = moved(step) - moved(-step);
            let far = moved(2.0 * step) - moved(-2.0 * step);
            let numeric = (8.0 * near - far) / (12.0 * step);
            let analytic: f64 =
                grads[range.clone()].iter().zip(&direction).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
            // The loss is about 1: its rounding error, over the step, and the share allowed to the formula.
            let tolerance = 4.0 * f64::from(f32::EPSILON) / step
                + relative_tolerance * norm(&grads[range.clone()]) * length;
            assert!(
                (numeric - analytic).abs() < tolerance,
                "{}: {numeric} ≠ {analytic} (tolerance {tolerance})",
                segment.name
            );
        }
    }
}

const SPARSE: &str = "
    [kernel]
    hidden_width = 8
    [sampler]
    kind = 'uniform'
    num_positions = 60
    [[layers]]
    type = 'cf-conv'
    out_channels = 4
    ema_alpha = 0.5
    [[layers]]
    type = 'batch-norm'
    [[layers]]
    type = 'activation'
    [[layers]]
    type = 'max-pool'
    [[layers]]
    type = 'cf-conv'
    out_channels = 5
    padding = 'zeros'
    [[layers]]
    type = 'activation'
    [[layers]]
    type = 'dropout'
    rate = 0.1
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'linear'";

fn sparse() -> Network<Cpu> {
    let mut network = Network::try_new(Cpu::default(), &config(SPARSE), INPUT, 3, 8).unwrap();
    network.initialize(5).unwrap();
    network
}

#[test]
fn training_is_bit_identical_on_one_and_two_threads() {
    let run = |threads: usize, text: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut network = Network::try_new(Cpu::default(), &config(text), INPUT, 3, 8).unwrap();
            network.initialize(5).unwrap();
            let clipped =
                OptimizerConfig { clip_norm: 0.5, weight_decay: 0.01, ..OptimizerConfig::default() };
            let mut optimizer = Optimizer::try_new(&network, &clipped).unwrap();
            continue_training(&mut network, 0..4, &mut optimizer)
        })
    };
    for text in [EVERYTHING, SPARSE, SPECTRUM] {
        let one = run(1, text);
        assert!(one.iter().all(|param| param.is_finite()));
        assert_eq!(one, run(2, text));
        assert_eq!(one, run(3, text));
    }
}

#[test]
fn a_run_resumed_from_tensors_equals_an_unbroken_one() {
    for (text, kind) in
        [(SPARSE, OptimizerKind::AdamW), (SPARSE, OptimizerKind::Sgd), (SPECTRUM, OptimizerKind::AdamW)]
    {
        let settings = OptimizerConfig { kind, ..OptimizerConfig::default() };
        let mut network = Network::try_new(Cpu::default(), &config(text), INPUT, 3, 8).unwrap();
        network.initialize(5).unwrap();
        let mut optimizer = Optimizer::try_new(&network, &settings).unwrap();
        let mut average = WeightAverage::try_new(&network, &AverageConfig::default()).unwrap();
        continue_training(&mut network, 0..3, &mut optimizer);
        average.update(&network, &StepMonitor::try_new(network.device(), 1).unwrap()).unwrap();
        let mut tensors = network.export_parameters().unwrap();
        tensors.extend(network.export_states().unwrap());
        tensors.extend(optimizer.export(&network).unwrap());
        tensors.extend(average.export(&network).unwrap());
        let names: std::collections::HashSet<_> = tensors.iter().map(|tensor| &tensor.name).collect();
        assert_eq!(names.len(), tensors.len());
        let unbroken = continue_training(&mut network, 3..6, &mut optimizer);

        let mut again = Network::try_new(Cpu::default(), &config(text), INPUT, 3, 8).unwrap();
        again.set_run_seed(5);
        again.import_parameters(&tensors).unwrap();
        again.import_states(&tensors).unwrap();
        let mut optimizer_again = Optimizer::try_new(&again, &settings).unwrap();
        optimizer_again.import(&again, &tensors).unwrap();
        let mut average_again = WeightAverage::try_new(&again, &AverageConfig::default()).unwrap();
        average_again.import(&again, &tensors).unwrap();
        assert_eq!(average_again.export(&again).unwrap(), average.export(&network).unwrap());
        assert_eq!(optimizer_again.steps(), 3);
        assert_eq!(continue_training(&mut again, 3..6, &mut optimizer_again), unbroken);
        assert_eq!(again.export_states().unwrap(), network.export_states().unwrap());
    }
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let mut network = sparse();
    let mut tensors = network.export_parameters().unwrap();
    let removed = tensors.remove(0);
    let error = network.import_parameters(&tensors).unwrap_err();
    assert_eq!(error, NetworkError::MissingTensor { name: removed.name.clone() });
    let mut misshapen = removed;
    misshapen.shape.push(1);
    let name = misshapen.name.clone();
    tensors.push(misshapen);
    let error = network.import_parameters(&tensors).unwrap_err();
    assert!(matches!(&error, NetworkError::TensorMismatch { name: found, .. } if *found == name), "{error}");
}

#[test]
fn a_small_batch_gives_what_it_gives_within_a_larger_network() {
    let (mut small, mut large) = (everything(3), everything(40));
    for network in [&mut small, &mut large] {
        network.begin_evaluation(KernelSource::Configured).unwrap();
        network.forward(3, &images(3, 2)).unwrap();
    }
    assert_eq!(small.logits().unwrap(), large.logits().unwrap());
    // Images do not see each other in evaluation.
    let three = large.logits().unwrap();
    let first: Vec<f32> = images(3, 2).iter().copied().step_by(3).collect();
    large.forward(1, &first).unwrap();
    let alone = large.logits().unwrap();
    let expected: Vec<f64> = three.iter().step_by(3).map(|&x| f64::from(x)).collect();
    assert_close(&alone, &expected, 1e-5);
    let probabilities = large.probabilities().unwrap();
    assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
}

#[test]
fn evaluation_changes_nothing_of_a_run() {
    let run = |evaluate: bool| {
        let mut network = sparse();
        let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
        continue_training(&mut network, 0..2, &mut optimizer);
        if evaluate {
            let mut average = WeightAverage::try_new(&network, &AverageConfig::default()).unwrap();
            network.begin_evaluation(KernelSource::Configured).unwrap();
            network.forward(7, &images(7, 9)).unwrap();
            network.loss(&labels(7), 0.0).unwrap();
            average.swap(&mut network);
            network.begin_evaluation(KernelSource::Dense).unwrap();
            network.forward(7, &images(7, 9)).unwrap();
            average.swap(&mut network);
            network.kernel_diagnostics(100, 2).unwrap();
        }
        continue_training(&mut network, 2..4, &mut optimizer)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn training_lowers_the_loss() {
    let mut network = everything(8);
    let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
    let (images, labels) = (images(8, 1), labels(8));
    let mut losses = Vec::new();
    for step in 0..60 {
        network.begin_step(step).unwrap();
        network.forward(8, &images).unwrap();
        losses.push(network.loss(&labels, 0.0).unwrap().mean());
        network.backward().unwrap();
        optimizer.step(&mut network, 5e-3).unwrap();
    }
    // Eight images of noise are learned by heart.
    assert!(losses[59] < 0.25 * losses[0], "{losses:?}");
}

#[test]
fn gradients_of_several_batches_add_up() {
    let mut network = everything(8);
    let mut gradient = |seeds: &[u64]| {
        network.begin_step(0).unwrap();
        for &seed in seeds {
            network.forward(4, &images(4, seed)).unwrap();
            network.loss(&labels(4), 0.0).unwrap();
            network.backward().unwrap();
        }
        host(network.device(), network.grads())
    };
    let (first, second, both) = (gradient(&[1]), gradient(&[2]), gradient(&[1, 2]));
    let sum: Vec<f64> = first.iter().zip(&second).map(|(&a, &b)| f64::from(a) + f64::from(b)).collect();
    assert_close(&both, &sum, 1e-5);
}

#[test]
fn clipping_shortens_and_reports() {
    let mut network = everything(8);
    network.begin_step(0).unwrap();
    network.forward(4, &images(4, 1)).unwrap();
    network.loss(&labels(4), 0.0).unwrap();
    network.backward().unwrap();
    let before = host(network.device(), network.params());
    let norm =
        host(network.device(), network.grads()).iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let settings = OptimizerConfig {
        kind: OptimizerKind::Sgd,
        momentum: 0.0,
        clip_norm: norm / 4.0,
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::try_new(&network, &settings).unwrap();
    let report = optimizer.step(&mut network, 0.1).unwrap();
    assert!((report.grad_norm / norm - 1.0).abs() < 1e-9);
    assert!((report.clip_factor - 0.25).abs() < 1e-9);
    let moved = host(network.device(), network.params())
        .iter()
        .zip(&before)
        .map(|(a, b)| f64::from(a - b).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!((moved / (0.1 * norm / 4.0) - 1.0).abs() < 1e-3);
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let mut network = everything(8);
    let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
    network.begin_step(0).unwrap();
    let mut broken = images(4, 1);
    broken[7] = f32::INFINITY;
    network.forward(4, &broken).unwrap();
    network.loss(&labels(4), 0.0).unwrap();
    network.backward().unwrap();
    let before = host(network.device(), network.params());
    let error = optimizer.step(&mut network, 0.1).unwrap_err();
    assert!(matches!(error, OptimError::NonFiniteGradient(_)), "{error}");
    assert_eq!(host(network.device(), network.params()), before);
    assert_eq!(optimizer.steps(), 0);
}

#[test]
fn weight_decay_spares_biases_and_normalisation() {
    let network = everything(1);
    for segment in network.segments() {
        let spared = segment.name.ends_with("bias")
            || segment.name.starts_with("layers.1.")
            || segment.name.starts_with("layers.5.layers.1.");
        assert_eq!(segment.decays, !spared, "{}", segment.name);
    }
    let mut network = network;
    let settings = OptimizerConfig { weight_decay: 0.5, ..OptimizerConfig::default() };
    let mut optimizer = Optimizer::try_new(&network, &settings).unwrap();
    let before = host(network.device(), network.params());
    // Gradients are zero: only the decay acts.
    network.begin_step(0).unwrap();
    optimizer.step(&mut network, 0.1).unwrap();
    let after = host(network.device(), network.params());
    for segment in network.segments() {
        let factor = if segment.decays { 0.95 } else { 1.0 };
        for at in segment.range.clone() {
            assert!((after[at] - factor * before[at]).abs() <= 1e-6 * before[at].abs());
        }
    }
}

#[test]
fn diagnostics_describe_every_kernel() {
    let mut network = sparse();
    let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
    continue_training(&mut network, 0..3, &mut optimizer);
    let kernels = network.kernel_diagnostics(usize::MAX, 1).unwrap();
    assert_eq!(kernels.iter().map(|k| k.layer.as_str()).collect::<Vec<_>>(), ["layers.0", "layers.4"]);
    // 11 × 5 frequencies of 2 × 4 channel pairs, 8 bytes a value.
    assert_eq!((kernels[0].num_positions, kernels[0].state_bytes), (440, 3520));
    assert_eq!(kernels[0].positions_per_step, 60);
    assert!((kernels[0].coverage - 60.0 / 440.0).abs() < 1e-9);
    assert!(kernels.iter().all(|k| k.shadow_gap > 0.0 && k.shadow_gap < 1.0), "{kernels:?}");
}

#[test]
fn plan_counts_what_the_network_has() {
    for text in [EVERYTHING, SPARSE, SPECTRUM] {
        let network = Network::try_new(Cpu::default(), &config(text), INPUT, 3, 4).unwrap();
        let plan = NetworkPlan::try_new(&config(text), INPUT, 3).unwrap();
        assert_eq!(plan.num_parameters(), network.device().buffer_len(network.params()));
        assert_eq!(plan.summaries().iter().map(|row| row.parameters).sum::<usize>(), plan.num_parameters());
        // Segments follow one another without a gap.
        let mut end = 0;
        for segment in plan.segments() {
            assert_eq!(segment.range.start, end, "{}", segment.name);
            assert_eq!(segment.shape.iter().product::<usize>(), segment.range.len(), "{}", segment.name);
            end = segment.range.end;
        }
        assert_eq!(end, plan.num_parameters());
        let kernels: usize =
            network.kernel_diagnostics(1, 1).unwrap().iter().map(|kernel| kernel.state_bytes).sum();
        let running = 2 * network.device().buffer_len(network.running()) * 4 / 2;
        assert_eq!(plan.state_bytes(), kernels + running);
    }
}

#[test]
fn buffers_are_shared_in_turn() {
    let plan = NetworkPlan::try_new(&config(EVERYTHING), INPUT, 3).unwrap();
    // A value and a gradient for each layer, without sharing.
    let outputs: usize = plan.summaries().iter().map(|row| row.output.len()).sum();
    let apart = (2 * outputs + 2 * 11 * 9) * 4;
    assert!(plan.activation_bytes(1) < apart * 2 / 3, "{} of {apart}", plan.activation_bytes(1));
    assert_eq!(plan.activation_bytes(16), 16 * plan.activation_bytes(1));
    // One thread: each further one may need working memory of its own the first time it takes part.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut network = everything(5);
        let before = network.memory_bytes();
        assert!(before > plan.activation_bytes(5));
        let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
        continue_training(&mut network, 0..1, &mut optimizer);
        let after = network.memory_bytes();
        assert!(after >= before);
        continue_training(&mut network, 1..4, &mut optimizer);
        assert_eq!(network.memory_bytes(), after);
    });
}

#[test]
fn calls_out_of_order_are_refused() {
    let mut network = sparse();
    let order = |error: NetworkError| match error {
        NetworkError::WrongOrder { op, needed } => (op, needed),
        other => panic!("{other}"),
    };
    assert_eq!(order(network.forward(1, &images(1, 1)).unwrap_err()).1, "begin_step or begin_evaluation");
    assert_eq!(order(network.logits().unwrap_err()).1, "forward");
    network.begin_step(0).unwrap();
    assert_eq!(order(network.loss(&[0], 0.0).unwrap_err()).1, "forward");
    network.forward(1, &images(1, 1)).unwrap();
    assert_eq!(order(network.backward().unwrap_err()).1, "begin_step, forward and loss");
    network.begin_evaluation(KernelSource::Configured).unwrap();
    network.forward(1, &images(1, 1)).unwrap();
    network.loss(&[0], 0.0).unwrap();
    assert_eq!(order(network.backward().unwrap_err()).0, "Network::backward");
    let message = |outcome: Result<(), NetworkError>| outcome.unwrap_err().to_string();
    assert_eq!(message(network.forward(9, &[])), "Network::forward: the batch has 9 images, expected 1 to 8");
    assert_eq!(message(network.forward(2, &[0.0; 3])), "Network::forward: images has length 3, expected 396");
    network.forward(2, &images(2, 1)).unwrap();
    assert_eq!(
        message(network.loss(&[0, 3], 0.0).map(drop)),
        "Network::loss: label 3 is not below the number of classes, 3"
    );
}

#[test]
fn messages_name_the_layer() {
    let message = |text: &str| NetworkPlan::try_new(&config(text), INPUT, 3).unwrap_err().to_string();
    assert_eq!(message("layers = []"), "network.layers is empty, expected at least one layer");
    assert_eq!(
        message("layers = [{ type = 'linear' }]"),
        "network.layers.0 (linear): got an input of 2×11×9, expected features: put global-avg-pool or flatten \
         before it"
    );
    assert_eq!(
        message("layers = [{ type = 'flatten' }, { type = 'conv', out_channels = 3 }]"),
        "network.layers.1 (conv): got an input of 198, expected an image"
    );
    assert_eq!(
        message("layers = [{ type = 'conv', out_channels = 3, kernel_size = 4 }]"),
        "network.layers.0 (conv): kernel_size = 4, expected an odd number"
    );
    assert_eq!(
        message("layers = [{ type = 'max-pool', size = 10 }]"),
        "network.layers.0 (max-pool): size = 10, expected 1 to 9, the size of the input"
    );
    assert_eq!(
        message("layers = [{ type = 'residual', layers = [{ type = 'avg-pool' }] }]"),
        "network.layers.0 (residual): the layers give 2×5×4, the shortcut gives 2×11×9"
    );
    assert_eq!(
        message("layers = [{ type = 'residual', layers = [] }]"),
        "network.layers.0 (residual): layers = none, expected at least one layer"
    );
    assert_eq!(
        message("layers = [{ type = 'global-avg-pool' }, { type = 'linear', out_features = 4 }]"),
        "the last layer gives 4, expected 3: one value for each class"
    );
    assert_eq!(
        message("layers = [{ type = 'residual', layers = [{ type = 'dropout', rate = 1.0 }] }]"),
        "network.layers.0.layers.0 (dropout): rate = 1, expected 0 to below 1"
    );
    let refused = message("layers = [{ type = 'cf-conv', out_channels = 4, ema_alpha = 2.0 }]");
    assert!(refused.starts_with("network.layers.0 (cf-conv): ema_alpha = 2"), "{refused}");
    let refused = message("[kernel]\nhidden_width = 0\n[[layers]]\ntype = 'cf-conv'\nout_channels = 4");
    assert!(refused.contains("layers.0 (cf-conv)") && refused.contains("hidden_width"), "{refused}");
}

#[test]
fn table_lists_layers_and_totals() {
    let plan = NetworkPlan::try_new(&config(SPARSE), INPUT, 3).unwrap();
    let table = plan.to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2 + plan.summaries().len() + 1);
    assert!(lines[1].contains("2×11×9"));
    assert!(lines[2].contains("cf-conv") && lines[2].contains("4×11×9"));
    assert!(lines.last().unwrap().contains(&plan.num_parameters().to_string()));
    assert_eq!(plan.summaries()[3].output, Shape::Image { channels: 4, height: 5, width: 4 });
}

#[test]
fn initial_weights_have_the_stated_variance() {
    let text =
        "layers = [{ type = 'conv', out_channels = 64, kernel_size = 5 }, { type = 'global-avg-pool' },
        { type = 'linear', out_features = 200 }, { type = 'linear' }]";
    let input = InputShape { channels: 8, height: 6, width: 6 };
    let mut network = Network::try_new(Cpu::default(), &config(text), input, 3, 1).unwrap();
    network.initialize(1).unwrap();
    let params = host(network.device(), network.params());
    for (name, variance) in [("layers.0.weight", 2.0 / 200.0), ("layers.2.weight", 1.0 / 64.0)] {
        let segment = network.segments().iter().find(|segment| segment.name == name).unwrap();
        let values = &params[segment.range.clone()];
        let count = values.len() as f64;
        let found = values.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / count;
        // Five standard deviations of the variance of normal draws.
        assert!((found / variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{name}: {found}");
    }
    network.initialize(2).unwrap();
    assert_ne!(params, host(network.device(), network.params()));
    network.initialize(1).unwrap();
    assert_eq!(params, host(network.device(), network.params()));
}
