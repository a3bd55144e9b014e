//! Random changes of one image: drawn first, then applied.

use rand::rngs::ChaCha8Rng;

use crate::config::{AugmentConfig, FillMode};
use crate::dataset::{CHANNELS, Normalization};
use crate::floor_to_i32::floor_to_i32;
use crate::random::{below, between, unit};

/// Everything random about one augmented image, as plain numbers that tests can inspect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draw {
    /// Mirror left and right, after the shift.
    pub(crate) flip: bool,
    /// Rows and columns by which the source lies ahead of the output.
    pub(crate) shift: [isize; 2],
    /// The linear part of the map from output to source and the source's centre, for resized crops and rotations.
    pub(crate) warp: Option<Warp>,
    /// Factors of brightness, contrast and saturation.
    pub(crate) jitter: Option<[f32; 3]>,
    /// Rows and columns of the box that is cut out: `[top, bottom, left, right]`, ends exclusive.
    pub(crate) cutout: Option<[usize; 4]>,
}

/// source = centre + matrix·(output − middle), in (row, column) pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Warp {
    pub(crate) matrix: [f32; 4],
    pub(crate) centre: [f32; 2],
}

impl Draw {
    /// The draw that changes nothing.
    pub(crate) const IDENTITY: Self =
        Self { flip: false, shift: [0; 2], warp: None, jitter: None, cutout: None };

    /// Draws the changes of one image of side `size`.
    pub(crate) fn random(config: &AugmentConfig, size: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut draw = Self::IDENTITY;
        draw.flip = config.flip && unit(rng) < 0.5;
        if config.crop_padding > 0 {
            let padding = config.crop_padding;
            draw.shift = std::array::from_fn(|_| below(rng, 2 * padding + 1) as isize - padding as isize);
        }
        if config.resized_crop.is_some() || config.rotation_degrees != 0.0 {
            draw.warp = Some(Warp::random(config, size, rng));
        }
        if config.jitters() {
            let factors = [config.brightness, config.contrast, config.saturation];
            draw.jitter = Some(
                factors.map(|width| if width == 0.0 { 1.0 } else { between(rng, 1.0 - width, 1.0 + width) }),
            );
        }
        if config.cutout > 0 && unit(rng) < config.cutout_probability {
            let [top, bottom] = clipped_interval(config.cutout, size, rng);
            let [left, right] = clipped_interval(config.cutout, size, rng);
            draw.cutout = Some([top, bottom, left, right]);
        }
        draw
    }
}

/// `length` pixels around a uniformly drawn one, clipped to 0..size.
fn clipped_interval(length: usize, size: usize, rng: &mut ChaCha8Rng) -> [usize; 2] {
    let middle = below(rng, size);
    [middle.saturating_sub(length / 2), (middle + length.div_ceil(2)).min(size)]
}

impl Warp {
    fn random(config: &AugmentConfig, size: usize, rng: &mut ChaCha8Rng) -> Self {
        let side = size as f32;
        let [mut height, mut width] = [side; 2];
        if let Some([low, high]) = config.resized_crop {
            let area = between(rng, low, high);
            let aspect = between(rng, (0.75_f32).ln(), (4.0_f32 / 3.0).ln()).exp();
            height = side * (area / aspect).sqrt().min(1.0);
            width = side * (area * aspect).sqrt().min(1.0);
        }
        // The box [start, start + extent) of pixel edges; pixel centres sit half a pixel inside.
        let centre = [height, width].map(|extent| between(rng, 0.0, side - extent) + 0.5 * extent - 0.5);
        let degrees = config.rotation_degrees;
        let angle = if degrees == 0.0 { 0.0 } else { between(rng, -degrees, degrees).to_radians() };
        let (sin, cos) = angle.sin_cos();
        let [row_scale, column_scale] = [height / side, width / side];
        Self { matrix: [cos * row_scale, -sin * column_scale, sin * row_scale, cos * column_scale], centre }
    }
}

/// Renders `image` under `draw` into `output`, normalised.
///
/// # Shapes
/// `image`: `[3, size, size]` bytes; `output`: `[3, size, size]`.
pub(crate) fn render(
    image: &[u8],
    size: usize,
    draw: &Draw,
    fill: FillMode,
    normalization: &Normalization,
    output: &mut [f32],
) {
    let plane = size * size;
    debug_assert_eq!(image.len(), CHANNELS * plane);
    debug_assert_eq!(output.len(), CHANNELS * plane);
    let means = normalization.mean.map(|mean| 255.0 * mean);
    match &draw.warp {
        None => {
            for (channel, mean) in means.into_iter().enumerate() {
                let source = &image[channel * plane..(channel + 1) * plane];
                let target = &mut output[channel * plane..(channel + 1) * plane];
                shift_plane(source, size, draw.shift, fill, mean, target);
            }
        }
        Some(warp) => warp_planes(image, size, draw.shift, warp, fill, means, output),
    }
    if draw.flip {
        for row in output.chunks_exact_mut(size) {
            row.reverse();
        }
    }
    if let Some(factors) = draw.jitter {
        jitter(factors, plane, output);
    }
    for channel in 0..CHANNELS {
        let scale = 1.0 / (255.0 * normalization.std[channel]);
        let offset = -normalization.mean[channel] / normalization.std[channel];
        for value in &mut output[channel * plane..(channel + 1) * plane] {
            *value = *value * scale + offset;
        }
    }
    if let Some([top, bottom, left, right]) = draw.cutout {
        for row in 0..CHANNELS * size {
            if (top..bottom).contains(&(row % size)) {
                output[row * size + left..row * size + right].fill(0.0);
            }
        }
    }
}

/// Mirrors `position` at the borders of 0..size without repeating the border pixel.
fn reflect(position: isize, size: usize) -> usize {
    if size == 1 {
        return 0;
    }
    let period = 2 * (size as isize - 1);
    let folded = position.rem_euclid(period);
    folded.min(period - folded) as usize
}

/// `target[y, x] = source[y + shift₀, x + shift₁]`, the open pixels filled.
fn shift_plane(source: &[u8], size: usize, shift: [isize; 2], fill: FillMode, mean: f32, target: &mut [f32]) {
    let [down, right] = shift;
    // Columns whose source lies inside: first..last.
    let first = (-right).clamp(0, size as isize) as usize;
    let last = (size as isize - right).clamp(first as isize, size as isize) as usize;
    for (y, row) in target.chunks_exact_mut(size).enumerate() {
        let source_y = y as isize + down;
        let inside = (0..size as isize).contains(&source_y);
        if !inside && fill == FillMode::Zeros {
            row.fill(mean);
            continue;
        }
        let from = &source[reflect(source_y, size) * size..][..size];
        if first < last {
            let start = (first as isize + right) as usize;
            for (value, &byte) in row[first..last].iter_mut().zip(&from[start..]) {
                *value = f32::from(byte);
            }
        }
        for x in (0..first).chain(last..size) {
            row[x] = match fill {
                FillMode::Reflect => f32::from(from[reflect(x as isize + right, size)]),
                FillMode::Zeros => mean,
            };
        }
    }
}

/// `output[c, p] = image[c](shift + centre + matrix·(p − middle))`, bilinear, for all channels at once.
///
/// Coordinates and weights are shared by the channels, and points inside the image skip the tests at the border: a
/// third of the time of one pass a channel (8 ms against 28 ms for 64 images of 64 pixels on two cores).
fn warp_planes(
    image: &[u8],
    size: usize,
    shift: [isize; 2],
    warp: &Warp,
    fill: FillMode,
    means: [f32; CHANNELS],
    output: &mut [f32],
) {
    let plane = size * size;
    let last = size as i32 - 1;
    let middle = 0.5 * (size as f32 - 1.0);
    let Warp { matrix: [yy, yx, xy, xx], centre } = *warp;
    let start = [centre[0] + shift[0] as f32, centre[1] + shift[1] as f32];
    for y in 0..size {
        let v = y as f32 - middle;
        for x in 0..size {
            let u = x as f32 - middle;
            let (source_y, source_x) = (start[0] + yy * v + yx * u, start[1] + xy * v + xx * u);
            let (y0, x0) = (floor_to_i32(source_y), floor_to_i32(source_x));
            let (ty, tx) = (source_y - y0 as f32, source_x - x0 as f32);
            let weights = [(1.0 - ty) * (1.0 - tx), (1.0 - ty) * tx, ty * (1.0 - tx), ty * tx];
            let here = y * size + x;
            if y0 >= 0 && x0 >= 0 && y0 < last && x0 < last {
                let place = y0 as usize * size + x0 as usize;
                for channel in 0..CHANNELS {
                    let corner = &image[channel * plane + place..][..size + 2];
                    output[channel * plane + here] = weights[0] * f32::from(corner[0])
                        + weights[1] * f32::from(corner[1])
                        + weights[2] * f32::from(corner[size])
                        + weights[3] * f32::from(corner[size + 1]);
                }
                continue;
            }
            for channel in 0..CHANNELS {
                let sample = |y: i32, x: i32| -> f32 {
                    let inside = (0..=last).contains(&y) && (0..=last).contains(&x);
                    if !inside && fill == FillMode::Zeros {
                        return means[channel];
                    }
                    let place = reflect(y as isize, size) * size + reflect(x as isize, size);
                    f32::from(image[channel * plane + place])
                };
                output[channel * plane + here] = weights[0] * sample(y0, x0)
                    + weights[1] * sample(y0, x0 + 1)
                    + weights[2] * sample(y0 + 1, x0)
                    + weights[3] * sample(y0 + 1, x0 + 1);
            }
        }
    }
}

/// Weights of red, green and blue in the grey value (ITU-R BT.601).
const LUMA: [f32; CHANNELS] = [0.299, 0.587, 0.114];

/// Brightness, contrast, saturation, in this order, on values of 0 … 255, clamped to that range once at the end.
fn jitter([brightness, contrast, saturation]: [f32; 3], plane: usize, pixels: &mut [f32]) {
    let (red, rest) = pixels.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    // The mean grey, summed row-wise in fixed lanes so that the loop vectorises and its order is fixed.
    let mean = LUMA[0] * mean_of(red) + LUMA[1] * mean_of(green) + LUMA[2] * mean_of(blue);
    // v ← (v·brightness − mean·brightness)·contrast + mean·brightness
    let scale = brightness * contrast;
    let offset = mean * brightness * (1.0 - contrast);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let [vr, vg, vb] = [*r, *g, *b].map(|value| value * scale + offset);
        let grey = LUMA[0] * vr + LUMA[1] * vg + LUMA[2] * vb;
        *r = ((vr - grey) * saturation + grey).clamp(0.0, 255.0);
        *g = ((vg - grey) * saturation + grey).clamp(0.0, 255.0);
        *b = ((vb - grey) * saturation + grey).clamp(0.0, 255.0);
    }
}

fn mean_of(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let mut blocks = values.chunks_exact(16);
    for block in &mut blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    let sum = lanes.iter().sum::<f32>() + blocks.remainder().iter().sum::<f32>();
    sum / values.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use proptest::prelude::*;

    /// Bytes stay what they are: (byte/255 − 0)/(1/255).
    const PLAIN: Normalization = Normalization { mean: [0.0; 3], std: [1.0 / 255.0; 3] };

    fn image(size: usize, seed: u64) -> Vec<u8> {
        let mut rng = stream(seed, Purpose::Augment, 0, 0);
        (0..CHANNELS * size * size).map(|_| below(&mut rng, 256) as u8).collect()
    }

    fn rendered(image: &[u8], size: usize, draw: &Draw, fill: FillMode) -> Vec<f32> {
        let mut output = vec![f32::NAN; image.len()];
        render(image, size, draw, fill, &PLAIN, &mut output);
        output
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().map(|value| value.round() as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn flipping_twice_is_identity(size in 1_usize..12, seed: u64) {
            let original = image(size, seed);
            let flip = Draw { flip: true, ..Draw::IDENTITY };
            let once = bytes(&rendered(&original, size, &flip, FillMode::Reflect));
            prop_assert_eq!(bytes(&rendered(&once, size, &flip, FillMode::Reflect)), original.clone());
            prop_assert_eq!(bytes(&rendered(&original, size, &Draw::IDENTITY, FillMode::Zeros)), original);
        }

        #[test]
        fn shift_moves_pixels_by_the_offset(size in 1_usize..12, seed: u64, dy in -15_isize..16, dx in -15_isize..16) {
            let original = image(size, seed);
            let draw = Draw { shift: [dy, dx], ..Draw::IDENTITY };
            let zeros = rendered(&original, size, &draw, FillMode::Zeros);
            let mirrored = rendered(&original, size, &draw, FillMode::Reflect);
            for c in 0..CHANNELS {
                for y in 0..size as isize {
                    for x in 0..size as isize {
                        let here = (c * size + y as usize) * size + x as usize;
                        let (sy, sx) = (y + dy, x + dx);
                        let inside = (0..size as isize).contains(&sy) && (0..size as isize).contains(&sx);
                        let at = |sy: usize, sx: usize| f32::from(original[(c * size + sy) * size + sx]);
                        let expected = if inside { at(sy as usize, sx as usize) } else { 0.0 };
                        prop_assert!((zeros[here] - expected).abs() < 1e-3);
                        // The slow truth of reflection: walk, turning round at the borders.
                        let walk = |target: isize| {
                            let (mut at, mut step) = (0_isize, target.signum());
                            for _ in 0..target.abs() {
                                if !(0..size as isize).contains(&(at + step)) { step = -step; }
                                if (0..size as isize).contains(&(at + step)) { at += step; }
                            }
                            at as usize
                        };
                        prop_assert!((mirrored[here] - at(walk(sy), walk(sx))).abs() < 1e-3);
                    }
                }
            }
        }

        #[test]
        fn cutout_covers_a_clipped_square(size in 1_usize..20, share in 0.0_f64..1.0, seed: u64) {
            let side = ((size as f64 * share) as usize).max(1);
            let config = AugmentConfig { cutout: side, ..AugmentConfig::default() };
            let draw = Draw::random(&config, size, &mut stream(seed, Purpose::Augment, 1, 1));
            let [top, bottom, left, right] = draw.cutout.unwrap();
            for extent in [bottom - top, right - left] {
                prop_assert!(extent <= side && extent >= side.div_ceil(2));
            }
            let white = vec![255; CHANNELS * size * size];
            let zeroed = rendered(&white, size, &draw, FillMode::Reflect).iter().filter(|&&v| v == 0.0).count();
            prop_assert_eq!(zeroed, CHANNELS * (bottom - top) * (right - left));
        }

        #[test]
        fn crop_offsets_stay_within_the_padding(padding in 1_usize..6, seed: u64) {
            let config = AugmentConfig { crop_padding: padding, ..AugmentConfig::default() };
            let draw = Draw::random(&config, 16, &mut stream(seed, Purpose::Augment, 2, 2));
            prop_assert!(draw.shift.iter().all(|s| s.unsigned_abs() <= padding));
        }

        #[test]
        fn resized_crop_samples_inside_the_image(low in 0.05_f32..1.0, seed: u64, size in 2_usize..40) {
            let config = AugmentConfig { resized_crop: Some([low, 1.0]), ..AugmentConfig::default() };
            let warp = Draw::random(&config, size, &mut stream(seed, Purpose::Augment, 3, 3)).warp.unwrap();
            let reach = 0.5 * (size as f32 - 1.0);
            for (axis, scale) in [(0, warp.matrix[0]), (1, warp.matrix[3])] {
                prop_assert!(scale > 0.0 && scale <= 1.0 + 1e-6);
                prop_assert!(warp.centre[axis] - scale * reach > -0.5 - 1e-3);
                prop_assert!(warp.centre[axis] + scale * reach < size as f32 - 0.5 + 1e-3);
            }
        }
    }

    #[test]
    fn offsets_reach_both_ends() {
        let config = AugmentConfig { crop_padding: 2, ..AugmentConfig::default() };
        let mut rng = stream(0, Purpose::Augment, 0, 0);
        let seen: std::collections::BTreeSet<isize> =
            (0..200).map(|_| Draw::random(&config, 8, &mut rng).shift[0]).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), vec![-2, -1, 0, 1, 2]);
    }

    #[test]
    fn identity_warp_equals_no_warp() {
        let original = image(9, 1);
        let warp = Warp { matrix: [1.0, 0.0, 0.0, 1.0], centre: [4.0, 4.0] };
        let draw = Draw { warp: Some(warp), shift: [1, -2], ..Draw::IDENTITY };
        let plain = Draw { warp: None, ..draw };
        for fill in [FillMode::Reflect, FillMode::Zeros] {
            assert_eq!(rendered(&original, 9, &draw, fill), rendered(&original, 9, &plain, fill));
        }
    }

    #[test]
    fn quarter_turn_maps_rows_to_columns() {
        let original = image(7, 2);
        // source = (−u, v): output row y, column x shows source row 6 − x, column y.
        let warp = Warp { matrix: [0.0, -1.0, 1.0, 0.0], centre: [3.0, 3.0] };
        let turned = rendered(&original, 7, &Draw { warp: Some(warp), ..Draw::IDENTITY }, FillMode::Reflect);
        for y in 0..7 {
            for x in 0..7 {
                assert!((turned[y * 7 + x] - f32::from(original[(6 - x) * 7 + y])).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn jitter_matches_hand_computation() {
        // One pixel: it is its own mean, so contrast does nothing to its grey.
        let mut pixel = [100.0, 50.0, 200.0];
        jitter([0.5, 1.0, 1.0], 1, &mut pixel);
        assert_eq!(pixel, [50.0, 25.0, 100.0]);
        let mut grey = [100.0, 50.0, 200.0];
        jitter([1.0, 1.0, 0.0], 1, &mut grey);
        let expected = 0.299 * 100.0 + 0.587 * 50.0 + 0.114 * 200.0;
        assert!(grey.iter().all(|value| (value - expected).abs() < 1e-3), "{grey:?}");
        let mut flat = [10.0, 90.0, 10.0, 90.0, 10.0, 90.0];
        jitter([1.0, 0.0, 1.0], 2, &mut flat);
        assert!(flat.iter().all(|value| (value - 50.0).abs() < 1e-3), "{flat:?}");
        let mut bright = [200.0, 200.0, 200.0];
        jitter([2.0, 1.0, 1.0], 1, &mut bright);
        assert_eq!(bright, [255.0; 3]);
    }
}
