//! Which rows of a larger spectrum a smaller one keeps.

/// One row of the smaller spectrum and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptRow {
    pub(crate) large: usize,
    /// The row of frequency +1/2 of the smaller grid, if this is its Nyquist row and the larger grid tells
    /// the two apart.
    pub(crate) mirror: Option<usize>,
}

/// For each row of the smaller spectrum (fftfreq order), the row of the larger one of the same frequency.
pub(crate) fn kept_rows(large: usize, small: usize) -> Vec<KeptRow> {
    (0..small)
        .map(|row| {
            if row <= (small - 1) / 2 {
                return KeptRow { large: row, mirror: None };
            }
            let negative = large - (small - row);
            let is_nyquist = 2 * row == small && small < large;
            KeptRow { large: negative, mirror: is_nyquist.then_some(row) }
        })
        .collect()
}
