//! The inverse transform, half spectra to real planes, and its adjoint.

use ndarray::{Array4, ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut4};

use crate::error::check_shape;
use crate::plan::{COLUMN_BLOCK, ColumnScale, Workspace, gather_columns, scatter_columns};
use crate::plane_iter::PlaneItem;
use crate::{Complex, FftNorm, Real, Result, Rfft2Plan, Rfft2Scratch};

impl<T: Real> Rfft2Plan<T> {
    /// Transforms half spectra into real images.
    ///
    /// `y[h, w] = s·Σ_{p,q} m[q]·Re(Y[p, q]·exp(+2πi(ph/H + qw/W)))` with m the
    /// [multiplicity](crate::multiplicity) and s the [inverse scale](FftNorm::inverse_scale) of `norm`.
    /// The formula defines the result for every input: of the self-conjugate columns only the Hermitian part
    /// counts (see [`hermitian_project`](crate::hermitian_project)), the anti-Hermitian part contributes
    /// nothing. Nothing is allocated; views may have any strides.
    ///
    /// # Shapes
    /// `input` `[B, C, H, W/2 + 1]`, `output` `[B, C, H, W]`.
    ///
    /// # Errors
    /// Shapes that do not fit the plan or each other; scratch of another plan size.
    ///
    /// # Source
    /// Separable column-row algorithm, as [`rfft2_into`](Self::rfft2_into). realfft refuses rows whose dc or Nyquist
    /// bin has an imaginary part; dropping it after the column transforms is exactly the Hermitian projection.
    ///
    /// # Examples
    /// ```
    /// use cfconv_fft::{Complex, FftNorm, Rfft2Plan};
    /// use ndarray::Array4;
    ///
    /// // A single bin at row 0, column 1 is a horizontal cosine; it counts twice, as itself and as its mirror.
    /// let plan = Rfft2Plan::<f64>::try_new(1, 4)?;
    /// let mut spectrum = Array4::<Complex<f64>>::default((1, 1, 1, 3));
    /// spectrum[[0, 0, 0, 1]].re = 2.0;
    /// let mut image = Array4::zeros((1, 1, 1, 4));
    /// plan.irfft2_into(spectrum.view(), image.view_mut(), FftNorm::Backward, &mut plan.scratch())?;
    /// assert_eq!(image.into_raw_vec_and_offset().0, [1.0, 0.0, -1.0, 0.0]);
    /// # Ok::<(), cfconv_fft::FftError>(())
    /// ```
    pub fn irfft2_into(
        &self,
        input: ArrayView4<'_, Complex<T>>,
        output: ArrayViewMut4<'_, T>,
        norm: FftNorm,
        scratch: &mut Rfft2Scratch<T>,
    ) -> Result<()> {
        let scale = ColumnScale::uniform(norm.inverse_scale(self.points()));
        self.inverse("irfft2", ["input", "output"], input, output, scale, scratch)
    }

    /// The adjoint of [`irfft2_into`](Self::irfft2_into): gradients of images become gradients of half
    /// spectra.
    ///
    /// `grad_input = s·m·rfft2(grad_output)` with s the inverse scale of `norm`, m the multiplicity and the
    /// forward transform in `Backward` norm; `⟨irfft2(Z), g⟩ = ⟨Z, irfft2_adjoint(g)⟩` for every Z and g. Its
    /// self-conjugate columns are Hermitian: a gradient never points where `irfft2` does not look.
    ///
    /// # Shapes
    /// `grad_output` `[B, C, H, W]`, `grad_input` `[B, C, H, W/2 + 1]`, overwritten.
    ///
    /// # Errors
    /// As [`irfft2_into`](Self::irfft2_into).
    ///
    /// # Source
    /// docs/derivations/fft-adjoints.md.
    ///
    /// # Examples
    /// ```
    /// use cfconv_fft::{FftNorm, Rfft2Plan};
    /// use ndarray::Array4;
    ///
    /// // y[0] of four points depends on dc with weight 1/4 and on column 1 with weight 2/4.
    /// let plan = Rfft2Plan::<f64>::try_new(1, 4)?;
    /// let mut grad_output = Array4::zeros((1, 1, 1, 4));
    /// grad_output[[0, 0, 0, 0]] = 1.0;
    /// let grad_input = plan.irfft2_adjoint(grad_output.view(), FftNorm::Backward)?;
    /// assert_eq!(grad_input.iter().map(|g| g.re).collect::<Vec<_>>(), [0.25, 0.5, 0.25]);
    /// # Ok::<(), cfconv_fft::FftError>(())
    /// ```
    pub fn irfft2_adjoint_into(
        &self,
        grad_output: ArrayView4<'_, T>,
        grad_input: ArrayViewMut4<'_, Complex<T>>,
        norm: FftNorm,
        scratch: &mut Rfft2Scratch<T>,
    ) -> Result<()> {
        let scale = ColumnScale::times_multiplicity(norm.inverse_scale(self.points()));
        self.forward("irfft2_adjoint", ["grad_output", "grad_input"], grad_output, grad_input, scale, scratch)
    }

    /// [`irfft2_into`](Self::irfft2_into) with output and scratch of its own.
    ///
    /// # Errors
    /// As [`irfft2_into`](Self::irfft2_into).
    pub fn irfft2(&self, input: ArrayView4<'_, Complex<T>>, norm: FftNorm) -> Result<Array4<T>> {
        let (batch, channels, _, _) = input.dim();
        let mut output = Array4::default((batch, channels, self.height, self.width));
        self.irfft2_into(input, output.view_mut(), norm, &mut self.scratch_for_planes(batch * channels))?;
        Ok(output)
    }

    /// [`irfft2_adjoint_into`](Self::irfft2_adjoint_into) with output and scratch of its own.
    ///
    /// # Errors
    /// As [`irfft2_into`](Self::irfft2_into).
    pub fn irfft2_adjoint(
        &self,
        grad_output: ArrayView4<'_, T>,
        norm: FftNorm,
    ) -> Result<Array4<Complex<T>>> {
        let (batch, channels, _, _) = grad_output.dim();
        let mut grad_input = Array4::default((batch, channels, self.height, self.half_width()));
        self.irfft2_adjoint_into(
            grad_output,
            grad_input.view_mut(),
            norm,
            &mut self.scratch_for_planes(batch * channels),
        )?;
        Ok(grad_input)
    }

    /// Half spectra, columns scaled by `scale`, to real planes.
    pub(crate) fn inverse(
        &self,
        op: &'static str,
        [input_name, output_name]: [&'static str; 2],
        input: ArrayView4<'_, Complex<T>>,
        output: ArrayViewMut4<'_, T>,
        scale: ColumnScale<T>,
        scratch: &mut Rfft2Scratch<T>,
    ) -> Result<()> {
        self.check_planes(op, input_name, input.shape(), self.half_width())?;
        let (batch, channels, _, _) = input.dim();
        check_shape(op, output_name, &[batch, channels, self.height, self.width], output.shape())?;
        self.check_scratch(op, scratch)?;
        scratch.for_each(self.planes(input, output), |item, workspace| match (item, &self.group) {
            (PlaneItem::Group(input, output), Some(group)) => {
                group.inverse(input, output, scale, &mut workspace.points);
            }
            (PlaneItem::Group(..), None) => unreachable!("only a plan with group transforms makes groups"),
            (PlaneItem::Plane(input, output), _) => self.inverse_plane(input, output, scale, workspace),
        });
        Ok(())
    }

    /// `[H, Wr]` complex to `[H, W]` real.
    fn inverse_plane(
        &self,
        input: ArrayView2<'_, Complex<T>>,
        mut output: ArrayViewMut2<'_, T>,
        scale: ColumnScale<T>,
        workspace: &mut Workspace<T>,
    ) {
        let Workspace { row, plane, block, line, .. } = workspace;
        let (width, half_width) = (self.width, self.half_width());
        // Columns: a block at a time through contiguous memory, [H, Wr] → [columns, H] → plane [H, Wr].
        for first in (0..half_width).step_by(COLUMN_BLOCK) {
            let columns = COLUMN_BLOCK.min(half_width - first);
            let block = &mut block[..columns * self.height];
            match input.as_slice() {
                Some(flat) => gather_columns(flat, half_width, first, columns, block),
                None => {
                    for (j, values) in block.chunks_exact_mut(self.height).enumerate() {
                        for (h, value) in values.iter_mut().enumerate() {
                            *value = input[[h, first + j]];
                        }
                    }
                }
            }
            self.lines.columns_inverse.process_with_scratch(block, line);
            let map = |value: Complex<T>, column| value * scale.of(column, width);
            scatter_columns(block, plane, half_width, first, columns, map);
        }
        // Rows: [H, Wr] → [H, W]. The inverse transform along the column has made the Hermitian part of a
        // self-conjugate column real and its anti-Hermitian part imaginary.
        for (spectrum, mut output_row) in plane.chunks_exact_mut(half_width).zip(output.rows_mut()) {
            spectrum[0].im = T::zero();
            if width.is_multiple_of(2) {
                spectrum[half_width - 1].im = T::zero();
            }
            match output_row.as_slice_mut() {
                Some(values) => self.inverse_row(spectrum, values, line),
                None => {
                    self.inverse_row(spectrum, row, line);
                    output_row.iter_mut().zip(row.iter()).for_each(|(output, &value)| *output = value);
                }
            }
        }
    }

    fn inverse_row(&self, spectrum: &mut [Complex<T>], row: &mut [T], line: &mut [Complex<T>]) {
        self.lines
            .rows_inverse
            .process_with_scratch(spectrum, row, line)
            .expect("spectrum, row and scratch have the lengths of the plan and dc and Nyquist are real");
    }
}
