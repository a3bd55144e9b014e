//! The CUDA device without a graphics card: the kernels, compiled for the host, one thread after another.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;

use dfdx::shapes::{Shape, Unit};
use dfdx::tensor::{HasErr, Storage, Tensor};

use super::argument_value::Value;
use super::{Argument, Grid, Launcher};
use crate::device::error::{DeviceError, Result, check_len};
use crate::device::memory::{IndexBuffer, Memory, Span, SpanMut};
use crate::process_memory;

unsafe extern "C" {
    fn cfconv_emulated_signature(name: *const c_char) -> *const c_char;
    fn cfconv_emulated_launch(
        name: *const c_char,
        grid: *const c_uint,
        threads: c_uint,
        shared_bytes: usize,
        arguments: *mut *mut c_void,
        reversed: c_int,
    ) -> *const c_char;
}

/// Words before and after the values of a buffer that nobody may write.
const GUARD_WORDS: usize = 64;

/// A NaN that no computation gives.
const GUARD: u32 = 0x7fc0_beef;

/// A device whose memory is the host's and whose kernels are the CUDA device's.
///
/// It proves much of what can be proved without a graphics card: that kernels and host side compute what the CPU
/// does, that arguments have the types of the kernel's parameters, that nothing is written outside a buffer or read
/// from shared memory before it is written, and (by running the threads of a block in another order) that no
/// barrier is missing. It says nothing about speed.
///
/// `THREADS` is [`Launcher::THREADS`]: small blocks take little time, blocks of 256 threads are those of a graphics
/// card.
#[derive(Clone, Debug, Default)]
pub struct EmulatedCuda<const THREADS: u32 = 32> {
    reversed: bool,
    tf32: bool,
}

impl<const THREADS: u32> EmulatedCuda<THREADS> {
    /// A device that runs the threads of each block from the last to the first.
    pub fn reversed() -> Self {
        Self { reversed: true, ..Self::default() }
    }

    /// The same with matrix products in TF32.
    #[must_use]
    pub fn with_tf32(self) -> Self {
        Self { tf32: true, ..self }
    }
}

/// Values in the memory of an [`EmulatedCuda`], with guards on both sides.
#[derive(Clone, Debug)]
pub struct EmulatedBuffer<E> {
    /// Eight bytes each, so that values are aligned for doubles.
    words: Vec<u64>,
    len: usize,
    element: PhantomData<E>,
}

impl<E: Copy> EmulatedBuffer<E> {
    fn zeros(len: usize) -> Self {
        const { assert!(size_of::<E>() == size_of::<u32>()) };
        let guard = u64::from(GUARD) << 32 | u64::from(GUARD);
        let mut words = vec![guard; GUARD_WORDS + len.div_ceil(2)];
        let tail = GUARD_WORDS / 2 + len / 2;
        words[GUARD_WORDS / 2..tail].fill(0);
        if len % 2 == 1 {
            bytemuck::cast_slice_mut::<u64, u32>(&mut words)[GUARD_WORDS + len - 1] = 0;
        }
        Self { words, len, element: PhantomData }
    }

    fn pointer(&self) -> *const u32 {
        bytemuck::cast_slice::<u64, u32>(&self.words)[GUARD_WORDS..].as_ptr()
    }

    fn pointer_mut(&mut self) -> *mut u32 {
        bytemuck::cast_slice_mut::<u64, u32>(&mut self.words)[GUARD_WORDS..].as_mut_ptr()
    }

    /// Whether the guards are as they were.
    fn is_intact(&self) -> bool {
        let words: &[u32] = bytemuck::cast_slice(&self.words);
        let guards = words[..GUARD_WORDS].iter().chain(&words[GUARD_WORDS + self.len..]);
        guards.into_iter().all(|&word| word == GUARD)
    }
}

impl<E: bytemuck::Pod> EmulatedBuffer<E> {
    fn values(&self) -> &[E] {
        &bytemuck::cast_slice(&self.words)[GUARD_WORDS..][..self.len]
    }

    fn values_mut(&mut self) -> &mut [E] {
        let len = self.len;
        &mut bytemuck::cast_slice_mut(&mut self.words)[GUARD_WORDS..][..len]
    }
}

impl<const THREADS: u32> HasErr for EmulatedCuda<THREADS> {
    type Err = Infallible;
}

impl<E: Unit, const THREADS: u32> Storage<E> for EmulatedCuda<THREADS> {
    type Vec = EmulatedBuffer<E>;

    fn try_alloc_len(&self, len: usize) -> std::result::Result<Self::Vec, Infallible> {
        Ok(EmulatedBuffer::zeros(len))
    }

    fn tensor_to_vec<S: Shape, T>(&self, _tensor: &Tensor<S, E, Self, T>) -> Vec<E> {
        unreachable!("dfdx makes no tensors on a device that implements none of its constructors")
    }

    fn len(&self, v: &Self::Vec) -> usize {
        v.len
    }
}

impl<const THREADS: u32> Memory for EmulatedCuda<THREADS> {
    const NAME: &'static str = "the emulated CUDA device";
    const STEPS_IN_FLIGHT: usize = super::STEPS_IN_FLIGHT;
    const OWN_MEMORY: bool = true;

    fn available_bytes(&self) -> Option<usize> {
        process_memory::available_bytes()
    }

    fn upload(&self, host: &[f32], target: SpanMut<'_, Self>) -> Result<()> {
        target.expect_len("upload", "target", host.len())?;
        let (buffer, range) = target.into_parts();
        buffer.values_mut()[range].copy_from_slice(host);
        Ok(())
    }

    fn download(&self, source: Span<'_, Self>, host: &mut [f32]) -> Result<()> {
        source.expect_len("download", "source", host.len())?;
        host.copy_from_slice(&source.buffer().values()[source.range()]);
        Ok(())
    }

    fn upload_indices(&self, host: &[u32], target: &mut IndexBuffer<Self>) -> Result<()> {
        if target.len < host.len() {
            check_len("upload_indices", "target", host.len(), target.len)?;
        }
        target.values_mut()[..host.len()].copy_from_slice(host);
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn copy(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        super::copy(self, source, target)
    }

    fn fill(&self, target: SpanMut<'_, Self>, value: f32) -> Result<()> {
        super::fill(self, target, value)
    }
}

impl<const THREADS: u32> Launcher for EmulatedCuda<THREADS> {
    const THREADS: u32 = {
        assert!(THREADS.is_power_of_two() && THREADS >= 32, "kernels count on whole warps and on halving");
        THREADS
    };

    fn tf32(&self) -> bool {
        self.tf32
    }

    fn launch(&self, name: &'static str, grid: Grid, mut arguments: Vec<Argument<'_, Self>>) -> Result<()> {
        let failed = |reason: String| DeviceError::Kernel { device: Self::NAME, kernel: name, reason };
        let c_name = CString::new(name).expect("names of kernels have no zeros");
        // SAFETY: both take a string that ends with a zero and give null or a static one.
        let signature = unsafe { cfconv_emulated_signature(c_name.as_ptr()) };
        if signature.is_null() {
            return Err(failed("there is no such kernel".to_owned()));
        }
        // SAFETY: not null, so a static string that ends with a zero.
        let signature = unsafe { CStr::from_ptr(signature) }.to_str().expect("signatures are ASCII");
        let kinds: String =
            arguments.iter().zip(signature.chars()).map(|(argument, kind)| code(argument, kind)).collect();
        if kinds != signature || arguments.len() != signature.len() {
            return Err(failed(format!("takes {signature}, got {} arguments, {kinds}", arguments.len())));
        }
        let mut values: Vec<_> = arguments.iter_mut().map(value).collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(Value::address).collect();
        // SAFETY: the kernel has the parameters that `pointers` has values for; spans lie within buffers that live as
        // long as `arguments`, and what is written is borrowed mutably.
        let error = unsafe {
            cfconv_emulated_launch(
                c_name.as_ptr(),
                grid.blocks.as_ptr(),
                grid.threads,
                grid.shared_bytes as usize,
                pointers.as_mut_ptr(),
                self.reversed.into(),
            )
        };
        if !error.is_null() {
            // SAFETY: not null, so a static string that ends with a zero.
            return Err(failed(unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned()));
        }
        let intact = arguments.iter_mut().all(|argument| match argument {
            Argument::Write(span) => span.buffer_mut().is_intact(),
            Argument::WriteIndices(buffer) => buffer.is_intact(),
            _ => true,
        });
        if intact { Ok(()) } else { Err(failed("wrote beyond a buffer".to_owned())) }
    }
}

/// The letter of an argument in signatures; where there is none, that of the parameter if it may be absent.
fn code<D: Memory>(argument: &Argument<'_, D>, parameter: char) -> char {
    match argument {
        Argument::Read(_) => 'r',
        Argument::Write(_) => 'w',
        Argument::ReadIndices(_) => 'R',
        Argument::WriteIndices(_) => 'W',
        Argument::Absent if "rwRW".contains(parameter) => parameter,
        Argument::Absent => '0',
        Argument::U32(_) => 'i',
        Argument::U64(_) => 'l',
        Argument::F32(_) => 'f',
    }
}

fn value<const THREADS: u32>(argument: &mut Argument<'_, EmulatedCuda<THREADS>>) -> Value<*const u32> {
    match argument {
        Argument::Read(span) => Value::Pointer(span.buffer().pointer().wrapping_add(span.range().start)),
        Argument::Write(span) => {
            let start = span.range().start;
            Value::Pointer(span.buffer_mut().pointer_mut().wrapping_add(start))
        }
        Argument::ReadIndices(buffer) => Value::Pointer(buffer.pointer()),
        Argument::WriteIndices(buffer) => Value::Pointer(buffer.pointer_mut()),
        Argument::Absent => Value::Pointer(std::ptr::null()),
        &mut Argument::U32(number) => Value::U32(number),
        &mut Argument::U64(number) => Value::U64(number),
        &mut Argument::F32(number) => Value::F32(number),
    }
}
