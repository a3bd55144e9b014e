//! The end of a program.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// The exit code of a program whose work ended with `outcome`; an error goes to standard error in one line.
///
/// A closed standard output, for example by `| head`, is not a failure.
pub fn exit_code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {}", message(&error));
        ExitCode::FAILURE
    })
}

/// The error and its causes, without those that an earlier message already tells.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_told_once() {
        let error = Err::<(), _>(anyhow::anyhow!("no space"))
            .context("cannot write x: no space")
            .context("training")
            .unwrap_err();
        assert_eq!(message(&error), "training: cannot write x: no space");
        let error = Err::<(), _>(anyhow::anyhow!("no space")).context("cannot write x").unwrap_err();
        assert_eq!(message(&error), "cannot write x: no space");
    }
}
