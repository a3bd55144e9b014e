//! Watches a run, step by step and epoch by epoch.

use serde::{Deserialize, Serialize};

use super::fluctuation::{self, LossJumps};
use super::plateau::{self, EpochPoint};
use super::{Signature, SignatureKind, ringing};
use crate::metrics::{KernelHealth, Score};
use crate::networks::BatchLoss;

/// From this shadow gap on, kernels lag far behind their networks.
pub(super) const LARGE_GAP: f64 = 0.3;

/// Below this coverage of an epoch, positions are too few.
const SMALL_COVERAGE: f64 = 0.9;

/// What an epoch's end looks like.
#[derive(Clone, Copy, Debug)]
pub struct EpochView<'a> {
    /// Steps done.
    pub step: usize,
    /// The epoch, from 0.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub planned_epochs: usize,
    /// Number of classes.
    pub classes: usize,
    /// The validation of the weights that evaluation uses, where there was one.
    pub validation: Option<Score>,
    /// The CF-Conv layers' kernels.
    pub kernels: &'a [KernelHealth],
}

impl EpochView<'_> {
    fn largest_gap(&self) -> Option<f64> {
        self.kernels.iter().map(|kernel| kernel.shadow_gap).reduce(f64::max)
    }

    fn smallest_coverage(&self) -> Option<f64> {
        self.kernels.iter().map(|kernel| kernel.coverage).reduce(f64::min)
    }

    /// Adds the largest shadow gap, the smallest coverage and the validation accuracy to the evidence.
    pub(super) fn with_kernels(&self, signature: Signature) -> Signature {
        let numbers = [
            ("shadow_gap", self.largest_gap()),
            ("coverage", self.smallest_coverage()),
            ("validation_accuracy", self.validation.map(|score| score.accuracy)),
        ];
        numbers.into_iter().fold(signature, |signature, (name, value)| match value {
            Some(value) => signature.with(name, value),
            None => signature,
        })
    }

    /// What the kernels' state suggests to change besides; empty if nothing.
    pub(super) fn kernel_advice(&self) -> String {
        let lagging = self.largest_gap().is_some_and(|gap| gap > LARGE_GAP);
        let uncovered = self.smallest_coverage().is_some_and(|coverage| coverage < SMALL_COVERAGE);
        match (lagging, uncovered) {
            (_, true) => "; more network.sampler.num_positions or the lattice sampler: an epoch does not refresh every \
                          position"
                .to_owned(),
            (true, false) => "; ema_alpha nearer to 1, more network.sampler.num_positions, or the lattice sampler: the \
                              kernels lag behind their networks"
                .to_owned(),
            (false, false) => String::new(),
        }
    }
}

/// What a run remembers to recognise failures; part of its checkpoints, so that a resumed run sees the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// This epoch's steps so far.
    jumps: LossJumps,
    epochs: Vec<EpochPoint>,
    /// Jumps of the epochs so far, over what the choice of images explains.
    jump_ratios: Vec<Option<f64>>,
    validations: Vec<Score>,
    signatures: Vec<Signature>,
}

impl Watch {
    /// Everything recognised so far, in order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Takes in a step.
    pub fn step(&mut self, loss: &BatchLoss) {
        self.jumps.add(loss);
    }

    /// Takes in a signature that was recognised elsewhere.
    pub fn record(&mut self, signature: Signature) {
        self.signatures.push(signature);
    }

    /// Ends an epoch, whose training score and middle learning rate, as a share of the configured one, are `point`.
    /// Returns what is recognised for the first time in the run.
    pub fn end_epoch(&mut self, view: &EpochView<'_>, point: EpochPoint) -> Vec<Signature> {
        self.jump_ratios.push(std::mem::take(&mut self.jumps).ratio());
        self.epochs.push(point);
        self.validations.extend(view.validation);
        let found = [
            plateau::find(view, &self.epochs),
            fluctuation::find_jumps(view, &self.jump_ratios)
                .or_else(|| fluctuation::find_falls(view, &self.validations)),
            ringing::find(view),
        ];
        let fresh: Vec<Signature> =
            found.into_iter().flatten().filter(|found| !self.has_seen(found.kind)).collect();
        self.signatures.extend(fresh.iter().cloned());
        fresh
    }

    fn has_seen(&self, kind: SignatureKind) -> bool {
        self.signatures.iter().any(|signature| signature.kind == kind)
    }
}
