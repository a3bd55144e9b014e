//! Numbers as readers want them.

use indicatif::HumanCount;

/// Stands in a table where there is no value.
pub(crate) const DASH: &str = "–";

/// The text, or a dash where there is none.
pub(crate) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| DASH.to_owned())
}

/// Writes a share as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Writes a share on an axis: without the decimal where it is zero.
pub(crate) fn axis_percent(share: f64) -> String {
    percent(share).replace(".0 %", " %")
}

pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

pub(crate) fn mib(mib: f64) -> String {
    format!("{mib:.0} MiB")
}

/// Writes a number with a comma at each thousand.
pub(crate) fn thousands(number: u64) -> String {
    HumanCount(number).to_string()
}

/// Writes a number on an axis: large powers of two as such, because the full numbers would run into each other.
pub(crate) fn axis_number(x: f64) -> String {
    // Places on a logarithmic axis come back with rounding errors.
    if (x - x.round()).abs() > 1e-6 * x.abs() {
        return format!("{x:.2}");
    }
    let count = x.round() as u64;
    if count >= 1024 && count.is_power_of_two() { format!("2^{}", count.ilog2()) } else { thousands(count) }
}

/// Writes a number with as many digits as it needs, at most three.
pub(crate) fn short(value: f64) -> String {
    let rounded = |decimals: f64| ((value * decimals).round() / decimals).to_string();
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => rounded(1.0),
        size if size >= 10.0 => rounded(10.0),
        size if size >= 1.0 => rounded(100.0),
        size if size >= 0.01 => rounded(1e3),
        _ => format!("{value:.1e}").replace(".0e", "e"),
    }
}

/// Writes the seconds of a long run in the unit that reads best.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 99.5 => format!("{s:.0} s"),
        s if s < 5_970.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// Writes a measured time with three digits, in the unit that reads best.
pub(crate) fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (1e6 * s, "µs"),
        s if s < 1.0 => (1e3 * s, "ms"),
        s => (s, "s"),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_readers() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1.25, 42.0, 300.0, 7_200.0].map(duration), ["1.2 s", "42 s", "5 min", "2.0 h"]);
        assert_eq!(percent(0.853), "85.3 %");
        assert_eq!([0.9, 0.925, 1.0].map(axis_percent), ["90 %", "92.5 %", "100 %"]);
        assert_eq!([16.0, 1_000.0, 4_096.000_000_1, 2.5].map(axis_number), ["16", "1,000", "2^12", "2.50"]);
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.001, 0.000_25, 0.25, 5.0, 1.234, 88.897, 1000.4].map(short);
        assert_eq!(numbers, ["0", "1e-3", "2.5e-4", "0.25", "5", "1.23", "88.9", "1000"]);
    }

    #[test]
    fn times_have_three_digits() {
        let times = [4.2e-7, 0.00123, 0.0456, 0.789, 1.5, 12.34].map(time);
        assert_eq!(times, ["0.42 µs", "1.23 ms", "45.6 ms", "789 ms", "1.50 s", "12.3 s"]);
    }
}
