//! Odd kinds of images against what Pillow makes of them: `fixtures/make_fixtures.py`.

use std::path::{Path, PathBuf};

use cfconv_data::{ResizePolicy, load_image};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/fixtures").join(name)
}

fn expected(key: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()[key].take()
}

/// Compares the middle of each quadrant, within `tolerance` grey levels.
fn check_quadrants(name: &str, tolerance: i64) {
    let image = load_image(&fixture(name), 16, ResizePolicy::Crop).unwrap();
    let wanted = expected(name);
    for (quadrant, (x, y)) in [(4, 4), (12, 4), (4, 12), (12, 12)].into_iter().enumerate() {
        for channel in 0..3 {
            let got = i64::from(image[channel * 256 + y * 16 + x]);
            let wanted = wanted[quadrant][channel].as_i64().unwrap();
            assert!(
                (got - wanted).abs() <= tolerance,
                "{name}, quadrant {quadrant}, channel {channel}: {got}, not {wanted}"
            );
        }
    }
}

#[test]
fn jpeg_of_every_kind_agrees_with_pillow() {
    // Two decoders may differ by rounding in the inverse DCT and the colour transform.
    for name in ["progressive.jpg", "grey.jpg", "rotated.jpg"] {
        check_quadrants(name, 3);
    }
}

#[test]
fn cmyk_jpeg_agrees_with_pillow() {
    check_quadrants("cmyk.jpg", 4);
}

#[test]
fn png_of_every_kind_agrees_with_pillow() {
    for name in ["alpha.png", "palette.png", "animated.png", "grey16.png"] {
        check_quadrants(name, 1);
    }
}

#[test]
fn reduction_agrees_with_pillow() {
    for (policy, key) in
        [(ResizePolicy::Squash, "landscape.png squash"), (ResizePolicy::Crop, "landscape.png crop")]
    {
        let image = load_image(&fixture("landscape.png"), 16, policy).unwrap();
        let wanted: Vec<i64> =
            expected(key).as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).collect();
        assert_eq!(wanted.len(), image.len());
        let worst =
            image.iter().zip(&wanted).map(|(&got, wanted)| (i64::from(got) - wanted).abs()).max().unwrap();
        // Pillow's weights are 8-bit fixed-point numbers, and both round between the two passes.
        assert!(worst <= 2, "{key}: {worst}");
    }
}
