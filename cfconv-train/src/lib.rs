//! See the workspace README.

pub mod averaging;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod device;
pub mod metrics;
pub mod networks;
pub mod nn;
pub mod optim;
pub mod process_memory;
pub mod run_folder;
pub mod schedule;
