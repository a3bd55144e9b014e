//! The crate from outside: embedded images, folders, archives, binary formats, decoding, batches.

mod batches;
mod binaries;
mod decoding;
mod folders;
mod support;
