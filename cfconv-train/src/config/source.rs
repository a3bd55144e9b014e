//! Where a configuration came from: its file, its text, and the lines of its keys.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::diagnose::{KeyPath, Segment};

/// The text of a configuration and its origin.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// `FILE`, or `FILE:LINE` where the text has the key or at least the table around it.
    pub(super) fn place(&self, key: &KeyPath) -> String {
        let file = self.path.display();
        match self.offset(key) {
            Some(offset) => format!("{file}:{}", self.line(offset)),
            None => file.to_string(),
        }
    }

    /// The line of a byte offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }

    /// Offset of the last segment of `key` that the text contains.
    fn offset(&self, key: &KeyPath) -> Option<usize> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut segments = key.0.iter();
        let Segment::Key(first) = segments.next()? else { return None };
        let (name, mut value) = document.get_ref().iter().find(|(name, _)| name.get_ref() == first)?;
        let mut offset = name.span().start;
        for segment in segments {
            match (segment, value.get_ref()) {
                (Segment::Key(key), DeValue::Table(table)) => {
                    let Some((name, inner)) = table.iter().find(|(name, _)| name.get_ref() == key) else {
                        break;
                    };
                    (offset, value) = (name.span().start, inner);
                }
                (Segment::Index(index), DeValue::Array(items)) => {
                    let Some(inner) = items.get(*index) else { break };
                    (offset, value) = (inner.span().start, inner);
                }
                _ => break,
            }
        }
        Some(offset)
    }
}
