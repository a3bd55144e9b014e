//! Devices, data sets, networks, optimisers and the trainer of cfconv, and the program `cfconv`.
//!
//! Networks and the trainer are generic over a [`Device`](device::Device): the processor, [`device::Cpu`], or a
//! graphics card, [`device::cuda`]. From the bottom up:
//!
//! | module | what it holds |
//! |---|---|
//! | [`device`] | a device's memory: flat buffers and spans of them |
//! | [`nn`] | operations on a device, each with forward and backward |
//! | [`networks`] | networks from a list of layers: shapes, parameters, steps |
//! | [`optim`], [`schedule`], [`averaging`] | Adam, AdamW and SGD; learning rates over a run; averaged weights |
//! | [`data`] | the crate cfconv-data: images in memory, splits, augmentation, batches; the embedded data set |
//! | [`config`] | configuration files, and errors that name the nearest valid key |
//! | [`checkpoint`], [`metrics`], [`run_folder`] | the files of a run |
//! | [`signatures`] | failures that a run recognises, and what to change |
//! | [`trainer`] | a run: training, evaluation, resuming |
//! | `cli` | the command line of `cfconv`, one file for each command |
//!
//! # Features
//! - `cli`, on by default: the program `cfconv`, as the module `cli`. A library can leave it out, and with it the
//!   crates for command lines, progress bars and log lines.
//! - `cuda`: the CUDA device and the program `cfconv-cuda`. Building it needs a CUDA toolkit.
//! - `cuda-emulation`: the CUDA kernels compiled for the host, for tests. Building it needs a C++ compiler.
//!
//! # Examples
//! A network from a configuration, for one forward and one backward pass:
//! ```
//! use cfconv_train::device::Cpu;
//! use cfconv_train::networks::{InputShape, Network, NetworkConfig};
//!
//! let config: NetworkConfig = toml::from_str(
//!     r#"
//!     sampler = { kind = "uniform", num_positions = 1024 }
//!     layers = [
//!         { type = "cf-conv", out_channels = 8 }, { type = "activation" },
//!         { type = "global-avg-pool" }, { type = "linear" },
//!     ]
//!     "#,
//! )?;
//! let input = InputShape { channels: 3, height: 16, width: 16 };
//! let mut network = Network::try_new(Cpu::default(), &config, input, 2, 4)?; // 2 classes, up to 4 images
//! network.initialize(0)?;
//!
//! network.begin_step(0)?;
//! network.forward(4, &[0.5; 3 * 16 * 16 * 4])?; // [channels, height, width, batch]
//! let loss = network.loss(&[0, 1, 0, 1], 0.0)?;
//! network.backward()?;
//! assert_eq!(loss.images, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A run with 3×3 convolutions: one training step, then the evaluation:
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
