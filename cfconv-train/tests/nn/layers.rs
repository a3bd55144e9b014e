//! The catalogue of layers: every kind is tested, read, written and initialised.

use std::collections::BTreeSet;

use cfconv_train::device::Cpu;
use cfconv_train::networks::{InputShape, LayerConfig, Network, NetworkConfig, TensorValues};

use crate::{networks, tokens};

/// The networks whose gradients are tested.
fn networks() -> Vec<(NetworkConfig, InputShape)> {
    [
        (networks::EVERYTHING, networks::INPUT),
        (networks::SPECTRUM, networks::INPUT),
        (tokens::TOKENS, tokens::INPUT),
    ]
    .map(|(text, input)| (toml::from_str(text).unwrap(), input))
    .to_vec()
}

/// Appends `layers` and those within them.
fn collect(layers: &[LayerConfig], found: &mut Vec<LayerConfig>) {
    for layer in layers {
        found.push(layer.clone());
        if let LayerConfig::Residual(residual) = layer {
            collect(&residual.layers, found);
            collect(&residual.shortcut, found);
        }
    }
}

fn layers() -> Vec<LayerConfig> {
    let mut found = Vec::new();
    for (config, _) in networks() {
        collect(&config.layers, &mut found);
    }
    found
}

#[test]
fn every_kind_is_in_a_network_whose_gradient_is_tested() {
    let layers = layers();
    let tested: BTreeSet<&str> = layers.iter().map(LayerConfig::kind).collect();
    assert_eq!(tested, LayerConfig::KINDS.iter().copied().collect());
}

#[test]
fn every_kind_survives_a_round_trip_and_refuses_unknown_keys() {
    for layer in layers() {
        let text = toml::to_string(&layer).unwrap();
        assert!(text.contains(&format!("type = \"{}\"", layer.kind())), "{text}");
        assert_eq!(toml::from_str::<LayerConfig>(&text).unwrap(), layer);
        let json = serde_json::to_string(&layer).unwrap();
        assert_eq!(serde_json::from_str::<LayerConfig>(&json).unwrap(), layer);
        let error = toml::from_str::<LayerConfig>(&format!("zzz = 1\n{text}")).unwrap_err().to_string();
        assert!(error.contains("unknown field `zzz`"), "{}: {error}", layer.kind());
    }
}

/// Every kind of layer that learns something.
const LEARNING: &str = "
    kernel = { hidden_width = 6 }
    layers = [
        { type = 'conv', out_channels = 3 },
        { type = 'batch-norm' },
        { type = 'cf-conv', out_channels = 4 },
        { type = 'depthwise-conv' },
        { type = 'depthwise-cf-conv' },
        { type = 'patch-embed', out_channels = 6, size = 2 },
        { type = 'position-embedding' },
        { type = 'self-attention', heads = 2 },
        { type = 'layer-norm' },
        { type = 'to-spectrum' },
        { type = 'cf-mix', out_channels = 2 },
        { type = 'complex-batch-norm' },
        { type = 'complex-activation', kind = 'phase-gate', initial_bias = -0.5 },
        { type = 'to-image' },
        { type = 'global-avg-pool' },
        { type = 'linear' },
        { type = 'group-norm', num_groups = 1 },
    ]";

/// Hashes (FNV-1a) of names and bits of the initial parameters of each layer of [`LEARNING`] with the seed 11: runs of
/// earlier versions must stay reproducible.
const INITIAL: [(&str, u64); 14] = [
    ("conv", 0x8770_4450_e64c_9187),
    ("batch-norm", 0x3c82_0a3a_5a57_dbe9),
    ("cf-conv", 0xf5aa_9ac9_86a6_02a1),
    ("depthwise-conv", 0x188d_8c17_3068_166c),
    ("depthwise-cf-conv", 0xca04_f573_8184_f1f1),
    ("patch-embed", 0xd319_2ca7_da2f_4536),
    ("position-embedding", 0xe37e_03ff_b137_f999),
    ("self-attention", 0x1e31_7769_ff31_271c),
    ("layer-norm", 0x9c63_752b_c465_f968),
    ("cf-mix", 0xcc68_7056_337f_ae80),
    ("complex-batch-norm", 0xe4c6_2d7f_f48f_9510),
    ("complex-activation", 0x63fe_ddcc_c3c5_3d6e),
    ("linear", 0x9a5f_e289_eedb_94ee),
    ("group-norm", 0x3c82_0a3a_5a57_dbe9),
];

#[test]
fn initial_parameters_are_those_of_earlier_versions() {
    let input = InputShape { channels: 2, height: 8, width: 6 };
    let config: NetworkConfig = toml::from_str(LEARNING).unwrap();
    let mut network = Network::try_new(Cpu::default(), &config, input, 3, 1).unwrap();
    network.initialize(11).unwrap();
    let parameters = network.export_parameters().unwrap();
    let hash = |layer: &str| {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let prefix = format!("{layer}.");
        for tensor in &parameters {
            let Some(name) = tensor.name.strip_prefix(&prefix) else { continue };
            let TensorValues::F32(values) = &tensor.values else { panic!("{name} is not f32") };
            name.bytes().for_each(&mut eat);
            values.iter().flat_map(|value| value.to_bits().to_le_bytes()).for_each(&mut eat);
        }
        hash
    };
    let learning = network.plan().summaries().iter().filter(|row| row.parameters > 0);
    let hashes: Vec<(&str, u64)> = learning.map(|row| (row.kind, hash(&row.name))).collect();
    assert_eq!(hashes, INITIAL, "{hashes:#x?}");
}
