//! See the workspace README.

pub mod data;
