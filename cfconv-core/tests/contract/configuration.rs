//! Configuration files and the builder: defaults, round trips, messages, no panics.

use cfconv_core::{
    CfConv2d, CfConv2dConfig, ConvAlgorithm, EvaluationKernel, GradientScale, InitialFill, NumPositions,
    PaddingMode, SamplerConfig,
};
use proptest::prelude::*;

use crate::common::{PARAMETERIZATIONS, drawing_samplers, small_mlp};

const SIZES: &str = "in_channels = 2\nout_channels = 3\nheight = 4\nwidth = 5\n";

fn parse(rest: &str) -> Result<CfConv2dConfig, String> {
    toml::from_str(&format!("{SIZES}{rest}")).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_those_of_new() {
    assert_eq!(parse("").unwrap(), CfConv2dConfig::new(2, 3, 4, 5));
}

#[test]
fn every_kind_of_sampler_is_read_and_written() {
    let num_positions = NumPositions::Count(7);
    let cases = [
        ("kind = 'uniform'", SamplerConfig::default()),
        (
            "kind = 'uniform'\nnum_positions = 7\nreplacement = true",
            SamplerConfig::Uniform { num_positions, replacement: true },
        ),
        (
            "kind = 'stratified'\nnum_positions = 'all'",
            SamplerConfig::Stratified { num_positions: NumPositions::All },
        ),
        ("kind = 'low-discrepancy'\nnum_positions = 7", SamplerConfig::LowDiscrepancy { num_positions }),
        ("kind = 'gap-weighted'\nnum_positions = 7", SamplerConfig::GapWeighted { num_positions }),
        ("kind = 'frequency-blocks'\nnum_positions = 7", SamplerConfig::FrequencyBlocks { num_positions }),
        ("kind = 'channel-blocks'\nnum_positions = 7", SamplerConfig::ChannelBlocks { num_positions }),
        ("kind = 'lattice'\nsize = 3", SamplerConfig::Lattice { size: 3 }),
        ("kind = 'all'", SamplerConfig::All {}),
    ];
    for (text, expected) in cases {
        let config = parse(&format!("[sampler]\n{text}")).unwrap();
        assert_eq!(config.sampler, expected);
        assert!(text.contains(&format!("'{}'", expected.kind())));
        let written = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<CfConv2dConfig>(&written).unwrap(), config);
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<CfConv2dConfig>(&written).unwrap(), config);
    }
}

#[test]
fn the_number_of_positions_is_automatic_unless_given() {
    let sampler = |text: &str| parse(text).unwrap().sampler;
    let auto = SamplerConfig::Uniform { num_positions: NumPositions::Auto, replacement: false };
    assert_eq!(sampler(""), auto);
    assert_eq!(sampler("[sampler]\nkind = 'uniform'"), auto);
    assert_eq!(sampler("[sampler]\nkind = 'uniform'\nnum_positions = 'auto'"), auto);
    assert!(toml::to_string(&parse("").unwrap()).unwrap().contains("num_positions = \"auto\""));
}

#[test]
fn every_option_is_read() {
    let share = parse("padding = 'zeros'\npadding_share = 0.25").unwrap();
    assert_eq!(share.padding_share, 0.25);
    share.validate().unwrap();
    let config = parse(
        "padding = 'zeros'\nbias = false\nema_alpha = 0.5\ngradient_scale = 'straight-through'
         initial_fill = 'zeros'\nevaluation_kernel = 'dense'\npolish = false\napplication = 'fft'
         [sampler]\nkind = 'lattice'\nsize = 3\n[mlp]\nhidden_width = 9",
    )
    .unwrap();
    assert_eq!(config.padding, PaddingMode::Zeros);
    assert!(!config.bias);
    assert_eq!(config.ema_alpha, 0.5);
    assert_eq!(config.gradient_scale, GradientScale::StraightThrough);
    assert_eq!(config.initial_fill, InitialFill::Zeros);
    assert_eq!(config.evaluation_kernel, EvaluationKernel::Dense);
    assert_eq!(config.algorithm, ConvAlgorithm::Fft);
    assert_eq!(config.mlp.hidden_width, 9);
    config.validate().unwrap();
}

#[test]
fn unknown_keys_and_values_are_refused_by_name() {
    for (text, words) in [
        ("paddding = 'zeros'", "unknown field `paddding`"),
        ("padding = 'mirror'", "unknown variant `mirror`"),
        ("[sampler]\nkind = 'all'\nnum_positions = 3", "num_positions"),
        ("[sampler]\nkind = 'uniform'\nnum_position = 3", "num_position"),
        ("[sampler]\nkind = 'random'", "unknown variant `random`"),
        (
            "[sampler]\nkind = 'uniform'\nnum_positions = 0",
            "a number of positions, at least 1, a share of them below 1.0, \"all\" or \"auto\"",
        ),
        (
            "[sampler]\nkind = 'uniform'\nnum_positions = -3",
            "a number of positions, at least 1, a share of them below 1.0, \"all\" or \"auto\"",
        ),
        (
            "[sampler]\nkind = 'uniform'\nnum_positions = 'most'",
            "a number of positions, at least 1, a share of them below 1.0, \"all\" or \"auto\"",
        ),
        ("[sampler]\nkind = 'lattice'", "missing field `size`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn meaningless_settings_are_refused() {
    let message = |rest: &str| parse(rest).unwrap().validate().unwrap_err().to_string();
    assert_eq!(message("ema_alpha = 0.0"), "ema_alpha = 0 is not allowed: expected a number in (0, 1]");
    assert_eq!(message("ema_alpha = nan"), "ema_alpha = NaN is not allowed: expected a number in (0, 1]");
    assert_eq!(
        message("application = 'direct'"),
        "application = direct cannot be combined with sampler.kind = uniform: only a lattice kernel has few taps"
    );
    assert_eq!(
        message("polish = true\nevaluation_kernel = 'dense'"),
        "polish = true cannot be combined with evaluation_kernel = dense: the dense kernel has nothing to refresh"
    );
    assert_eq!(
        message("padding = 'zeros'\npadding_share = 0.0"),
        "padding_share = 0 is not allowed: expected a share of the image above 0, at most 1"
    );
    assert_eq!(
        message("padding_share = 0.5"),
        "padding_share = 0.5 cannot be combined with padding = circular: only padding with zeros has a share"
    );
    let lattice = message("padding = 'zeros'\npadding_share = 0.5\n[sampler]\nkind = 'lattice'\nsize = 3");
    assert!(lattice.contains("sampler.kind = lattice"), "{lattice}");
    assert!(message("[sampler]\nkind = 'lattice'\nsize = 2").contains("expected an odd number"));
    let mut config = parse("").unwrap();
    config.height = 0;
    assert_eq!(config.validate().unwrap_err().to_string(), "height = 0 is not allowed: expected at least 1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked for, the builder gives a layer that runs or an error.
    #[test]
    fn builder_never_panics(
        sizes in prop::array::uniform4(0_usize..6), batch in 0_usize..3, kind in 0_usize..8, count in 0_usize..40,
        alpha in prop::sample::select(vec![-1.0, 0.0, 0.3, 1.0, 2.0, f64::NAN]), flags in 0_u32..32,
        parameterization in 0_usize..4, algorithm in 0_usize..3,
    ) {
        let flag = |bit: u32| flags >> bit & 1 == 1;
        let num_positions = if count == 39 { NumPositions::All } else { NumPositions::Count(count) };
        let lattice = SamplerConfig::Lattice { size: count };
        let sampler = drawing_samplers(num_positions).get(kind).cloned().unwrap_or(lattice);
        let [in_channels, out_channels, height, width] = sizes;
        let builder = CfConv2d::<f32>::builder(in_channels, out_channels, height, width)
            .padding(if flag(0) { PaddingMode::Zeros } else { PaddingMode::Circular })
            .bias(flag(1))
            .mlp(small_mlp(PARAMETERIZATIONS[parameterization]))
            .sampler(sampler)
            .ema_alpha(alpha)
            .gradient_scale([GradientScale::EmaAlpha, GradientScale::Unbiased][flags as usize & 1])
            .initial_fill(if flag(2) { InitialFill::Zeros } else { InitialFill::Phi })
            .evaluation_kernel(if flag(3) { EvaluationKernel::Dense } else { EvaluationKernel::State })
            .refresh_before_evaluation(flag(4))
            .algorithm([ConvAlgorithm::Auto, ConvAlgorithm::Direct, ConvAlgorithm::Fft][algorithm]);
        let built = builder.build::<f32>(1);
        prop_assert_eq!(built.is_ok(), builder.config().validate().is_ok());
        if let Ok(mut layer) = built {
            let images = ndarray::Array4::from_elem((batch, in_channels, height, width), 0.5);
            layer.begin_evaluation().unwrap();
            prop_assert_eq!(layer.forward(images.view()).is_ok(), batch > 0);
            layer.begin_step(0).unwrap();
            if batch > 0 {
                let (output, saved) = layer.forward(images.view()).unwrap();
                prop_assert!(output.iter().all(|y| y.is_finite()));
                let mut grad_params = vec![0.0; layer.params().len()];
                layer.backward(saved, output.view(), &mut grad_params).unwrap();
                prop_assert!(grad_params.iter().all(|g| g.is_finite()));
            }
        }
    }
}
