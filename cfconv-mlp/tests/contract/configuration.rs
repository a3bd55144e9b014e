//! Configurations read from files.

use cfconv_mlp::{
    Activation, ChannelEncoding, ComplexOutput, FrequencyGrid, KernelMlpConfig, OmegaMode, Parameterization,
};

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(toml::from_str::<KernelMlpConfig>("").unwrap(), KernelMlpConfig::default());
}

#[test]
fn every_option_is_read() {
    let text = r#"
        parameterization = "shared-basis"
        hidden_width = 17
        hidden_layers = 3
        activation = "gabor"
        omega_frequency = 12.5
        omega_channel = 30.0
        omega_mode = "multiplier"
        frequency_grid = "unit"
        fourier_features = 6
        fourier_scale = 2.0
        fourier_seed = 9
        channel_encoding = "embedding"
        embedding_dim = 5
        complex_output = "polar"
        basis_size = 7
        mixing_scale = 0.25
    "#;
    let expected = KernelMlpConfig {
        parameterization: Parameterization::SharedBasis,
        hidden_width: 17,
        hidden_layers: 3,
        activation: Activation::Gabor,
        omega_frequency: 12.5,
        omega_channel: 30.0,
        omega_mode: OmegaMode::Multiplier,
        frequency_grid: FrequencyGrid::Unit,
        fourier_features: 6,
        fourier_scale: 2.0,
        fourier_seed: 9,
        channel_encoding: ChannelEncoding::Embedding,
        embedding_dim: 5,
        complex_output: ComplexOutput::Polar,
        basis_size: 7,
        mixing_scale: 0.25,
    };
    let config: KernelMlpConfig = toml::from_str(text).unwrap();
    assert_eq!(config, expected);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<KernelMlpConfig>(&written).unwrap(), expected);
}

#[test]
fn names_of_parameterizations_are_those_of_the_files() {
    for (name, parameterization) in [
        ("hw", Parameterization::Hw),
        ("hw-cin", Parameterization::HwCin),
        ("hw-cin-cout", Parameterization::HwCinCout),
        ("shared-basis", Parameterization::SharedBasis),
    ] {
        let config: KernelMlpConfig = toml::from_str(&format!("parameterization = \"{name}\"")).unwrap();
        assert_eq!(config.parameterization, parameterization);
        assert_eq!(parameterization.name(), name);
    }
}

#[test]
fn the_list_of_parameterizations_is_that_of_the_files() {
    let error = toml::from_str::<KernelMlpConfig>("parameterization = \"?\"").unwrap_err().to_string();
    let (_, expected) = error.rsplit_once("expected one of ").unwrap();
    let names = Parameterization::ALL.map(|parameterization| format!("`{}`", parameterization.name()));
    assert_eq!(expected.trim(), names.join(", "));
}

#[test]
fn unknown_keys_and_values_are_refused_with_the_valid_ones() {
    let error = toml::from_str::<KernelMlpConfig>("hiden_width = 3").unwrap_err().to_string();
    assert!(error.contains("hiden_width") && error.contains("hidden_width"), "{error}");
    let error = toml::from_str::<KernelMlpConfig>("activation = \"siren\"").unwrap_err().to_string();
    assert!(error.contains("siren") && error.contains("`sine`"), "{error}");
}
