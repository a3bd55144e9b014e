//! A graphics card: storage of dfdx's `Cuda`, kernels compiled by NVRTC when the device is opened, one stream.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{CUdeviceptr, CUfunction};
use cudarc::driver::{CudaDevice as Driver, DevicePtr, DeviceSlice, result, sys};
use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use dfdx::shapes::{Shape, Unit};
use dfdx::tensor::{Cache, Cuda, HasErr, Storage, Tensor};

use super::argument_value::Value;
use super::page_locked::PageLocked;
use super::staging::Staging;
use super::{Argument, Grid, KERNEL_NAMES, KERNEL_SOURCE, Launcher};
use crate::device::error::{DeviceError, Result, check_len};
use crate::device::memory::{IndexBuffer, Memory, Span, SpanMut};

/// The device's name in messages.
const NAME: &str = "the CUDA device";

/// Page-locked memory of the host. Eight steps of 256 images of 64 × 64 pixels with their positions take half of it.
const STAGED_BYTES: usize = 256 << 20;

/// The first graphics card.
#[derive(Clone)]
pub struct CudaDevice {
    shared: Arc<Shared>,
    tf32: bool,
}

/// What a card could do at most in a second.
#[derive(Clone, Debug, PartialEq)]
pub struct CardLimits {
    /// The card's name.
    pub name: String,
    /// Multiplications and additions of single precision outside tensor cores.
    pub f32_operations: f64,
    /// Bytes to and from its memory.
    pub memory_bytes: f64,
}

/// What all copies of a device share.
struct Shared {
    /// Storage, and the pool that freed memory goes to.
    storage: Cuda,
    driver: Arc<Driver>,
    functions: HashMap<&'static str, CUfunction>,
    staging: Mutex<Staging<PageLocked>>,
}

/// Page-locked memory is given back in the device's context.
impl Drop for Shared {
    fn drop(&mut self) {
        // Without a context the driver has freed everything already.
        let _ = self.driver.bind_to_thread();
    }
}

// SAFETY: handles of the driver may be used from any thread, once its context is current there, which every call below
// makes sure of. dfdx's device has a second stream, which nothing here uses, and locks around its pool.
unsafe impl Send for Shared {}
// SAFETY: as above; nothing is changed through a shared reference but behind dfdx's locks and the driver's.
unsafe impl Sync for Shared {}

impl fmt::Debug for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaDevice").field("ordinal", &self.shared.driver.ordinal()).finish()
    }
}

/// dfdx makes devices from nothing.
///
/// # Panics
/// If there is no graphics card; [`try_new`](CudaDevice::try_new) says why.
impl Default for CudaDevice {
    fn default() -> Self {
        Self::try_new().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl CudaDevice {
    /// Opens the first graphics card and compiles the kernels for it.
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] says what is missing: a card, a driver that is new enough, a library, memory.
    pub fn try_new() -> Result<Self> {
        // dfdx and cudarc panic where there is no card: ask first.
        result::init()
            .map_err(|error| unavailable(format!("the driver finds no graphics card ({error})")))?;
        let ordinal = result::device::get(0);
        ordinal.map_err(|error| unavailable(format!("there is no graphics card ({error})")))?;
        let storage = Cuda::try_build(0, 0).map_err(|error| unavailable(error.to_string()))?;
        let probe: <Cuda as Storage<f32>>::Vec =
            storage.try_alloc_len(1).map_err(|error| unavailable(error.to_string()))?;
        let driver = probe.device();
        drop(probe);
        // Operations take working memory while they run: it comes from what earlier ones gave back.
        storage.try_enable_cache().map_err(|error| unavailable(error.to_string()))?;
        let functions = load_kernels(&driver)?;
        let staging = Mutex::new(Staging::new(PageLocked(driver.clone()), STAGED_BYTES));
        Ok(Self { shared: Arc::new(Shared { storage, driver, functions, staging }), tf32: false })
    }

    /// The same card with matrix products on its tensor cores, their factors rounded to TF32.
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] for a card before compute capability 8.0 (A100), which has no TF32.
    pub fn with_tf32(self) -> Result<Self> {
        let (major, minor) = compute_capability(&self.shared.driver)?;
        if major < 8 {
            return Err(unavailable(format!(
                "TF32 needs a card of compute capability 8.0 or newer, this one has {major}.{minor}"
            )));
        }
        Ok(Self { tf32: true, ..self })
    }

    /// Copies to device memory at `target`, in its place among the kernels. The host waits only for uploads that are
    /// too large to be staged: nothing in a step is.
    fn upload_bytes(&self, op: &'static str, bytes: &[u8], target: CUdeviceptr) -> Result<()> {
        self.bind(op)?;
        let mut staging = self.shared.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = if staging.takes(bytes.len()) {
            staging.upload(bytes, target)
        } else {
            // SAFETY: both have room for the bytes. The copy is in the stream of all kernels, and the host waits for
            // it.
            unsafe {
                let stream = *self.shared.driver.cu_stream();
                let copied = result::memcpy_htod_async(target, bytes, stream);
                copied.and_then(|()| result::stream::synchronize(stream))
            }
        };
        copied.map_err(|error| transfer(op, error))
    }

    /// What the card is and what it could do at most, from the driver's figures.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn limits(&self) -> Result<CardLimits> {
        use sys::CUdevice_attribute_enum as Attribute;
        let driver = &self.shared.driver;
        let failed = |error| transfer("limits", error);
        let card = result::device::get(driver.ordinal() as c_int).map_err(failed)?;
        let mut name = [0 as c_char; 128];
        // SAFETY: there is room for the given length, the zero at the end included.
        let named = unsafe { sys::cuDeviceGetName(name.as_mut_ptr(), name.len() as c_int, card) };
        named.result().map_err(failed)?;
        // SAFETY: the driver has written a string that ends with a zero.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        let attribute = |attribute| {
            let value = driver.attribute(attribute).map_err(failed)?;
            Ok::<_, DeviceError>(f64::from(value))
        };
        let capability = compute_capability(driver)?;
        // CUDA C++ Programming Guide, arithmetic instructions: results of f32 each cycle and multiprocessor.
        let lanes = if capability == (8, 0) { 64.0 } else { 128.0 };
        let multiprocessors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let clock = 1e3 * attribute(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?;
        let memory_clock = 1e3 * attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?;
        let bus_bytes = attribute(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)? / 8.0;
        Ok(CardLimits {
            name,
            f32_operations: 2.0 * lanes * multiprocessors * clock,
            // Two transfers each cycle.
            memory_bytes: 2.0 * memory_clock * bus_bytes,
        })
    }

    fn bind(&self, op: &'static str) -> Result<()> {
        self.shared.driver.bind_to_thread().map_err(|error| transfer(op, error))
    }
}

fn unavailable(reason: String) -> DeviceError {
    DeviceError::Unavailable { device: NAME, reason }
}

fn transfer(op: &'static str, error: impl fmt::Display) -> DeviceError {
    DeviceError::Transfer { device: NAME, op, reason: error.to_string() }
}

/// Major and minor number.
fn compute_capability(driver: &Driver) -> Result<(i32, i32)> {
    use sys::CUdevice_attribute_enum as Attribute;
    let attribute = |attribute| {
        driver
            .attribute(attribute)
            .map_err(|error| unavailable(format!("the driver does not answer ({error})")))
    };
    Ok((
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    ))
}

/// Compiles the kernels for the card's architecture and finds them.
fn load_kernels(driver: &Arc<Driver>) -> Result<HashMap<&'static str, CUfunction>> {
    let (major, minor) = compute_capability(driver)?;
    // Once a process: the options take a static string.
    let architecture: &'static str = Box::leak(format!("compute_{major}{minor}").into_boxed_str());
    let options = CompileOptions { arch: Some(architecture), ..CompileOptions::default() };
    let ptx = compile_ptx_with_opts(KERNEL_SOURCE, options).map_err(|error| {
        unavailable(match error {
            CompileError::CompileError { log, .. } => {
                format!("NVRTC refuses the kernels for {architecture}: {}", log.to_string_lossy())
            }
            other => format!("NVRTC cannot compile the kernels for {architecture}: {other:?}"),
        })
    })?;
    let image = CString::new(ptx.to_src()).map_err(|error| unavailable(error.to_string()))?;
    driver.bind_to_thread().map_err(|error| unavailable(error.to_string()))?;
    // SAFETY: the image is PTX text that ends with a zero. The module is never unloaded, so functions stay valid.
    let module = unsafe { result::module::load_data(image.as_ptr().cast()) };
    let module = module.map_err(|error| {
        unavailable(format!("the driver refuses the kernels ({error}); is it older than the NVRTC library?"))
    })?;
    KERNEL_NAMES
        .iter()
        .map(|&name| {
            let c_name = CString::new(name).expect("names of kernels have no zeros");
            // SAFETY: the module was loaded above.
            let function = unsafe { result::module::get_function(module, c_name) };
            Ok((name, function.map_err(|error| unavailable(format!("no kernel `{name}` ({error})")))?))
        })
        .collect()
}

impl HasErr for CudaDevice {
    type Err = <Cuda as HasErr>::Err;
}

impl<E: Unit> Storage<E> for CudaDevice {
    type Vec = <Cuda as Storage<E>>::Vec;

    fn try_alloc_len(&self, len: usize) -> std::result::Result<Self::Vec, Self::Err> {
        self.shared.driver.bind_to_thread()?;
        // The driver refuses allocations of nothing.
        Storage::<E>::try_alloc_len(&self.shared.storage, len.max(1))
    }

    fn tensor_to_vec<S: Shape, T>(&self, _tensor: &Tensor<S, E, Self, T>) -> Vec<E> {
        unreachable!("dfdx makes no tensors on a device that implements none of its constructors")
    }

    fn len(&self, v: &Self::Vec) -> usize {
        DeviceSlice::<E>::len(v)
    }
}

impl Memory for CudaDevice {
    const NAME: &'static str = NAME;
    const STEPS_IN_FLIGHT: usize = super::STEPS_IN_FLIGHT;
    const OWN_MEMORY: bool = true;

    fn available_bytes(&self) -> Option<usize> {
        self.bind("available_bytes").ok()?;
        result::mem_get_info().ok().map(|(free, _)| free)
    }

    fn upload(&self, host: &[f32], target: SpanMut<'_, Self>) -> Result<()> {
        target.expect_len("upload", "target", host.len())?;
        if host.is_empty() {
            return Ok(());
        }
        let (buffer, range) = target.into_parts();
        let target =
            *DevicePtr::<f32>::device_ptr(&*buffer) + (range.start * size_of::<f32>()) as CUdeviceptr;
        self.upload_bytes("upload", bytemuck::cast_slice(host), target)
    }

    fn download(&self, source: Span<'_, Self>, host: &mut [f32]) -> Result<()> {
        source.expect_len("download", "source", host.len())?;
        if host.is_empty() {
            return Ok(());
        }
        self.bind("download")?;
        let view = source.buffer().slice(source.range());
        let copied = self.shared.driver.dtoh_sync_copy_into(&view, host);
        copied.map_err(|error| transfer("download", error))
    }

    fn upload_indices(&self, host: &[u32], target: &mut IndexBuffer<Self>) -> Result<()> {
        let len = DeviceSlice::<u32>::len(target);
        if len < host.len() {
            check_len("upload_indices", "target", host.len(), len)?;
        }
        if host.is_empty() {
            return Ok(());
        }
        let target = *DevicePtr::<u32>::device_ptr(&*target);
        self.upload_bytes("upload_indices", bytemuck::cast_slice(host), target)
    }

    fn synchronize(&self) -> Result<()> {
        self.bind("synchronize")?;
        self.shared.driver.synchronize().map_err(|error| transfer("synchronize", error))
    }

    fn copy(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        super::copy(self, source, target)
    }

    fn fill(&self, target: SpanMut<'_, Self>, value: f32) -> Result<()> {
        super::fill(self, target, value)
    }
}

fn value(argument: &mut Argument<'_, CudaDevice>) -> Value<CUdeviceptr> {
    let at = |pointer: CUdeviceptr, start: usize| {
        Value::Pointer(pointer + (start * size_of::<f32>()) as CUdeviceptr)
    };
    match argument {
        Argument::Read(span) => at(*DevicePtr::<f32>::device_ptr(span.buffer()), span.range().start),
        Argument::Write(span) => {
            let start = span.range().start;
            at(*DevicePtr::<f32>::device_ptr(&*span.buffer_mut()), start)
        }
        Argument::ReadIndices(buffer) => at(*DevicePtr::<u32>::device_ptr(*buffer), 0),
        Argument::WriteIndices(buffer) => at(*DevicePtr::<u32>::device_ptr(&**buffer), 0),
        Argument::Absent => Value::Pointer(0),
        &mut Argument::U32(number) => Value::U32(number),
        &mut Argument::U64(number) => Value::U64(number),
        &mut Argument::F32(number) => Value::F32(number),
    }
}

impl Launcher for CudaDevice {
    const THREADS: u32 = 256;

    fn tf32(&self) -> bool {
        self.tf32
    }

    fn launch(&self, name: &'static str, grid: Grid, mut arguments: Vec<Argument<'_, Self>>) -> Result<()> {
        let failed = |reason: String| DeviceError::Kernel { device: NAME, kernel: name, reason };
        let Some(&function) = self.shared.functions.get(name) else {
            return Err(failed("there is no such kernel".to_owned()));
        };
        self.shared.driver.bind_to_thread().map_err(|error| failed(error.to_string()))?;
        let mut values: Vec<_> = arguments.iter_mut().map(value).collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(Value::address).collect();
        let [x, y, z] = grid.blocks;
        // SAFETY: arguments have the types of the kernel's parameters (the emulated device checks this for the same
        // calls), and what kernels read and write lies within the spans. The driver copies the arguments before it
        // returns; memory that is freed meanwhile is freed, or used again, behind the kernel in the same stream.
        let launched = unsafe {
            result::launch_kernel(
                function,
                (x, y, z),
                (grid.threads, 1, 1),
                grid.shared_bytes,
                *self.shared.driver.cu_stream(),
                &mut pointers,
            )
        };
        launched.map_err(|error| failed(error.to_string()))
    }
}
