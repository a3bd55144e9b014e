//! Uploads that the host does not wait for.
//!
//! The driver copies from page-locked memory only without the host. So values go through blocks of such memory, and a
//! block is written again only when the copy out of it is done. Blocks stay for the next uploads: steps of a training
//! upload the same sizes again and again.

/// Smallest block.
const MIN_BLOCK: usize = 64 << 10;

/// What moves the bytes: the driver, and in tests a copy that takes its time.
pub(super) trait CopyEngine {
    /// Page-locked memory with a mark behind the last copy out of it.
    type Block;
    /// What the driver reports.
    type Error;

    /// Takes page-locked memory.
    fn allocate(&self, bytes: usize) -> Result<Self::Block, Self::Error>;

    /// Writes `bytes` to the front of a block and starts their copy to `target`.
    fn copy(&self, bytes: &[u8], block: &mut Self::Block, target: u64) -> Result<(), Self::Error>;

    /// Whether the last copy out of a block is done.
    fn is_done(&self, block: &Self::Block) -> Result<bool, Self::Error>;

    /// Waits until it is.
    fn wait(&self, block: &Self::Block) -> Result<(), Self::Error>;

    /// Gives the memory of a block back.
    fn free(&self, block: Self::Block);
}

/// Blocks, the one that was used longest ago first.
pub(super) struct Staging<E: CopyEngine> {
    engine: E,
    blocks: Vec<(usize, E::Block)>,
    limit: usize,
}

impl<E: CopyEngine> Staging<E> {
    /// No blocks yet, later `limit` bytes of them at most.
    pub(super) fn new(engine: E, limit: usize) -> Self {
        Self { engine, blocks: Vec::new(), limit }
    }

    /// Whether an upload of this size can be staged.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        bytes.next_power_of_two() <= self.limit
    }

    /// Starts a copy of `bytes`, which [`takes`](Self::takes) allows, to `target`; they are the caller's again when it
    /// returns.
    pub(super) fn upload(&mut self, bytes: &[u8], target: u64) -> Result<(), E::Error> {
        let (size, mut block) = self.block(bytes.len().next_power_of_two().max(MIN_BLOCK.min(self.limit)))?;
        let started = self.engine.copy(bytes, &mut block, target);
        self.blocks.push((size, block));
        started
    }

    /// A block of `size` bytes that is no longer read.
    fn block(&mut self, size: usize) -> Result<(usize, E::Block), E::Error> {
        let mut oldest = None;
        for at in 0..self.blocks.len() {
            if self.blocks[at].0 != size {
                continue;
            }
            if self.engine.is_done(&self.blocks[at].1)? {
                return Ok(self.blocks.remove(at));
            }
            oldest = oldest.or(Some(at));
        }
        let held: usize = self.blocks.iter().map(|(size, _)| size).sum();
        if held + size <= self.limit {
            return Ok((size, self.engine.allocate(size)?));
        }
        if let Some(at) = oldest {
            self.engine.wait(&self.blocks[at].1)?;
            return Ok(self.blocks.remove(at));
        }
        // Only blocks of other sizes: their room is needed.
        self.clear();
        Ok((size, self.engine.allocate(size)?))
    }

    fn clear(&mut self) {
        for (_, block) in self.blocks.drain(..) {
            // An error of the driver meets the next operation again; memory that is still read must not be freed.
            match self.engine.wait(&block) {
                Ok(()) => self.engine.free(block),
                Err(_) => std::mem::forget(block),
            }
        }
    }
}

impl<E: CopyEngine> Drop for Staging<E> {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::convert::Infallible;

    /// Copies start when they are waited for: a block that is written too early shows in what arrives.
    #[derive(Default)]
    struct Slow {
        device: RefCell<HashMap<u64, Vec<u8>>>,
        pending: RefCell<Vec<(usize, u64, usize)>>,
        memory: RefCell<HashMap<usize, Vec<u8>>>,
        allocated: RefCell<usize>,
        waits: RefCell<usize>,
    }

    impl Slow {
        fn finish(&self, block: usize) {
            self.pending.borrow_mut().retain(|&(of, target, len)| {
                if of == block {
                    self.device.borrow_mut().insert(target, self.memory.borrow()[&block][..len].to_vec());
                }
                of != block
            });
        }
    }

    impl CopyEngine for &Slow {
        type Block = usize;
        type Error = Infallible;

        fn allocate(&self, bytes: usize) -> Result<usize, Infallible> {
            *self.allocated.borrow_mut() += 1;
            let block = *self.allocated.borrow();
            self.memory.borrow_mut().insert(block, vec![0; bytes]);
            Ok(block)
        }

        fn copy(&self, bytes: &[u8], block: &mut usize, target: u64) -> Result<(), Infallible> {
            self.memory.borrow_mut().get_mut(block).unwrap()[..bytes.len()].copy_from_slice(bytes);
            self.pending.borrow_mut().push((*block, target, bytes.len()));
            Ok(())
        }

        fn is_done(&self, block: &usize) -> Result<bool, Infallible> {
            Ok(self.pending.borrow().iter().all(|(of, ..)| of != block))
        }

        fn wait(&self, block: &usize) -> Result<(), Infallible> {
            *self.waits.borrow_mut() += 1;
            self.finish(*block);
            Ok(())
        }

        fn free(&self, block: usize) {
            self.memory.borrow_mut().remove(&block);
        }
    }

    #[test]
    fn every_upload_arrives_whole_within_the_limit() {
        let engine = Slow::default();
        let mut staging = Staging::new(&engine, 1 << 18);
        let upload = |number: u64| vec![number as u8; 40_000 + 1000 * (number as usize % 7)];
        for number in 0..20 {
            assert!(staging.takes(upload(number).len()));
            staging.upload(&upload(number), number).unwrap();
            let held: usize = engine.memory.borrow().values().map(Vec::len).sum();
            assert!(held <= 1 << 18, "{held} bytes are held");
        }
        // Four blocks of 64 KiB are in use when the fifth upload comes: it waits for the first.
        assert_eq!(*engine.allocated.borrow(), 4);
        assert_eq!(*engine.waits.borrow(), 16);
        // A larger one needs the room of all.
        staging.upload(&[7; 200_000], 20).unwrap();
        assert_eq!(engine.memory.borrow().len(), 1);
        drop(staging);
        assert!(engine.memory.borrow().is_empty());
        let device = engine.device.borrow();
        assert!((0..20).all(|number| device[&number] == upload(number)));
        assert_eq!(device[&20], [7; 200_000]);
    }

    #[test]
    fn a_block_serves_again_once_its_copy_is_done() {
        let engine = Slow::default();
        let mut staging = Staging::new(&engine, 1 << 20);
        for number in 0..10 {
            staging.upload(&[number as u8; 8], number).unwrap();
            engine.finish(1);
        }
        assert_eq!((*engine.allocated.borrow(), *engine.waits.borrow()), (1, 0));
        assert!(!staging.takes((1 << 20) + 1));
    }
}
