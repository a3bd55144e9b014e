//! The program `cfconv` from outside: arguments, files, exit codes.

mod common;
mod configurations;
#[cfg(unix)]
mod device;
mod errors;
mod models;
mod resume;
mod signatures;
mod spectrum;
