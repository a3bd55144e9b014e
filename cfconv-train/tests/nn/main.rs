//! Operations and networks on every device: the processor, the emulated graphics card, a real one if there is one.

#[macro_use]
mod support;
#[cfg(any(feature = "cuda", all(feature = "cuda-emulation", not(cuda_emulator))))]
#[path = "../../../tests/skip.rs"]
mod skip;

mod against_cpu;
mod layers;
mod networks;
mod operations;
mod spectrum;
#[cfg(any(feature = "cuda", feature = "cuda-emulation"))]
mod tensor_cores;
mod tokens;
