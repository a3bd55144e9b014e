//! The forward transform, real planes to half spectra, and its adjoint.

use ndarray::{Array4, ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut4};

use crate::error::check_shape;
use crate::plan::{COLUMN_BLOCK, ColumnScale, Workspace, gather_columns, scatter_columns};
use crate::plane_iter::PlaneItem;
use crate::{Complex, FftNorm, Real, Result, Rfft2Plan, Rfft2Scratch};

impl<T: Real> Rfft2Plan<T> {
    /// Transforms real images into half spectra.
    ///
    /// `X[p, q] = s·Σ_{h,w} x[h, w]·exp(−2πi(ph/H + qw/W))` for q ≤ W/2, with s the
    /// [forward scale](FftNorm::forward_scale) of `norm`. Nothing is allocated; views may have any strides,
    /// contiguous rows are fastest.
    ///
    /// # Shapes
    /// `input` `[B, C, H, W]`, `output` `[B, C, H, W/2 + 1]`.
    ///
    /// # Errors
    /// Shapes that do not fit the plan or each other; scratch of another plan size.
    ///
    /// # Source
    /// Separable row-column algorithm. Plane by plane: realfft along rows, rustfft along columns that are transposed
    /// a few at a time into contiguous memory. In [groups](Self#groups-of-planes): pairs of real rows as one complex
    /// signal, then columns, across the planes.
    ///
    /// # Examples
    /// ```
    /// use cfconv_fft::{Complex, FftNorm, Rfft2Plan};
    /// use ndarray::{Array4, array};
    ///
    /// let plan = Rfft2Plan::<f64>::try_new(2, 2)?;
    /// let mut scratch = plan.scratch();
    /// let image = array![[[[1.0, 2.0], [3.0, 4.0]]]];
    /// let mut spectrum = Array4::default((1, 1, 2, 2));
    /// plan.rfft2_into(image.view(), spectrum.view_mut(), FftNorm::Backward, &mut scratch)?;
    /// let real = |re| Complex::new(re, 0.0);
    /// assert_eq!(spectrum, array![[[[real(10.0), real(-2.0)], [real(-4.0), real(0.0)]]]]);
    /// # Ok::<(), cfconv_fft::FftError>(())
    /// ```
    pub fn rfft2_into(
        &self,
        input: ArrayView4<'_, T>,
        output: ArrayViewMut4<'_, Complex<T>>,
        norm: FftNorm,
        scratch: &mut Rfft2Scratch<T>,
    ) -> Result<()> {
        let scale = ColumnScale::uniform(norm.forward_scale(self.points()));
        self.forward("rfft2", ["input", "output"], input, output, scale, scratch)
    }

    /// The adjoint of [`rfft2_into`](Self::rfft2_into): gradients of half spectra become gradients of images.
    ///
    /// `grad_input = s·HW·irfft2(grad_output / m)` with s the forward scale of `norm`, m the multiplicity and
    /// the inverse transform in `Backward` norm; `⟨rfft2(x), G⟩ = ⟨x, rfft2_adjoint(G)⟩` for every x and G,
    /// Hermitian or not.
    ///
    /// # Shapes
    /// `grad_output` `[B, C, H, W/2 + 1]`, `grad_input` `[B, C, H, W]`, overwritten.
    ///
    /// # Errors
    /// As [`rfft2_into`](Self::rfft2_into).
    ///
    /// # Source
    /// docs/derivations/fft-adjoints.md.
    ///
    /// # Examples
    /// ```
    /// use cfconv_fft::{Complex, FftNorm, Rfft2Plan};
    /// use ndarray::{Array4, array};
    ///
    /// // The gradient of Re X[0, 0] = Σ x is 1 everywhere.
    /// let plan = Rfft2Plan::<f64>::try_new(2, 3)?;
    /// let mut grad_output = Array4::<Complex<f64>>::default((1, 1, 2, 2));
    /// grad_output[[0, 0, 0, 0]].re = 1.0;
    /// let grad_input = plan.rfft2_adjoint(grad_output.view(), FftNorm::Backward)?;
    /// assert!(grad_input.iter().all(|&g| (g - 1.0).abs() < 1e-15));
    /// # Ok::<(), cfconv_fft::FftError>(())
    /// ```
    pub fn rfft2_adjoint_into(
        &self,
        grad_output: ArrayView4<'_, Complex<T>>,
        grad_input: ArrayViewMut4<'_, T>,
        norm: FftNorm,
        scratch: &mut Rfft2Scratch<T>,
    ) -> Result<()> {
        let scale = ColumnScale::over_multiplicity(norm.forward_scale(self.points()));
        self.inverse("rfft2_adjoint", ["grad_output", "grad_input"], grad_output, grad_input, scale, scratch)
    }

    /// [`rfft2_into`](Self::rfft2_into) with output and scratch of its own.
    ///
    /// # Errors
    /// As [`rfft2_into`](Self::rfft2_into).
    pub fn rfft2(&self, input: ArrayView4<'_, T>, norm: FftNorm) -> Result<Array4<Complex<T>>> {
        let (batch, channels, _, _) = input.dim();
        let mut output = Array4::default((batch, channels, self.height, self.half_width()));
        self.rfft2_into(input, output.view_mut(), norm, &mut self.scratch_for_planes(batch * channels))?;
        Ok(output)
    }

    /// [`rfft2_adjoint_into`](Self::rfft2_adjoint_into) with output and scratch of its own.
    ///
    /// # Errors
    /// As [`rfft2_into`](Self::rfft2_into).
    pub fn rfft2_adjoint(&self, grad_output: ArrayView4<'_, Complex<T>>, norm: FftNorm) -> Result<Array4<T>> {
        let (batch, channels, _, _) = grad_output.dim();
        let mut grad_input = Array4::default((batch, channels, self.height, self.width));
        self.rfft2_adjoint_into(
            grad_output,
            grad_input.view_mut(),
            norm,
            &mut self.scratch_for_planes(batch * channels),
        )?;
        Ok(grad_input)
    }

    /// Real planes to half spectra whose columns are scaled by `scale`.
    pub(crate) fn forward(
        &self,
        op: &'static str,
        [input_name, output_name]: [&'static str; 2],
        input: ArrayView4<'_, T>,
        output: ArrayViewMut4<'_, Complex<T>>,
        scale: ColumnScale<T>,
        scratch: &mut Rfft2Scratch<T>,
    ) -> Result<()> {
        self.check_planes(op, input_name, input.shape(), self.width)?;
        let (batch, channels, _, _) = input.dim();
        let expected = [batch, channels, self.height, self.half_width()];
        check_shape(op, output_name, &expected, output.shape())?;
        self.check_scratch(op, scratch)?;
        scratch.for_each(self.planes(input, output), |item, workspace| match (item, &self.group) {
            (PlaneItem::Group(input, output), Some(group)) => {
                group.forward(input, output, scale, &mut workspace.points);
            }
            (PlaneItem::Group(..), None) => unreachable!("only a plan with group transforms makes groups"),
            (PlaneItem::Plane(input, output), _) => self.forward_plane(input, output, scale, workspace),
        });
        Ok(())
    }

    /// `[H, W]` real to `[H, Wr]` complex.
    fn forward_plane(
        &self,
        input: ArrayView2<'_, T>,
        mut output: ArrayViewMut2<'_, Complex<T>>,
        scale: ColumnScale<T>,
        workspace: &mut Workspace<T>,
    ) {
        let Workspace { row, plane, block, line, .. } = workspace;
        let (width, half_width) = (self.width, self.half_width());
        // Rows: [H, W] → plane [H, Wr]. realfft overwrites its input, so each row is copied first.
        for (input_row, spectrum) in input.rows().into_iter().zip(plane.chunks_exact_mut(half_width)) {
            match input_row.as_slice() {
                Some(values) => row.copy_from_slice(values),
                None => row.iter_mut().zip(&input_row).for_each(|(value, &input)| *value = input),
            }
            self.lines
                .rows_forward
                .process_with_scratch(row, spectrum, line)
                .expect("row, spectrum and scratch have the lengths of the plan");
        }
        // Columns: a block at a time through contiguous memory, [H, Wr] → [columns, H] → [H, Wr].
        for first in (0..half_width).step_by(COLUMN_BLOCK) {
            let columns = COLUMN_BLOCK.min(half_width - first);
            let block = &mut block[..columns * self.height];
            gather_columns(plane, half_width, first, columns, block);
            self.lines.columns_forward.process_with_scratch(block, line);
            let map = |value: Complex<T>, column| value * scale.of(column, width);
            match output.as_slice_mut() {
                Some(flat) => scatter_columns(block, flat, half_width, first, columns, map),
                None => {
                    for (j, values) in block.chunks_exact(self.height).enumerate() {
                        for (h, &value) in values.iter().enumerate() {
                            output[[h, first + j]] = map(value, first + j);
                        }
                    }
                }
            }
        }
    }
}
