//! One thing to measure, as options that `cfconv-bench` and its peer share.

use std::fmt;

/// A command of `cfconv-bench` with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    command: &'static str,
    options: Vec<(&'static str, String)>,
}

impl Case {
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, options: Vec::new() }
    }

    /// Sets an option, in place of an earlier value; a switch has an empty value.
    pub(crate) fn with(mut self, option: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        match self.options.iter_mut().find(|(name, _)| *name == option) {
            Some((_, old)) => *old = value,
            None => self.options.push((option, value)),
        }
        self
    }

    /// Sets the rows and columns of the images.
    pub(crate) fn size(self, size: usize) -> Self {
        self.with("height", size).with("width", size)
    }

    /// Sets the channels on both sides.
    pub(crate) fn channels(self, channels: usize) -> Self {
        self.with("in-channels", channels).with("out-channels", channels)
    }

    pub(crate) fn command(&self) -> &'static str {
        self.command
    }

    /// The value of an option that was set.
    pub(crate) fn option(&self, option: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| *name == option).map(|(_, value)| value.as_str())
    }

    /// The same kind of case at sizes that take milliseconds.
    pub(crate) fn shrunk(self) -> Self {
        match self.command {
            "sgemm" => return self.with("size", 16),
            _ if self.option("config").is_some() => return self.with("batch", 1),
            _ => {}
        }
        let uses_kernel = matches!(self.command, "layer" | "infer");
        let positions = self.option("positions").and_then(|count| count.parse::<usize>().ok());
        let mut small = self.with("batch", 2).channels(2).size(8);
        if uses_kernel {
            small = small.with("hidden-width", 8);
        }
        match positions {
            Some(count) => small.with("positions", count.min(64)),
            None => small,
        }
    }

    /// The words of the command line.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut words = vec![self.command.to_owned()];
        for (option, value) in &self.options {
            words.push(format!("--{option}"));
            words.extend((!value.is_empty()).then(|| value.clone()));
        }
        words
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arguments().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_values_replace_earlier_ones() {
        let case = Case::new("layer").with("positions", 4096).size(64).size(32).with("zero-padding", "");
        assert_eq!(case.to_string(), "layer --positions 4096 --height 32 --width 32 --zero-padding");
        assert_eq!(case.option("height"), Some("32"));
    }

    #[test]
    fn shrunk_cases_are_of_the_same_kind() {
        let layer = Case::new("layer").with("positions", 1 << 18).shrunk();
        assert_eq!((layer.option("positions"), layer.option("batch")), (Some("64"), Some("2")));
        assert_eq!(Case::new("layer").with("positions", "all").shrunk().option("positions"), Some("all"));
        let lattice = Case::new("layer").with("lattice", 3).shrunk();
        assert_eq!((lattice.option("lattice"), lattice.option("positions")), (Some("3"), None));
        assert_eq!(Case::new("fft").shrunk().option("hidden-width"), None);
        let network = Case::new("net").with("config", "c.toml").with("batch", 64).shrunk();
        assert_eq!(network.to_string(), "net --config c.toml --batch 1");
    }
}
