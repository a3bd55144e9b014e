//! Arguments of kernels as both devices pass them: by the address of their values.

use std::ffi::c_void;

/// An argument as the kernel gets it; `P` is a pointer to the device's memory.
pub(super) enum Value<P> {
    Pointer(P),
    U32(u32),
    U64(u64),
    F32(f32),
}

impl<P> Value<P> {
    pub(super) fn address(&mut self) -> *mut c_void {
        match self {
            Self::Pointer(value) => std::ptr::from_mut(value).cast(),
            Self::U32(value) => std::ptr::from_mut(value).cast(),
            Self::U64(value) => std::ptr::from_mut(value).cast(),
            Self::F32(value) => std::ptr::from_mut(value).cast(),
        }
    }
}
