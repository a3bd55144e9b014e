//! Contract tests through the public API, one module a subject.

mod common;
mod configuration;
mod errors;
mod golden;
mod initialization;
mod oracle;
mod threads;
mod vjp;
