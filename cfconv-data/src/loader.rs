//! Epochs of batches, assembled ahead by a second thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::batch::BatchAssembler;
use crate::config::AugmentConfig;
use crate::dataset::{CHANNELS, Dataset, Normalization};
use crate::error::{DataError, Result};
use crate::order::{EpochOrder, LastBatch, num_batches};
use crate::split::Split;

/// A batch of network input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[3, size, size, B]`, normalised.
    pub images: Vec<f32>,
    /// `[B]`.
    pub labels: Vec<u32>,
    /// `[B]`, which images of the data set these are.
    pub indices: Vec<usize>,
    /// The number of this batch within its epoch.
    pub number: usize,
}

impl Batch {
    /// Number of images, B.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the batch holds no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Gives the batches of any epoch, from any batch on.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use cfconv_data::{EmbeddedConfig, Loader, Split, embedded_dataset};
///
/// let config = EmbeddedConfig { size: 8, num_images: 30, seed: 1, ..EmbeddedConfig::default() };
/// let dataset = Arc::new(embedded_dataset(&config).unwrap());
/// let normalization = dataset.normalization(Split::All).unwrap();
/// let loader = Loader::evaluation(dataset, Split::All, 16, normalization).unwrap();
/// let sizes: Vec<usize> = loader.epoch(0, 0).map(|batch| batch.len()).collect();
/// assert_eq!(sizes, [16, 14]);
/// ```
#[derive(Clone, Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    indices: Vec<usize>,
    assembler: BatchAssembler,
    batch_size: usize,
    last: LastBatch,
    shuffle_seed: Option<u64>,
}

impl Loader {
    /// Shuffled, augmented batches of the training part, all of the same size.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`] without training images; [`DataError::Config`] for a batch size of 0 or an
    /// augmentation out of range.
    pub fn training(
        dataset: Arc<Dataset>,
        batch_size: usize,
        normalization: Normalization,
        augment: AugmentConfig,
        run_seed: u64,
    ) -> Result<Self> {
        augment.validate(dataset.size())?;
        let assembler = BatchAssembler::training(normalization, augment, run_seed);
        Self::try_new(dataset, Split::Train, assembler, batch_size, LastBatch::Drop, Some(run_seed))
    }

    /// The batches of `split` in order, unchanged, the last one smaller if need be.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`] without images; [`DataError::Config`] for a batch size of 0.
    pub fn evaluation(
        dataset: Arc<Dataset>,
        split: Split,
        batch_size: usize,
        normalization: Normalization,
    ) -> Result<Self> {
        Self::try_new(
            dataset,
            split,
            BatchAssembler::evaluation(normalization),
            batch_size,
            LastBatch::Keep,
            None,
        )
    }

    fn try_new(
        dataset: Arc<Dataset>,
        split: Split,
        assembler: BatchAssembler,
        batch_size: usize,
        last: LastBatch,
        shuffle_seed: Option<u64>,
    ) -> Result<Self> {
        if batch_size == 0 {
            return Err(DataError::Config {
                field: "batch size",
                expected: "at least 1".into(),
                got: "0".into(),
            });
        }
        let indices = dataset.indices(split);
        if indices.is_empty() {
            return Err(DataError::EmptySplit { split, origin: dataset.origin().into() });
        }
        Ok(Self { dataset, indices, assembler, batch_size, last, shuffle_seed })
    }

    /// The data set.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Number of images an epoch draws from.
    pub fn num_images(&self) -> usize {
        self.indices.len()
    }

    /// Number of batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        num_batches(self.indices.len(), self.batch_size, self.last)
    }

    /// The order in which `epoch` visits the images.
    pub fn order(&self, epoch: u64) -> EpochOrder {
        match self.shuffle_seed {
            Some(seed) => EpochOrder::shuffled(&self.indices, seed, epoch),
            None => EpochOrder::sequential(&self.indices),
        }
    }

    /// The batches of `epoch` from number `first_batch` on: those that an unbroken run would give there.
    ///
    /// A thread of its own assembles the next batch while this one is worked on; give used batches back with
    /// [`Batches::recycle`] to reuse their memory.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Batches {
        let (sender, receiver) = sync_channel(1);
        let (recycle, recycled) = channel();
        let remaining = self.batches_per_epoch().saturating_sub(first_batch);
        let loader = self.clone();
        let worker = std::thread::spawn(move || loader.produce(epoch, first_batch, &sender, &recycled));
        Batches { receiver: Some(receiver), recycle, worker: Some(worker), remaining }
    }

    fn produce(
        mut self,
        epoch: u64,
        first_batch: usize,
        sender: &SyncSender<Result<Batch>>,
        recycled: &Receiver<Batch>,
    ) {
        let order = self.order(epoch);
        for number in first_batch..self.batches_per_epoch() {
            let mut batch = recycled.try_recv().unwrap_or_default();
            let outcome = self.assemble(&order, epoch, number, &mut batch).map(|()| batch);
            // The receiver is gone once nobody wants more batches.
            if sender.send(outcome).is_err() {
                return;
            }
        }
    }

    fn assemble(&mut self, order: &EpochOrder, epoch: u64, number: usize, batch: &mut Batch) -> Result<()> {
        let indices = order.batch(number, self.batch_size);
        batch.number = number;
        batch.indices.clear();
        batch.indices.extend_from_slice(indices);
        batch.labels.resize(indices.len(), 0);
        batch.images.resize(indices.len() * CHANNELS * self.dataset.size() * self.dataset.size(), 0.0);
        let position = number * self.batch_size;
        self.assembler.assemble(&self.dataset, indices, epoch, position, &mut batch.images, &mut batch.labels)
    }
}

/// The batches of one epoch, from [`Loader::epoch`].
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Result<Batch>>>,
    recycle: Sender<Batch>,
    worker: Option<JoinHandle<()>>,
    remaining: usize,
}

impl Batches {
    /// Gives a used batch back so that its memory serves again.
    pub fn recycle(&self, batch: Batch) {
        // A worker that has finished needs no more memory.
        let _ = self.recycle.send(batch);
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.remaining == 0 {
            return None;
        }
        self.remaining -= 1;
        match self.receiver.as_ref()?.recv() {
            Ok(outcome) => Some(outcome.expect(
                "Loader::assemble sizes the buffers it passes, and its indices come from the data set",
            )),
            Err(_) => {
                // The worker ended early, which only a panic explains: pass it on instead of a short epoch.
                if let Some(Err(panic)) = self.worker.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                None
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}
