//! Kernels of k×k taps, determined exactly by Φ on a k×k lattice of frequencies.
//!
//! A kernel whose spatial support is k×k has k² real degrees of freedom a channel pair, and by the sampling
//! theorem its spectrum on any finer grid follows from its values at the k×k frequencies `(p/k, q/k)`. So Φ
//! is evaluated there alone:
//!
//! ```text
//! t[a, b]  = irfft2_k(Φ)[a, b]                                  the taps; a, b are offsets modulo k
//! y[h, w]  = Σ_{|r|,|s| ≤ (k−1)/2} t[r mod k, s mod k]·x[h − r, w − s]
//! K[h, w]  = rfft2(t placed on the H×W torus)                   the same in the spectral form
//! ```
//!
//! Every map is linear and its adjoint is exact, so the gradient reaches Φ without sampling noise and, in
//! the direct form, without an array of the kernel's full size. All transforms run with a block of channel
//! pairs in the lanes of the vector registers.

use std::ops::Range;

use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, Real, multiplicity};

use crate::error::{Result, check_len};
use crate::pair_planes::{forward_planes, inverse_planes};
use crate::sampler::check_lattice_size;

/// The maps between lattice values, spatial taps, cross-correlation weights and torus spectra.
///
/// # Shapes
/// Lattice values `[k, (k + 1)/2, Cin, Cout]`, taps `[k, k, Cin, Cout]` (tap `(a, b)` belongs to the offsets
/// congruent to a and b modulo k), weights `[Cout, Cin, k, k]`, spectra `[H, Wr, Cin, Cout]`.
///
/// # Source
/// The sampling theorem of Shannon and Whittaker with space and frequency exchanged.
#[derive(Debug, Clone)]
pub struct Lattice<T> {
    size: usize,
    in_channels: usize,
    out_channels: usize,
    plan: LanesRfft2<T>,
}

impl<T: Real> Lattice<T> {
    /// Plans the maps for `size`×`size` taps.
    ///
    /// # Errors
    /// [`CoreError::InvalidSetting`](crate::CoreError::InvalidSetting) for an even size.
    pub fn try_new(size: usize, in_channels: usize, out_channels: usize) -> Result<Self> {
        check_lattice_size(size)?;
        Ok(Self { size, in_channels, out_channels, plan: LanesRfft2::try_new(size, size)? })
    }

    /// Number of taps: `k·k·Cin·Cout`.
    pub fn num_taps(&self) -> usize {
        self.size * self.size * self.channel_pairs()
    }

    /// Number of complex lattice values: `k·(k + 1)/2·Cin·Cout`.
    pub fn num_values(&self) -> usize {
        self.size * self.size.div_ceil(2) * self.channel_pairs()
    }

    /// Transforms lattice values to taps: `irfft2` at size k, which uses the Hermitian part of the
    /// self-conjugate column.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`](crate::CoreError::ShapeMismatch) if a slice has the wrong length.
    pub fn taps(&self, values: &[Complex<T>], taps: &mut [T]) -> Result<()> {
        check_len("Lattice::taps", "values", self.num_values(), values.len())?;
        check_len("Lattice::taps", "taps", self.num_taps(), taps.len())?;
        let scale = T::one() / T::cast((self.size * self.size) as f64);
        let pairs = self.channel_pairs();
        inverse_planes(
            &self.plan,
            pairs,
            values,
            scale,
            |_| T::one(),
            |range, plane| {
                for (tap, plane) in plane.chunks_exact(range.len()).enumerate() {
                    taps[tap * pairs..][range.clone()].copy_from_slice(plane);
                }
            },
        );
        Ok(())
    }

    /// The adjoint of [`taps`](Self::taps): `grad_values = m/k² · rfft2_k(grad_taps)`; overwrites.
    ///
    /// # Errors
    /// As for [`taps`](Self::taps).
    pub fn taps_adjoint(&self, grad_taps: &[T], grad_values: &mut [Complex<T>]) -> Result<()> {
        check_len("Lattice::taps_adjoint", "grad_taps", self.num_taps(), grad_taps.len())?;
        check_len("Lattice::taps_adjoint", "grad_values", self.num_values(), grad_values.len())?;
        let scale = T::one() / T::cast((self.size * self.size) as f64);
        let read = |at: usize, pairs: Range<usize>, plane: &mut [T]| {
            plane.copy_from_slice(&grad_taps[at * self.channel_pairs()..][pairs]);
        };
        let factor = |q| T::cast(multiplicity(q, self.size) as f64);
        forward_planes(&self.plan, self.channel_pairs(), read, scale, factor, grad_values);
        Ok(())
    }

    /// Reorders taps to the weights of the equal cross-correlation: `w[o, i, r, s] = t[ρ − r, ρ − s]` with
    /// ρ = (k − 1)/2, offsets modulo k.
    ///
    /// # Errors
    /// As for [`taps`](Self::taps).
    pub fn weights(&self, taps: &[T], weights: &mut [T]) -> Result<()> {
        check_len("Lattice::weights", "taps", self.num_taps(), taps.len())?;
        check_len("Lattice::weights", "weights", self.num_taps(), weights.len())?;
        self.for_each_weight(|weight, tap| weights[weight] = taps[tap]);
        Ok(())
    }

    /// The adjoint (and inverse) of [`weights`](Self::weights); overwrites.
    ///
    /// # Errors
    /// As for [`taps`](Self::taps).
    pub fn weights_adjoint(&self, grad_weights: &[T], grad_taps: &mut [T]) -> Result<()> {
        check_len("Lattice::weights_adjoint", "grad_weights", self.num_taps(), grad_weights.len())?;
        check_len("Lattice::weights_adjoint", "grad_taps", self.num_taps(), grad_taps.len())?;
        self.for_each_weight(|weight, tap| grad_taps[tap] = grad_weights[weight]);
        Ok(())
    }

    /// Places the taps on the torus of `torus` and transforms them to its half spectrum. On a torus smaller
    /// than the support, taps that meet are added.
    ///
    /// # Shapes
    /// `taps` `[k, k, Cin, Cout]`, `kernel` `[H, Wr, Cin, Cout]`.
    ///
    /// # Errors
    /// As for [`taps`](Self::taps).
    pub fn spectrum(&self, torus: &LanesRfft2<T>, taps: &[T], kernel: &mut [Complex<T>]) -> Result<()> {
        let (height, width, pairs) = (torus.height(), torus.width(), self.channel_pairs());
        check_len("Lattice::spectrum", "taps", self.num_taps(), taps.len())?;
        check_len("Lattice::spectrum", "kernel", height * torus.half_width() * pairs, kernel.len())?;
        let sources = self.torus_sources(height, width);
        let read = |at: usize, range: Range<usize>, plane: &mut [T]| {
            plane.fill(T::zero());
            for &tap in &sources[at] {
                for (value, &tap) in plane.iter_mut().zip(&taps[tap * pairs..][range.clone()]) {
                    *value += tap;
                }
            }
        };
        forward_planes(torus, pairs, read, T::one(), |_| T::one(), kernel);
        Ok(())
    }

    /// The adjoint of [`spectrum`](Self::spectrum): the taps' share of `H·W·irfft2(grad_kernel / m)`;
    /// overwrites `grad_taps`.
    ///
    /// # Errors
    /// As for [`taps`](Self::taps).
    pub fn spectrum_adjoint(
        &self,
        torus: &LanesRfft2<T>,
        grad_kernel: &[Complex<T>],
        grad_taps: &mut [T],
    ) -> Result<()> {
        let (height, width, pairs) = (torus.height(), torus.width(), self.channel_pairs());
        let op = "Lattice::spectrum_adjoint";
        check_len(op, "grad_kernel", height * torus.half_width() * pairs, grad_kernel.len())?;
        check_len(op, "grad_taps", self.num_taps(), grad_taps.len())?;
        let sources = self.torus_sources(height, width);
        inverse_planes(
            torus,
            pairs,
            grad_kernel,
            T::one(),
            |q| T::one() / T::cast(multiplicity(q, width) as f64),
            |range, plane| {
                for (taps, plane) in sources.iter().zip(plane.chunks_exact(range.len())) {
                    for &tap in taps {
                        grad_taps[tap * pairs..][range.clone()].copy_from_slice(plane);
                    }
                }
            },
        );
        Ok(())
    }

    fn channel_pairs(&self) -> usize {
        self.in_channels * self.out_channels
    }

    /// Calls `visit(weight index, tap index)` for every weight.
    fn for_each_weight(&self, mut visit: impl FnMut(usize, usize)) {
        let (size, radius) = (self.size, self.size / 2);
        // Tap of cross-correlation index r: the offset ρ − r, modulo k.
        let offset = |r: usize| (radius + size - r) % size;
        let mut weight = 0;
        for o in 0..self.out_channels {
            for i in 0..self.in_channels {
                for r in 0..size {
                    for s in 0..size {
                        let tap = offset(r) * size + offset(s);
                        visit(weight, (tap * self.in_channels + i) * self.out_channels + o);
                        weight += 1;
                    }
                }
            }
        }
    }

    /// For each pixel of the torus, the taps (`a·k + b`) that lie on it.
    fn torus_sources(&self, height: usize, width: usize) -> Vec<Vec<usize>> {
        let (size, radius) = (self.size, self.size / 2);
        // Pixel of the tap with residue a: its signed offset, modulo the torus.
        let pixel = |a: usize, extent: usize| {
            if a <= radius { a % extent } else { (extent - (size - a) % extent) % extent }
        };
        let mut sources = vec![Vec::new(); height * width];
        for a in 0..size {
            for b in 0..size {
                sources[pixel(a, height) * width + pixel(b, width)].push(a * size + b);
            }
        }
        sources
    }
}
