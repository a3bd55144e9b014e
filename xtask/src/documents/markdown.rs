//! What a Markdown document shows of commands.

/// A fenced block of shell commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The block of kind `text` that follows with only empty lines between: what the script prints.
    pub(crate) expected: Option<String>,
}

/// A command within a sentence, in backquotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The first words of what counts as a mention.
const PROGRAMS: [&str; 4] = ["cargo", "cfconv", "cfconv-bench", "target/release/cfconv"];

/// Kinds of blocks that hold commands.
const SHELLS: [&str; 4] = ["sh", "bash", "shell", "console"];

/// Returns the scripts and mentions of a document.
pub(crate) fn commands(document: &str) -> (Vec<Script>, Vec<Mention>) {
    let (mut scripts, mut mentions) = (Vec::<Script>::new(), Vec::new());
    let mut lines = (1..).zip(document.lines());
    // Whether nothing but empty lines came after a script.
    let mut behind_script = false;
    while let Some((number, line)) = lines.next() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            let is_code = |line: &&str| !line.trim_start().starts_with("```");
            let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(is_code).collect();
            let text = body.join("\n");
            if SHELLS.contains(&kind.trim()) {
                scripts.push(Script { line: number, text, expected: None });
                behind_script = true;
            } else {
                if let (true, "text", Some(script)) = (behind_script, kind.trim(), scripts.last_mut()) {
                    script.expected = Some(text);
                }
                behind_script = false;
            }
        } else {
            behind_script &= line.trim().is_empty();
            let quoted = line.split('`').skip(1).step_by(2);
            let commands = quoted
                .filter(|text| text.split_once(' ').is_some_and(|(program, _)| PROGRAMS.contains(&program)));
            mentions.extend(commands.map(|text| Mention { line: number, text: text.to_owned() }));
        }
    }
    (scripts, mentions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_their_output_and_mentions_are_found() {
        let document = "Run `cargo xtask test` or `x`.\n```sh\na \\\n  b # c\n```\n\n```text\n1\n```\n\
            ```text\n2\n```\n```sh\nd\n```\nNo output:\n```text\n3\n```\n```rust\n`cargo doc x`\n```\n";
        let (scripts, mentions) = commands(document);
        assert_eq!(mentions, [Mention { line: 1, text: "cargo xtask test".to_owned() }]);
        let script = |line, text: &str, expected: Option<&str>| Script {
            line,
            text: text.to_owned(),
            expected: expected.map(str::to_owned),
        };
        assert_eq!(scripts, [script(2, "a \\\n  b # c", Some("1")), script(13, "d", None)]);
    }
}
