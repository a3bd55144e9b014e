//! Configuration files.
//!
//! [`TrainConfig`] is the whole of one, and `docs/configuration.md` the list of its keys. Whatever is unknown or of
//! the wrong type is refused with file, line, the key's whole path and the nearest valid name.

mod diagnose;
mod error;
mod load;
mod run;
mod source;

pub use error::ConfigError;
pub use load::{load_toml, parse_toml};
pub use run::{Select, TrainConfig, TrainSettings};
