//! Page-locked memory of the host and copies out of it in the device's stream.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUevent, CUevent_flags_enum, CUresult};
use cudarc::driver::{CudaDevice as Driver, DriverError, result};

use super::staging::CopyEngine;

/// The driver of an opened device.
pub(super) struct PageLocked(pub(super) Arc<Driver>);

/// Page-locked memory and the event behind the last copy out of it.
pub(super) struct Block {
    memory: *mut c_void,
    copied: CUevent,
}

// SAFETY: the memory belongs to the block alone, and handles of the driver may be used from any thread.
unsafe impl Send for Block {}

impl CopyEngine for PageLocked {
    type Block = Block;
    type Error = DriverError;

    fn allocate(&self, bytes: usize) -> Result<Block, DriverError> {
        let copied = result::event::create(CUevent_flags_enum::CU_EVENT_DISABLE_TIMING)?;
        let mut memory = std::ptr::null_mut();
        // SAFETY: the place for the address is valid; flags of 0 ask for ordinary page-locked memory.
        let allocated = unsafe { sys::cuMemHostAlloc(&mut memory, bytes, 0) }.result();
        if let Err(error) = allocated {
            // SAFETY: the event was created above and is used nowhere else.
            unsafe { result::event::destroy(copied) }?;
            return Err(error);
        }
        Ok(Block { memory, copied })
    }

    fn copy(&self, bytes: &[u8], block: &mut Block, target: u64) -> Result<(), DriverError> {
        // SAFETY: the block has room for the bytes and nothing reads it: its last copy is done.
        let staged = unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), block.memory.cast(), bytes.len());
            std::slice::from_raw_parts(block.memory.cast::<u8>(), bytes.len())
        };
        let stream = *self.0.cu_stream();
        // SAFETY: the caller's target is device memory with room for the bytes, freed or used again behind this copy in
        // the same stream; the block is left alone until the event, recorded behind the copy, has come.
        unsafe {
            result::memcpy_htod_async(target, staged, stream)?;
            result::event::record(block.copied, stream)
        }
    }

    fn is_done(&self, block: &Block) -> Result<bool, DriverError> {
        // SAFETY: the event lives as long as the block.
        match unsafe { sys::cuEventQuery(block.copied) } {
            CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            answer => answer.result().map(|()| true),
        }
    }

    fn wait(&self, block: &Block) -> Result<(), DriverError> {
        // SAFETY: as above.
        unsafe { sys::cuEventSynchronize(block.copied) }.result()
    }

    fn free(&self, block: Block) {
        // SAFETY: the last copy out of the memory is done, and both are used nowhere else. What the driver reports of
        // giving memory back changes nothing.
        unsafe {
            let _ = sys::cuMemFreeHost(block.memory);
            let _ = result::event::destroy(block.copied);
        }
    }
}
