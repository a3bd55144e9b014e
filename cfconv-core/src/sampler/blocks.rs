//! Blocks of positions that share a frequency or a channel pair.

/// Writes every position of the given sorted frequencies.
pub(super) fn expand_frequencies(frequencies: &[u32], channel_pairs: u32, out: &mut Vec<u32>) {
    for &frequency in frequencies {
        out.extend(frequency * channel_pairs..(frequency + 1) * channel_pairs);
    }
}

/// Writes every position of the given sorted channel pairs.
pub(super) fn expand_channel_pairs(pairs: &[u32], frequencies: u32, channel_pairs: u32, out: &mut Vec<u32>) {
    for frequency in 0..frequencies {
        out.extend(pairs.iter().map(|pair| frequency * channel_pairs + pair));
    }
}
