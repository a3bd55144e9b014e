//! Lines for people, on standard output.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line. That nobody reads any more, as behind `| head`, must not end a run of hours.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
