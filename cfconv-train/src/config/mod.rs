//! Configuration files.

mod diagnose;
mod error;
mod load;
mod source;

pub use error::ConfigError;
pub use load::{load_toml, parse_toml};
