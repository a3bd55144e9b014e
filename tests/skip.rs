//! How a test says that it is skipped. Each test program that needs it includes this file by its path.

use std::fmt::Display;
use std::io::Write as _;

/// Reports the running test as skipped, on standard error and in the file that `CFCONV_SKIPPED` names.
///
/// Cargo hides what a passing test prints, so `cargo xtask test` sets the variable and lists the file in its summary.
pub(crate) fn skip(reason: impl Display) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {reason}\n", thread.name().unwrap_or("a test"));
    eprint!("{line}");
    if let Some(path) = std::env::var_os("CFCONV_SKIPPED") {
        let file = std::fs::File::options().append(true).create(true).open(path);
        // In one call: other tests append to the same file.
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("CFCONV_SKIPPED can be written to");
    }
}
