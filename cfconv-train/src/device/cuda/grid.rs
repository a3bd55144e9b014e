//! How many threads a kernel is started with.

/// Blocks and threads of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks along x, y and z; none of them 0.
    pub blocks: [u32; 3],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of shared memory of a block.
    pub shared_bytes: u32,
}

impl Grid {
    /// Most blocks of a launch whose threads take more than one value each.
    const MAX_BLOCKS: u64 = 1 << 16;

    /// Largest shared memory that every device gives without being asked.
    pub const SHARED_BYTES: usize = 48 << 10;

    /// Blocks `[x, y, z]` of `threads` threads.
    pub fn new(blocks: [usize; 3], threads: u32) -> Self {
        let size = |count: usize| u32::try_from(count).expect("a grid has fewer than 2^32 blocks");
        Self { blocks: blocks.map(size), threads, shared_bytes: 0 }
    }

    /// Threads for `count` values, some of which a thread may take in turn.
    ///
    /// # Examples
    /// ```
    /// use cfconv_train::device::cuda::Grid;
    ///
    /// assert_eq!(Grid::over(1000, 256).blocks, [4, 1, 1]);
    /// assert_eq!(Grid::over(0, 256).blocks, [1, 1, 1]);
    /// ```
    pub fn over(count: u64, threads: u32) -> Self {
        let blocks = count.div_ceil(u64::from(threads)).clamp(1, Self::MAX_BLOCKS);
        Self { blocks: [blocks as u32, 1, 1], threads, shared_bytes: 0 }
    }

    /// The same with `bytes` of shared memory.
    #[must_use]
    pub fn with_shared(self, bytes: usize) -> Self {
        debug_assert!(bytes <= Self::SHARED_BYTES);
        Self { shared_bytes: bytes as u32, ..self }
    }
}
