//! The `_into` transforms allocate nothing. One test alone in its program: the counter is global.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cfconv_fft::{Complex, FftNorm, Rfft2Plan};
use ndarray::{Array4, s};

struct CountingAllocator;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`, and `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The fewest allocations during one of several equal rounds of all four transforms: now and then the thread pool
/// itself allocates, when one thread takes work from another.
fn allocations([channels, height, width]: [usize; 3], threads: usize) -> usize {
    let plan = Rfft2Plan::<f32>::try_new(height, width).unwrap();
    let mut scratch = plan.scratch_for_threads(threads);
    let mut images = Array4::from_elem((4, channels, height, width), 0.5_f32);
    let mut spectra = Array4::<Complex<f32>>::default((4, channels, height, plan.half_width()));
    // Strided on one side: backwards and every second plane.
    let mut strided = Array4::from_elem((8, channels, height, width), 0.5_f32);
    let mut fewest = usize::MAX;
    for _ in 0..8 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for norm in FftNorm::ALL {
            plan.rfft2_into(images.view(), spectra.view_mut(), norm, &mut scratch).unwrap();
            plan.irfft2_into(spectra.view(), images.view_mut(), norm, &mut scratch).unwrap();
            plan.rfft2_adjoint_into(spectra.view(), images.view_mut(), norm, &mut scratch).unwrap();
            plan.irfft2_adjoint_into(images.view(), spectra.view_mut(), norm, &mut scratch).unwrap();
            let view = strided.slice(s![..;2, .., .., ..;-1]);
            plan.rfft2_into(view, spectra.view_mut(), norm, &mut scratch).unwrap();
            let view = strided.slice_mut(s![..;2, .., .., ..;-1]);
            plan.irfft2_into(spectra.view(), view, norm, &mut scratch).unwrap();
        }
        fewest = fewest.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    fewest
}

#[test]
fn transforms_into_given_memory_allocate_nothing() {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > before, "the counter does not count");

    // The last one has enough planes for groups, and some that are left over.
    for shape in [[3, 16, 16], [3, 15, 9], [3, 31, 37], [3, 1, 8], [17, 12, 20]] {
        assert_eq!(allocations(shape, 1), 0, "{shape:?}, on the calling thread");
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let counted = pool.install(|| allocations(shape, 2));
            assert_eq!(counted, 0, "{shape:?}, in a pool of {threads}");
        }
    }
}
