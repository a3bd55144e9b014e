//! Turns serde's messages into errors that name the place and the nearest valid name.

use toml::{Table, Value};

use super::error::ConfigError;
use super::source::Source;

/// Translates `message`, which deserialising `table` gave at `path`, into a [`ConfigError`].
///
/// serde describes every rejected key with the keys it would have taken, so one translation serves every table,
/// those of other crates included. Inside a tagged enum serde loses the path below the enum; the rest is then
/// searched for in the table itself.
pub(super) fn diagnose(source: &Source, table: &Table, path: &str, message: &str) -> ConfigError {
    let path = KeyPath::parse(path);
    let message = message.lines().next().unwrap_or_default().trim();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let Some(&name) = quoted.first().filter(|_| message.starts_with("unknown field")) {
        let key = path.locate_key(table, name);
        let valid = owned(&quoted[1..]);
        let nearest = nearest(name, &valid);
        return ConfigError::UnknownKey { place: source.place(&key), key: key.to_string(), valid, nearest };
    }
    if let Some(&value) = quoted.first().filter(|_| message.starts_with("unknown variant")) {
        let key = path.locate_value(table, &|found| matches!(found, Value::String(text) if text == value));
        let allowed = owned(&quoted[1..]);
        let nearest = nearest(value, &allowed);
        let value = value.to_owned();
        return ConfigError::UnknownValue {
            place: source.place(&key),
            key: key.to_string(),
            value,
            allowed,
            nearest,
        };
    }
    if let Some(&name) = quoted.first().filter(|_| message.starts_with("missing field")) {
        let key = path.child(name);
        return ConfigError::MissingKey { place: source.place(&path), key: key.to_string() };
    }
    let wrong = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.split_once(", expected "));
    if let Some((found, expected)) = wrong {
        let key = path.locate_value(table, &|value| describes(found, value));
        return ConfigError::WrongType {
            place: source.place(&key),
            key: key.to_string(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
    }
    ConfigError::Rejected { place: source.place(&path), key: path.to_string(), reason: message.to_owned() }
}

/// The candidate most similar to `name` (Jaro–Winkler), if any is similar at all.
pub(super) fn nearest(name: &str, candidates: &[String]) -> Option<String> {
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.clone())
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Whether serde's description of an unexpected value, such as ``integer `-1` ``, fits `value`.
fn describes(found: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => found == format!("string {text:?}"),
        Value::Integer(number) => found == format!("integer `{number}`"),
        Value::Float(number) => {
            found == format!("floating point `{number}`") || found == format!("floating point `{number:?}`")
        }
        Value::Boolean(flag) => found == format!("boolean `{flag}`"),
        Value::Array(_) => found == "sequence",
        Value::Table(_) => found == "map",
        Value::Datetime(_) => found.starts_with("datetime") || found == "map",
    }
}

/// A place in a TOML document: `network.layers[2].sampler`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(pub(super) Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// Reads `a.b[2].c`, and `a.b.2.c`.
    pub(super) fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        for part in text.split('.').filter(|part| !part.is_empty() && *part != "?") {
            let (name, indices) = match part.find('[') {
                Some(start) => part.split_at(start),
                None => (part, ""),
            };
            match name.parse() {
                Ok(index) => segments.push(Segment::Index(index)),
                Err(_) if !name.is_empty() => segments.push(Segment::Key(name.to_owned())),
                Err(_) => {}
            }
            for index in indices.split(['[', ']']).filter(|text| !text.is_empty()) {
                segments.push(index.parse().map_or_else(|_| Segment::Key(index.to_owned()), Segment::Index));
            }
        }
        Self(segments)
    }

    pub(super) fn child(&self, name: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(name.to_owned()));
        path
    }

    fn item(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }

    fn get<'t>(&self, table: &'t Table) -> Option<&'t Value> {
        let mut segments = self.0.iter();
        let Segment::Key(first) = segments.next()? else { return None };
        segments.try_fold(table.get(first)?, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
    }

    /// The place of the key `name` at or below this path.
    fn locate_key(&self, table: &Table, name: &str) -> Self {
        if self.0.last() == Some(&Segment::Key(name.to_owned())) {
            return self.clone();
        }
        let root = Value::Table(table.clone());
        let start = if self.0.is_empty() { Some(&root) } else { self.get(table) };
        let mut found = None;
        if let Some(start) = start {
            visit(self, start, &mut |path, _| {
                if found.is_none() && path.0.last() == Some(&Segment::Key(name.to_owned())) {
                    found = Some(path.clone());
                }
            });
        }
        found.unwrap_or_else(|| self.child(name))
    }

    /// The place of the first value that `matches` at or below this path, or the path itself.
    fn locate_value(&self, table: &Table, matches: &dyn Fn(&Value) -> bool) -> Self {
        let Some(start) = self.get(table) else { return self.clone() };
        let mut found = None;
        visit(self, start, &mut |path, value| {
            if found.is_none() && matches(value) {
                found = Some(path.clone());
            }
        });
        found.unwrap_or_else(|| self.clone())
    }
}

/// Visits `value` and everything below it, the shallow before the deep.
fn visit(path: &KeyPath, value: &Value, action: &mut dyn FnMut(&KeyPath, &Value)) {
    let mut queue = std::collections::VecDeque::from([(path.clone(), value)]);
    while let Some((path, value)) = queue.pop_front() {
        action(&path, value);
        match value {
            Value::Table(table) => queue.extend(table.iter().map(|(key, value)| (path.child(key), value))),
            Value::Array(items) => {
                queue.extend(items.iter().enumerate().map(|(index, value)| (path.item(index), value)));
            }
            _ => {}
        }
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if number == 0 => write!(f, "{key}")?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_parsing() {
        for text in ["seed", "network.layers[2].sampler.kind", "a.b[0][1]"] {
            assert_eq!(KeyPath::parse(text).to_string(), text);
        }
        assert_eq!(KeyPath::parse("network.layers.3.kind").to_string(), "network.layers[3].kind");
    }

    #[test]
    fn nearest_ignores_the_unrelated() {
        let names = owned(&["learning_rate", "weight_decay", "beta1"]);
        assert_eq!(nearest("lerning_rate", &names).as_deref(), Some("learning_rate"));
        assert_eq!(nearest("Weight_Decay", &names).as_deref(), Some("weight_decay"));
        assert_eq!(nearest("xyz", &names), None);
    }
}
