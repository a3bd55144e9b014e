//! Reading configuration files, with overrides from the command line.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::diagnose::{KeyPath, Segment, diagnose};
use super::error::ConfigError;
use super::source::Source;

/// Reads the TOML file `path`, applies `overrides` of the form `key.path=value`, and deserialises the result.
///
/// The value of an override is read as TOML, or taken as a string if it is none; with nothing behind the `=` the
/// key is taken out, which leaves its default. `layers[2].kind` and `layers.2.kind` both name an item of an array.
///
/// # Errors
/// Every [`ConfigError`] of reading; ranges are the caller's to check.
pub fn load_toml<T: DeserializeOwned>(path: &Path, overrides: &[String]) -> Result<T, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    parse_toml(path, &text, overrides)
}

/// Does the work of [`load_toml`] on `text`; `path` only names it in messages.
///
/// # Errors
/// Every [`ConfigError`] of reading.
///
/// # Examples
/// ```
/// use cfconv_train::config::{ConfigError, parse_toml};
/// use std::path::Path;
///
/// #[derive(serde::Deserialize, Debug)]
/// #[serde(deny_unknown_fields)]
/// struct Optimizer {
///     learning_rate: f64,
/// }
/// let parse = |text, set: &[String]| parse_toml::<Optimizer>(Path::new("a.toml"), text, set);
/// assert_eq!(parse("learning_rate = 1e-3", &["learning_rate=0.5".into()])?.learning_rate, 0.5);
/// assert_eq!(
///     parse("lerning_rate = 1e-3", &[]).unwrap_err().to_string(),
///     "a.toml:1: unknown key `lerning_rate`; the nearest valid key is `learning_rate` (all: learning_rate)"
/// );
/// # Ok::<(), ConfigError>(())
/// ```
pub fn parse_toml<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    overrides: &[String],
) -> Result<T, ConfigError> {
    let source = Source::new(path, text);
    let mut table: Table = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        place: match error.span() {
            Some(span) => format!("{}:{}", path.display(), source.line(span.start)),
            None => path.display().to_string(),
        },
        reason: error.message().trim().replace('\n', ", "),
    })?;
    for given in overrides {
        apply_override(&mut table, given)?;
    }
    serde_path_to_error::deserialize(Value::Table(table.clone()))
        .map_err(|error| diagnose(&source, &table, &error.path().to_string(), error.inner().message()))
}

fn apply_override(table: &mut Table, given: &str) -> Result<(), ConfigError> {
    let refuse = |reason: String| ConfigError::Override { given: given.to_owned(), reason };
    let (path, text) =
        given.split_once('=').ok_or_else(|| refuse("expected `key.path=value`, found no `=`".into()))?;
    let path = KeyPath::parse(path.trim());
    if text.trim().is_empty() {
        return remove(table, &path).ok_or_else(|| refuse("there is no such key to remove".into()));
    }
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        // A text with line breaks could smuggle in further keys.
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let Some((Segment::Key(first), rest)) = path.0.split_first() else {
        return Err(refuse("expected a key before `=`".into()));
    };
    let mut segments = rest.iter().peekable();
    let fresh = |next: Option<&&Segment>| match next {
        None => value.clone(),
        Some(_) => Value::Table(Table::new()),
    };
    let mut place = table.entry(first.clone()).or_insert_with(|| fresh(segments.peek()));
    while let Some(segment) = segments.next() {
        place = match (segment, place) {
            (Segment::Key(key), Value::Table(table)) => {
                table.entry(key.clone()).or_insert_with(|| fresh(segments.peek()))
            }
            (Segment::Index(index), Value::Array(items)) => {
                let count = items.len();
                items
                    .get_mut(*index)
                    .ok_or_else(|| refuse(format!("index {index} is not below the length {count}")))?
            }
            (Segment::Key(key), other) => {
                return Err(refuse(format!("`{key}` is below a {}, not a table", other.type_str())));
            }
            (Segment::Index(index), other) => {
                return Err(refuse(format!("[{index}] is below a {}, not an array", other.type_str())));
            }
        };
    }
    *place = value;
    Ok(())
}

/// Removes a key; `None` if it is not there or is not a key of a table.
fn remove(table: &mut Table, path: &KeyPath) -> Option<()> {
    let (Segment::Key(last), above) = path.0.split_last()? else { return None };
    let Some((Segment::Key(first), rest)) = above.split_first() else {
        return table.remove(last).map(|_| ());
    };
    let mut place = table.get_mut(first)?;
    for segment in rest {
        place = match segment {
            Segment::Key(key) => place.get_mut(key)?,
            Segment::Index(index) => place.get_mut(*index)?,
        };
    }
    place.as_table_mut()?.remove(last).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Root {
        seed: u64,
        #[serde(default)]
        data: Data,
        #[serde(default)]
        layers: Vec<Layer>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Data {
        size: usize,
        resize: Resize,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Resize {
        #[default]
        Crop,
        Squash,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
    enum Layer {
        Relu {},
        MaxPool {
            size: usize,
            #[serde(default)]
            inner: Data,
        },
    }

    fn message(text: &str, set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(|text| text.to_string()).collect();
        parse_toml::<Root>(Path::new("run.toml"), text, &set).unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_are_named_with_path_line_and_neighbour() {
        assert_eq!(
            message("seed = 1\n[data]\n\nsise = 3", &[]),
            "run.toml:4: unknown key `data.sise`; the nearest valid key is `size` (all: size, resize)"
        );
        assert_eq!(
            message("sead = 1", &[]),
            "run.toml:1: unknown key `sead`; the nearest valid key is `seed` (all: seed, data, layers)"
        );
    }

    #[test]
    fn unknown_keys_inside_tagged_layers_are_found() {
        let text = "seed = 1\n[[layers]]\nkind = 'relu'\n[[layers]]\nkind = 'max-pool'\nsize = 2\nsiz = 3";
        let found = message(text, &[]);
        assert!(found.starts_with("run.toml:7: unknown key `layers[1].siz`"), "{found}");
        assert!(found.contains("`size`"), "{found}");
        let text = "seed = 1\n[[layers]]\nkind = 'max-pool'\nsize = 2\n[layers.inner]\nresise = 3";
        let found = message(text, &[]);
        assert!(found.starts_with("run.toml:6: unknown key `layers[0].inner.resise`"), "{found}");
        let found = message("seed = 1\n[[layers]]\nkind = 'max-pol'", &[]);
        assert_eq!(
            found,
            "run.toml:3: `layers[0].kind` is \"max-pol\"; the nearest valid choice is `max-pool` (all: relu, \
             max-pool)"
        );
    }

    #[test]
    fn wrong_types_name_expected_and_found() {
        assert_eq!(message("seed = 'one'", &[]), "run.toml:1: `seed`: expected u64, found string \"one\"");
        assert_eq!(
            message("seed = 1\ndata.size = -2", &[]),
            "run.toml:2: `data.size`: expected usize, found integer `-2`"
        );
        let found = message("seed = 1\n[[layers]]\nkind = 'max-pool'\nsize = true", &[]);
        assert_eq!(found, "run.toml:4: `layers[0].size`: expected usize, found boolean `true`");
        assert_eq!(message("[data]", &[]), "run.toml: the key `seed` is missing");
        assert!(message("seed = 1\n[data\n", &[]).starts_with("run.toml:2: "));
        assert!(message("seed = 1\ndata.resize = 'crap'", &[]).contains("choice is `crop`"));
    }

    #[test]
    fn overrides_replace_insert_and_index() {
        let text = "seed = 1\n[[layers]]\nkind = 'max-pool'\nsize = 2";
        let set = ["seed=9", "data.resize=squash", "layers[0].size=5"].map(String::from);
        let root: Root = parse_toml(Path::new("run.toml"), text, &set).unwrap();
        assert_eq!((root.seed, root.data.resize), (9, Resize::Squash));
        assert_eq!(root.layers, [Layer::MaxPool { size: 5, inner: Data::default() }]);
        for (set, part) in [
            ("seed", "no `=`"),
            ("=3", "expected a key"),
            ("layers[4].size=1", "index 4 is not below the length 1"),
            ("seed.x=1", "below a integer"),
            ("layers.size=1", "not a table"),
        ] {
            assert!(message(text, &[set]).contains(part), "{set}: {}", message(text, &[set]));
        }
        let text = "seed = 1\n[data]\nsize = 3\nresize = 'squash'";
        let set = ["data.resize=".to_owned()];
        let root: Root = parse_toml(Path::new("run.toml"), text, &set).unwrap();
        assert_eq!(root.data, Data { size: 3, resize: Resize::Crop }, "the default is back");
        assert!(message(text, &["data.reszie="]).contains("no such key"));
        assert!(message(text, &["seed="]).contains("`seed` is missing"));
        assert!(message(text, &["data.sizes=3"]).contains("nearest valid key is `size`"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        /// Whatever the file and the overrides say, the answer is a configuration or an error.
        #[test]
        fn no_text_and_no_override_panics(
            text in "(seed|data|layers|kind|size|zzz|[\\[\\]={}.,'\"\n 0-9a-z-]){0,40}",
            given in "[a-z.\\[\\]0-9=' ]{0,20}",
        ) {
            let path = Path::new("run.toml");
            let _ = parse_toml::<Root>(path, &text, &[]).map_err(|error| error.to_string());
            let _ = parse_toml::<Root>(path, "seed = 1", &[given]).map_err(|error| error.to_string());
        }
    }
}
