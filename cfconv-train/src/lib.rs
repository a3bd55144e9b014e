//! See the workspace README.

pub mod checkpoint;
pub mod config;
pub mod data;
pub mod metrics;
pub mod process_memory;
pub mod run_folder;
