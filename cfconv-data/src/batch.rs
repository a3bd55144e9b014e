//! Batches of normalised images in the engine's layout.

use rayon::prelude::*;

use crate::augment::{Draw, render};
use crate::config::AugmentConfig;
use crate::dataset::{CHANNELS, Dataset, Normalization};
use crate::error::{DataError, Result};
use crate::random::{Purpose, stream};

/// Turns cached bytes into network input: augments, normalises, and transposes to batch innermost.
///
/// It keeps a staging buffer between calls, so a run allocates once.
#[derive(Clone, Debug)]
pub struct BatchAssembler {
    normalization: Normalization,
    augment: AugmentConfig,
    run_seed: u64,
    /// `[B, 3·H·W]`, normalised images before the transposition.
    stage: Vec<f32>,
}

impl BatchAssembler {
    /// An assembler that normalises and changes nothing else.
    ///
    /// # Examples
    /// ```
    /// use cfconv_data::{BatchAssembler, Normalization};
    ///
    /// let normalization = Normalization { mean: [0.0; 3], std: [1.0; 3] };
    /// let red = [255, 0, 0];
    /// let blue = [0, 0, 255];
    /// let mut images = [0.0; 6]; // [C, H, W, B] = [3, 1, 1, 2]
    /// BatchAssembler::evaluation(normalization).assemble_images(&[&red, &blue], 1, &mut images).unwrap();
    /// assert_eq!(images, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    /// ```
    pub fn evaluation(normalization: Normalization) -> Self {
        Self { normalization, augment: AugmentConfig::default(), run_seed: 0, stage: Vec::new() }
    }

    /// An assembler that augments. Image number `position` of epoch `epoch` is changed by the random stream of
    /// (`run_seed`, epoch, position): neither the batch size nor the number of threads matters.
    pub fn training(normalization: Normalization, augment: AugmentConfig, run_seed: u64) -> Self {
        Self { normalization, augment, run_seed, stage: Vec::new() }
    }

    /// The normalisation applied.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Assembles the images `indices` of `dataset`, the first of which is number `first_position` of `epoch`.
    ///
    /// # Shapes
    /// `images`: `[3, size, size, B]`, `labels`: `[B]`, with B the number of indices.
    ///
    /// # Errors
    /// [`DataError::LengthMismatch`] if a buffer has another length, [`DataError::OutOfRange`] if an index is not
    /// below the number of images.
    pub fn assemble(
        &mut self,
        dataset: &Dataset,
        indices: &[usize],
        epoch: u64,
        first_position: usize,
        images: &mut [f32],
        labels: &mut [u32],
    ) -> Result<()> {
        let op = "BatchAssembler::assemble";
        if let Some(&index) = indices.iter().find(|&&index| index >= dataset.len()) {
            return Err(DataError::OutOfRange { op, operand: "index", bound: dataset.len(), got: index });
        }
        check_length(op, "labels", indices.len(), labels.len())?;
        check_length(op, "images", indices.len() * CHANNELS * dataset.size() * dataset.size(), images.len())?;
        for (label, &index) in labels.iter_mut().zip(indices) {
            *label = dataset.labels()[index];
        }
        self.fill(
            |number| dataset.image(indices[number]),
            indices.len(),
            dataset.size(),
            epoch,
            first_position,
            images,
        );
        Ok(())
    }

    /// Assembles images that belong to no data set, never augmented.
    ///
    /// # Shapes
    /// `sources`: B images `[3, size, size]`; `images`: `[3, size, size, B]`.
    ///
    /// # Errors
    /// [`DataError::LengthMismatch`] if an image or the buffer has another length.
    pub fn assemble_images(&self, sources: &[&[u8]], size: usize, images: &mut [f32]) -> Result<()> {
        let op = "BatchAssembler::assemble_images";
        let pixels = CHANNELS * size * size;
        for source in sources {
            check_length(op, "source", pixels, source.len())?;
        }
        check_length(op, "images", sources.len() * pixels, images.len())?;
        let mut plain = Self::evaluation(self.normalization);
        plain.fill(|number| sources[number], sources.len(), size, 0, 0, images);
        Ok(())
    }

    fn fill<'a>(
        &mut self,
        source: impl Fn(usize) -> &'a [u8] + Sync,
        batch: usize,
        size: usize,
        epoch: u64,
        first_position: usize,
        images: &mut [f32],
    ) {
        let pixels = CHANNELS * size * size;
        if batch == 0 || pixels == 0 {
            return;
        }
        self.stage.resize(batch * pixels, 0.0);
        let Self { normalization, augment, run_seed, stage } = self;
        let unchanged = augment.is_off();
        stage.par_chunks_exact_mut(pixels).enumerate().for_each(|(number, output)| {
            let draw = if unchanged {
                Draw::IDENTITY
            } else {
                let position = (first_position + number) as u64;
                Draw::random(augment, size, &mut stream(*run_seed, Purpose::Augment, epoch, position))
            };
            render(source(number), size, &draw, augment.fill, normalization, output);
        });
        transpose(stage, batch, pixels, images);
    }
}

fn check_length(op: &'static str, operand: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(DataError::LengthMismatch { op, operand, expected, got }) }
}

/// Pixels that one task transposes: 16 blocks of a cache line for each image, so that a task's part of a batch of
/// 64 (64 KiB) stays in the second-level cache.
const PIXELS_PER_TASK: usize = 256;
/// Side of the square blocks: one cache line of `f32`.
const BLOCK: usize = 16;

/// output[p, b] = stage[b, p], block by block so that both sides touch whole cache lines.
fn transpose(stage: &[f32], batch: usize, pixels: usize, output: &mut [f32]) {
    output.par_chunks_mut(PIXELS_PER_TASK * batch).enumerate().for_each(|(task, output)| {
        let first = task * PIXELS_PER_TASK;
        let count = output.len() / batch;
        for block_start in (0..batch).step_by(BLOCK) {
            let block_end = (block_start + BLOCK).min(batch);
            for pixel_start in (0..count).step_by(BLOCK) {
                let pixel_end = (pixel_start + BLOCK).min(count);
                // [BLOCK images, BLOCK pixels] gathered in registers or the first-level cache.
                let mut tile = [[0.0_f32; BLOCK]; BLOCK];
                for b in block_start..block_end {
                    let row = &stage[b * pixels + first + pixel_start..b * pixels + first + pixel_end];
                    tile[b - block_start][..row.len()].copy_from_slice(row);
                }
                for p in pixel_start..pixel_end {
                    let row = &mut output[p * batch + block_start..p * batch + block_end];
                    for (b, value) in row.iter_mut().enumerate() {
                        *value = tile[b][p - pixel_start];
                    }
                }
            }
        }
    });
    debug_assert_eq!(output.len(), batch * pixels);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposition_matches_definition() {
        for (batch, pixels) in [(1, 1), (1, 300), (17, 12), (64, 75), (33, 513), (16, 256)] {
            let stage: Vec<f32> = (0..batch * pixels).map(|n| n as f32).collect();
            let mut output = vec![f32::NAN; batch * pixels];
            transpose(&stage, batch, pixels, &mut output);
            for p in 0..pixels {
                for b in 0..batch {
                    assert_eq!(output[p * batch + b], stage[b * pixels + p]);
                }
            }
        }
    }
}
