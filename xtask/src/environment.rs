//! The machine and the code that a result comes from.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::command;

/// The machine and the code that a result comes from; what could not be found out says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) os: String,
    pub(crate) rustc: String,
    /// Commit of the repository, with `+` after it when files differ from the commit.
    pub(crate) commit: String,
    /// Day and time in UTC, ISO 8601.
    pub(crate) date: String,
}

const UNKNOWN: &str = "unknown";

impl Environment {
    /// Looks at this machine.
    pub(crate) fn here() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self {
            cpu: cpu().unwrap_or_else(|| UNKNOWN.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            rustc: output("rustc", &["--version"]).unwrap_or_else(|| UNKNOWN.to_owned()),
            commit: commit().unwrap_or_else(|| UNKNOWN.to_owned()),
            date: utc(seconds),
        }
    }

    /// Facts for a page, with their names.
    pub(crate) fn facts(&self) -> [(&'static str, String); 4] {
        [
            ("processor", format!("{}, {} cores", self.cpu, self.cores)),
            ("system", format!("{}, {}", self.os, self.rustc)),
            ("commit", self.commit.clone()),
            ("date", self.date.clone()),
        ]
    }
}

fn cpu() -> Option<String> {
    if cfg!(target_os = "macos") {
        return output("sysctl", &["-n", "machdep.cpu.brand_string"]);
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> Option<String> {
    let hash = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]).is_some();
    Some(if changed { hash + "+" } else { hash })
}

/// First line that a command prints; `None` if it fails or prints nothing.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let text = command::stdout(Command::new(program).args(arguments)).ok()?;
    Some(text.lines().next()?.trim().to_owned()).filter(|line| !line.is_empty())
}

/// Writes seconds since 1970 as a date: "civil from days" of Howard Hinnant's "chrono-compatible low-level date
/// algorithms" (2013), whose years start in March.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_seconds() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(utc(1_735_689_600), "2025-01-01T00:00:00Z");
    }

    #[test]
    fn this_machine_has_cores_and_a_compiler() {
        let here = Environment::here();
        assert!(here.cores >= 1);
        assert!(here.rustc.starts_with("rustc "), "{}", here.rustc);
    }
}
