//! Rounding down without a library call.

/// ⌊value⌋ for |value| < 2³¹, as an integer.
///
/// The baseline of x86-64 has no instruction for `f32::floor`, which becomes a call there. Measured with 64 images of
/// 64 pixels, random resized crops and rotations, two cores: 8.0 ms against 8.7 ms with the call (medians).
#[inline(always)]
pub(crate) fn floor_to_i32(value: f32) -> i32 {
    let truncated = value as i32;
    truncated - i32::from(truncated as f32 > value)
}

#[cfg(test)]
mod tests {
    use super::floor_to_i32;

    #[test]
    fn equals_floor() {
        for tenths in -1000..1000 {
            let value = tenths as f32 * 0.1;
            assert_eq!(floor_to_i32(value), value.floor() as i32, "{value}");
        }
        assert_eq!(floor_to_i32(-0.0), 0);
        assert_eq!(floor_to_i32(-1e-30), -1);
    }
}
