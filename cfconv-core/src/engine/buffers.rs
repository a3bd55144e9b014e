//! Buffers that grow to what is needed, with no room to spare: what memory is planned for.

/// Gives `buffer` this length; what is new is `value`.
pub(super) fn resize_exact<T: Clone>(buffer: &mut Vec<T>, length: usize, value: T) {
    buffer.reserve_exact(length.saturating_sub(buffer.len()));
    buffer.resize(length, value);
}
