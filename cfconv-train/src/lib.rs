//! Devices, data sets, networks, optimisers and the trainer of cfconv, and the program `cfconv`.
//!
//! Everything is generic over a [`Device`](device::Device): the processor, [`device::Cpu`], or a graphics card,
//! [`device::cuda`]. From the bottom up:
//!
//! | module | what it holds |
//! |---|---|
//! | [`device`] | memory of a device, flat buffers and spans of them |
//! | [`nn`] | operations on a device, each forward and backward |
//! | [`networks`] | networks from a list of layers: shapes, parameters, steps |
//! | [`optim`], [`schedule`], [`averaging`] | Adam, AdamW and SGD, learning rates over a run, averaged weights |
//! | [`data`] | the crate cfconv-data: images in memory, splits, augmentation, batches, the embedded data set |
//! | [`config`] | configuration files, and errors that name the nearest valid key |
//! | [`checkpoint`], [`metrics`], [`run_folder`] | the files of a run |
//! | [`signatures`] | failures that a run recognises, with what to change |
//! | [`trainer`] | runs: training, evaluation, resuming |
//! | `cli` | the command line of `cfconv`, one file for each command |
//!
//! # Features
//! - `cli`, on by default: the program `cfconv`, as the module `cli`. A library that uses this crate can leave it out,
//!   and with it the crates for command lines, progress bars and log lines.
//! - `cuda`: the CUDA device and the program `cfconv-cuda`; it needs a toolkit to be built.
//! - `cuda-emulation`: the CUDA device's kernels compiled for the host, for tests; it needs a compiler for C++.
//!
//! # Examples
//! A network of 3×3 convolutions, trained for a step and evaluated:
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//!
//! use cfconv_train::config::TrainConfig;
//! use cfconv_train::data::load_dataset;
//! use cfconv_train::device::Cpu;
//! use cfconv_train::run_folder::RunFolder;
//! use cfconv_train::trainer::{Limits, Outcome, Silent, Trainer};
//!
//! let text = "
//!     data = { size = 8, embedded_images = 240 }
//!     train = { epochs = 1, batch_size = 32 }
//!     network.layers = [
//!         { type = 'conv', out_channels = 4 },
//!         { type = 'activation' },
//!         { type = 'global-avg-pool' },
//!         { type = 'linear' },
//!     ]
//! ";
//! let config = TrainConfig::parse(Path::new("example.toml"), text, &[])?;
//! let dataset = Arc::new(load_dataset(&config.data, &|_done, _total| ())?);
//! let folder = tempfile::tempdir()?;
//! let trainer = Trainer::try_new(Cpu::default(), config, dataset, RunFolder::create(&folder.path().join("run"))?)?;
//! let limits = Limits { max_steps: Some(1), interrupted: &AtomicBool::new(false) };
//! let Outcome::Done(summary) = trainer.run(&limits, &mut Silent)? else { panic!("nobody interrupts") };
//! assert_eq!((summary.steps, summary.parameters), (1, 4 * 27 + 4 + 4 * 12 + 12));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod averaging;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod device;
pub mod metrics;
pub mod networks;
pub mod nn;
pub mod optim;
pub mod process_memory;
pub mod run_folder;
pub mod schedule;
pub mod signatures;
pub mod trainer;

pub use cfconv_data as data;
