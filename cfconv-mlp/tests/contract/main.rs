//! Contract tests through the public API, one module a subject.

mod common;
mod oracle;
mod vjp;
