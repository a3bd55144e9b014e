//! Sizes of memory as people write them.

/// Reads a size, such as `512MiB`, `2GiB` or `1.5 GiB`, in MiB; a number without unit is one of MiB.
///
/// # Errors
/// What is wrong with the text, for the message of the command line.
pub(super) fn parse_mib(text: &str) -> Result<usize, String> {
    let expected = || format!("expected a size of at least 1 MiB, such as 512MiB, 2GiB or 512, got `{text}`");
    let trimmed = text.trim();
    let unit_at = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_at);
    let per_mib = match unit.trim() {
        "" | "MiB" => 1.0,
        "KiB" => 1.0 / 1024.0,
        "GiB" => 1024.0,
        "TiB" => 1024.0 * 1024.0,
        _ => return Err(format!("{}; units are KiB, MiB, GiB and TiB", expected())),
    };
    let mib = number.parse::<f64>().map_err(|_| expected())? * per_mib;
    // Parts of a MiB are dropped: the limit is never larger than what was asked for.
    if (1.0..1e12).contains(&mib) { Ok(mib as usize) } else { Err(expected()) }
}

#[cfg(test)]
mod tests {
    use super::parse_mib;

    #[test]
    fn units_are_read_and_others_refused() {
        let sizes =
            ["512MiB", "2GiB", "512", "1.5 GiB", "1TiB", "2048KiB"].map(|text| parse_mib(text).unwrap());
        assert_eq!(sizes, [512, 2048, 512, 1536, 1 << 20, 2]);
        for text in ["", "GiB", "-1", "0", "100KiB", "2GB", "1.2.3", "nan", "1e3", "99999999TiB"] {
            assert!(parse_mib(text).is_err(), "{text}");
        }
    }
}
