//! The machine and the code that a result comes from.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::command;

/// The machine and the code that a result comes from; what could not be found out says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

impl Environment {
    /// Looks at this machine.
    pub(crate) fn here() -> Self {
        let or_unknown = |found: Option<String>| found.unwrap_or_else(|| "unknown".to_owned());
        Self {
            cpu: or_unknown(cpu()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            rustc: or_unknown(output("rustc", &["--version"])),
            commit: or_unknown(commit()),
            date: or_unknown(output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_a_compiler_and_a_date() {
        let here = Environment::here();
        assert!(here.cores >= 1);
        assert!(here.rustc.starts_with("rustc "), "{}", here.rustc);
        assert!(
            here.date.len() == 20 && here.date.starts_with("20") && here.date.ends_with('Z'),
            "{}",
            here.date
        );
    }
}
