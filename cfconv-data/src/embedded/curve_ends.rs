//! Two winding curves of equal length, and two dots at ends of curves: are the dots on one curve or on two?
//!
//! `distance` is the length of a curve. In both classes the dots are equally far apart, within two pixels, so that
//! their distance does not tell: an answer follows a curve. Linsley et al., 2018 (arXiv 1805.08315) ask the same of
//! networks ("Pathfinder").

use rand::rngs::ChaCha8Rng;

use super::Drawing;
use super::canvas::Canvas;
use crate::random::{between, direction};

/// Space between the curves and towards the border, in pixels.
const GAP: f32 = 4.0;
/// Most curves that are drawn to find two that fit.
const TRIES: usize = 4000;
/// Most by which the distances of the two dots differ between the classes, in pixels.
const SLACK: f32 = 2.0;

type Point = (f32, f32);

pub(super) struct CurveEnds;

impl Drawing for CurveEnds {
    fn class_names(&self) -> Vec<String> {
        ["one curve", "two curves"].map(str::to_owned).into()
    }

    fn distances(&self, size: usize) -> Option<std::ops::RangeInclusive<usize>> {
        Some(4..=size.saturating_sub(8))
    }

    fn draw(&self, size: usize, distance: usize, class: usize, rng: &mut ChaCha8Rng, image: &mut [u8]) {
        let [first, second] = two_curves(size, distance, rng);
        let mut canvas = Canvas::new(size, 0.3);
        for curve in [&first, &second] {
            for points in curve.windows(2) {
                canvas.line(points[0], points[1], 0.5, 0.7);
            }
        }
        let other = if class == 0 { &first } else { &second };
        for dot in [first[0], last(other)] {
            canvas.line(dot, dot, 1.5, 1.0);
        }
        canvas.write(rng, image);
    }
}

/// Two curves that keep apart. The last point of the second is as far from the first point of the first as the two ends
/// of the first are from each other, within [`SLACK`].
fn two_curves(size: usize, length: usize, rng: &mut ChaCha8Rng) -> [Vec<Point>; 2] {
    let mut first = None;
    for _ in 0..TRIES {
        let Some(mut other) = curve(size, length, rng) else { continue };
        let Some(one) = first.take() else {
            first = Some(other);
            continue;
        };
        let off = |end: Point| (far(one[0], end) - far(one[0], last(&one))).abs();
        if off(other[0]) < off(last(&other)) {
            other.reverse();
        }
        let keep_apart = || one.iter().all(|&a| other.iter().all(|&b| far(a, b) >= GAP));
        if off(last(&other)) < SLACK && keep_apart() {
            return [one, other];
        }
        first = Some(other);
    }
    // Where the curves are nearly as long as the image is wide: two straight ones.
    let left = between(rng, GAP, (size - length) as f32 - GAP + 0.001);
    let row = between(rng, GAP, size as f32 - 2.0 * GAP);
    let straight = |row: f32| (0..=length).map(|step| (row, left + step as f32)).collect::<Vec<_>>();
    [straight(row), straight(row + GAP)]
}

/// A curve of unit steps that turns slowly; `None` if it leaves the image or comes near itself.
fn curve(size: usize, length: usize, rng: &mut ChaCha8Rng) -> Option<Vec<Point>> {
    let inside = GAP / 2.0..=size as f32 - 1.0 - GAP / 2.0;
    let mut point = (between(rng, 0.0, size as f32), between(rng, 0.0, size as f32));
    let (mut dy, mut dx) = direction(rng);
    let mut turn = 0.0;
    let mut points = vec![point];
    for _ in 0..length {
        turn = (turn + between(rng, -0.1, 0.1)).clamp(-0.25, 0.25);
        let (y, x) = (dy + turn * dx, dx - turn * dy);
        let norm = (y * y + x * x).sqrt();
        (dy, dx) = (y / norm, x / norm);
        point = (point.0 + dy, point.1 + dx);
        points.push(point);
    }
    let is_inside = points.iter().all(|(y, x)| inside.contains(y) && inside.contains(x));
    let apart = 3 * GAP as usize;
    let is_simple = (apart..points.len())
        .all(|late| points[..=late - apart].iter().all(|&early| far(early, points[late]) >= GAP));
    (is_inside && is_simple).then_some(points)
}

fn last(curve: &[Point]) -> Point {
    curve[curve.len() - 1]
}

fn far(a: Point, b: Point) -> f32 {
    let (y, x) = (a.0 - b.0, a.1 - b.1);
    (y * y + x * x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn curves_keep_apart_and_inside_and_dots_are_as_far_apart_in_both_classes() {
        for (size, length) in [(12, 4), (16, 8), (48, 32), (48, 40)] {
            let mut straight = 0;
            for index in 0..100 {
                let mut rng = stream(5, Purpose::Embedded, index, 0);
                let [first, second] = two_curves(size, length, &mut rng);
                for (y, x) in first.iter().chain(&second) {
                    assert!((0.0..size as f32).contains(y) && (0.0..size as f32).contains(x));
                }
                assert!(first.iter().all(|&a| second.iter().all(|&b| far(a, b) >= GAP - 1e-3)));
                let [one, two] = [&first, &second].map(|curve| far(first[0], last(curve)));
                assert!((one - two).abs() < SLACK, "{one} {two}");
                straight += usize::from((one - length as f32).abs() < 1e-3);
            }
            assert!(
                straight < 5 || size < 16,
                "{straight} of 100 images of {size} pixels have straight curves"
            );
        }
    }
}
