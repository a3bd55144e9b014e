//! Programs that run to their end, in the repository.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Lines of a failed program's messages that an error shows.
const MESSAGE_LINES: usize = 20;

/// Runs a program and returns what it printed; if it fails, the error holds the end of its messages.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command.current_dir(workspace::root()).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("could not start {command:?}"))?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed ({}):\n{}", output.status, last_lines(&messages));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of a program's messages.
pub(crate) fn last_lines(messages: &str) -> String {
    let lines: Vec<_> = messages.lines().collect();
    lines[lines.len().saturating_sub(MESSAGE_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_last_messages() {
        let many: String = (0..50).map(|line| format!("line {line}\n")).collect();
        let end = last_lines(&many);
        assert!(end.starts_with("line 30\n") && end.ends_with("line 49"), "{end}");
        let error = format!("{:#}", stdout(&mut Command::new("absent/program")).unwrap_err());
        assert!(error.contains("could not start") && error.contains("absent/program"), "{error}");
    }
}
