//! Plans and scratch of the two-dimensional transforms of NCHW arrays.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayView4, ArrayViewMut4};
use rayon::prelude::*;

use crate::backend::LinePlans;
use crate::error::check_sizes;
use crate::lanes::{ComplexLanes, LANES, PlaneGroup};
use crate::plane_iter::{MIN_GROUPS, PlaneItem, PlaneItems};
use crate::{Complex, FftError, Real, Result, half_width};

/// Columns that are gathered, transformed and scattered together: two cache lines of `Complex<f32>`.
pub(crate) const COLUMN_BLOCK: usize = 16;

/// Rows a gather or scatter handles together, so that both of its sides stay within few cache lines.
const ROW_TILE: usize = 8;

/// A plan for the real transforms of planes of one size: made once, used for any number of planes.
///
/// It holds the one-dimensional plans (rows and columns, forward and inverse) of any height and width
/// of at least 1, also odd and prime ones. Methods: [`rfft2_into`](Self::rfft2_into),
/// [`irfft2_into`](Self::irfft2_into), [`rfft2_adjoint_into`](Self::rfft2_adjoint_into),
/// [`irfft2_adjoint_into`](Self::irfft2_adjoint_into), which work in cache, in parallel over planes, and allocate
/// nothing; and of each an allocating form without `_into`.
///
/// # Groups of planes
/// Planes go through the transforms one by one, or 16 at a time, one in each lane of the vector registers, which
/// is about twice as fast. The latter needs at least 64 planes, both arrays contiguous, no prime factor of the
/// height and the width above 31, a width of at least 16 and at most 8 MiB for the half spectra of a group (`f32`:
/// planes up to about 350×350); the planes that do not fill a group at the end still go one by one. The two agree to
/// rounding. Which one a plane takes depends on the sizes, the strides and its place in the array, never on the
/// number of threads or on what the array holds.
///
/// A plan is cheap to clone and can be shared between threads; each caller brings its own
/// [scratch](Self::scratch).
///
/// # Examples
/// ```
/// use cfconv_fft::{FftNorm, Rfft2Plan};
/// use ndarray::Array4;
///
/// let plan = Rfft2Plan::<f32>::try_new(6, 5)?;
/// let images = Array4::<f32>::ones((2, 3, 6, 5));
/// let spectrum = plan.rfft2(images.view(), FftNorm::Backward)?;
/// assert_eq!(spectrum.shape(), [2, 3, 6, 3]);
/// assert_eq!(spectrum[[1, 2, 0, 0]].re, 30.0); // dc: the sum of the 30 ones
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
#[derive(Clone)]
pub struct Rfft2Plan<T> {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) lines: LinePlans<T>,
    /// The transforms of groups of planes, where they are faster.
    pub(crate) group: Option<Arc<PlaneGroup<T>>>,
}

impl<T: Real> Rfft2Plan<T> {
    /// Plans the transforms of planes of `height` × `width`.
    ///
    /// # Errors
    /// [`FftError::ZeroSize`] if a size is zero.
    pub fn try_new(height: usize, width: usize) -> Result<Self> {
        check_sizes("Rfft2Plan", &[("height", height), ("width", width)])?;
        let group = PlaneGroup::where_faster(height, width).map(Arc::new);
        Ok(Self { height, width, lines: T::plan_lines(height, width), group })
    }

    /// Number of rows of a plane.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of columns of a plane.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of columns of a half spectrum, `width / 2 + 1`.
    pub fn half_width(&self) -> usize {
        half_width(self.width)
    }

    /// Number of points H·W of a plane.
    pub fn points(&self) -> usize {
        self.height * self.width
    }

    /// Scratch for as many threads as the current rayon pool has.
    pub fn scratch(&self) -> Rfft2Scratch<T> {
        self.scratch_for_threads(rayon::current_num_threads())
    }

    /// Scratch for at most `threads` threads; 0 counts as 1.
    ///
    /// With 1, transforms run on the calling thread and rayon is not involved. The results do not depend on
    /// the number.
    pub fn scratch_for_threads(&self, threads: usize) -> Rfft2Scratch<T> {
        self.scratch_with(threads, true)
    }

    /// Scratch for a single transform of `planes` planes: without that of groups where there will be none.
    pub(crate) fn scratch_for_planes(&self, planes: usize) -> Rfft2Scratch<T> {
        self.scratch_with(rayon::current_num_threads().min(planes), planes >= MIN_GROUPS * LANES)
    }

    fn scratch_with(&self, threads: usize, groups: bool) -> Rfft2Scratch<T> {
        let line_scratch = [
            self.lines.rows_forward.get_scratch_len(),
            self.lines.rows_inverse.get_scratch_len(),
            self.lines.columns_forward.get_inplace_scratch_len(),
            self.lines.columns_inverse.get_inplace_scratch_len(),
        ];
        let points = self.group.as_ref().filter(|_| groups).map_or(0, |group| group.scratch_len());
        let zero = Complex::new(T::zero(), T::zero());
        let workspace = Workspace {
            row: vec![T::zero(); self.width],
            plane: vec![zero; self.height * self.half_width()],
            block: vec![zero; self.height * COLUMN_BLOCK.min(self.half_width())],
            line: vec![zero; line_scratch.into_iter().max().unwrap_or(0)],
            points: vec![ComplexLanes::zero(); points],
        };
        Rfft2Scratch { height: self.height, width: self.width, workspaces: vec![workspace; threads.max(1)] }
    }

    /// What there is to do for a transform of all planes of `input`: groups of planes where they pay.
    pub(crate) fn planes<'a, A, B>(
        &self,
        input: ArrayView4<'a, A>,
        output: ArrayViewMut4<'a, B>,
    ) -> PlaneItems<'a, A, B> {
        if self.group.is_some() {
            PlaneItems::grouped(input, output)
        } else {
            PlaneItems::single(input, output)
        }
    }

    pub(crate) fn check_scratch(&self, op: &'static str, scratch: &Rfft2Scratch<T>) -> Result<()> {
        let expected = [self.height, self.width];
        let got = [scratch.height, scratch.width];
        if expected == got { Ok(()) } else { Err(FftError::ScratchMismatch { op, expected, got }) }
    }

    /// Fails unless `operand` has shape `[batch, channels, height, columns]`.
    pub(crate) fn check_planes(
        &self,
        op: &'static str,
        operand: &'static str,
        shape: &[usize],
        columns: usize,
    ) -> Result<()> {
        crate::error::check_shape(op, operand, &[shape[0], shape[1], self.height, columns], shape)
    }
}

impl<T> fmt::Debug for Rfft2Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rfft2Plan").field("height", &self.height).field("width", &self.width).finish()
    }
}

/// Working memory of the `_into` transforms of an [`Rfft2Plan`], made by [`Rfft2Plan::scratch`].
///
/// One workspace for each thread: about a plane, and 17 half spectra where the plan can transform planes in
/// [groups](Rfft2Plan#groups-of-planes), 330 KiB for 64×64 in `f32`. What it holds between calls is of no importance.
#[derive(Clone, Debug)]
pub struct Rfft2Scratch<T> {
    height: usize,
    width: usize,
    workspaces: Vec<Workspace<T>>,
}

impl<T: Real> Rfft2Scratch<T> {
    /// Number of threads it serves.
    pub fn threads(&self) -> usize {
        self.workspaces.len()
    }

    /// Overwrites everything with NaN, so that tests see whether a transform reads what it has not written.
    pub fn poison(&mut self) {
        let nan = Complex::new(T::nan(), T::nan());
        for workspace in &mut self.workspaces {
            workspace.row.fill(T::nan());
            workspace.plane.fill(nan);
            workspace.block.fill(nan);
            workspace.line.fill(nan);
            workspace.points.fill(ComplexLanes { re: [T::nan(); LANES], im: [T::nan(); LANES] });
        }
    }

    /// Calls `transform` with everything there is to do, groups of planes first.
    ///
    /// Threads take the next item from a shared queue, each with a workspace of its own: which thread does
    /// an item is open, what it computes is not.
    pub(crate) fn for_each<A, B, F>(&mut self, work: PlaneItems<'_, A, B>, transform: F)
    where
        A: Sync,
        B: Send,
        F: Fn(PlaneItem<'_, A, B>, &mut Workspace<T>) + Sync,
    {
        let threads = self.workspaces.len().min(work.len());
        if let [workspace] = &mut self.workspaces[..threads] {
            work.for_each(|item| transform(item, workspace));
            return;
        }
        let queue = Mutex::new(work);
        self.workspaces[..threads].par_iter_mut().with_max_len(1).for_each(|workspace| {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = next else { break };
                transform(item, workspace);
            }
        });
    }
}

/// Working memory of one thread.
#[derive(Clone, Debug)]
pub(crate) struct Workspace<T> {
    /// One row of an image, `[width]`.
    pub(crate) row: Vec<T>,
    /// The plane between the row and the column transforms, `[height, half_width]`.
    pub(crate) plane: Vec<Complex<T>>,
    /// Transposed columns, `[COLUMN_BLOCK, height]`.
    pub(crate) block: Vec<Complex<T>>,
    /// Scratch of the one-dimensional plans.
    pub(crate) line: Vec<Complex<T>>,
    /// Scratch of the transforms of a group of planes.
    pub(crate) points: Vec<ComplexLanes<T>>,
}

/// Real factors of the columns of a half spectrum: one for self-conjugate columns, one for all others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnScale<T> {
    pub(crate) self_conjugate: T,
    pub(crate) paired: T,
}

impl<T: Real> ColumnScale<T> {
    pub(crate) fn uniform(scale: T) -> Self {
        Self { self_conjugate: scale, paired: scale }
    }

    /// `scale · multiplicity`.
    pub(crate) fn times_multiplicity(scale: T) -> Self {
        Self { self_conjugate: scale, paired: scale + scale }
    }

    /// `scale / multiplicity`.
    pub(crate) fn over_multiplicity(scale: T) -> Self {
        Self { self_conjugate: scale, paired: scale / (T::one() + T::one()) }
    }

    pub(crate) fn of(self, column: usize, width: usize) -> T {
        if crate::is_self_conjugate_column(column, width) { self.self_conjugate } else { self.paired }
    }
}

/// Transposes columns `first..first + columns` of a plane into `block`.
///
/// `plane` is `[height, stride]`, row-major; `block` becomes `[columns, height]`.
pub(crate) fn gather_columns<A: Copy>(
    plane: &[A],
    stride: usize,
    first: usize,
    columns: usize,
    block: &mut [A],
) {
    let height = block.len() / columns;
    debug_assert_eq!(plane.len(), height * stride);
    for top in (0..height).step_by(ROW_TILE) {
        let bottom = height.min(top + ROW_TILE);
        for j in 0..columns {
            let column = &mut block[j * height + top..j * height + bottom];
            for (value, row) in column.iter_mut().zip(plane[top * stride..].chunks(stride)) {
                *value = row[first + j];
            }
        }
    }
}

/// Transposes `block`, `[columns, height]`, into columns `first..first + columns` of a plane, through `map`.
///
/// `plane` is `[height, stride]`, row-major; `map` gets a value and its column.
pub(crate) fn scatter_columns<A: Copy>(
    block: &[A],
    plane: &mut [A],
    stride: usize,
    first: usize,
    columns: usize,
    map: impl Fn(A, usize) -> A,
) {
    let height = block.len() / columns;
    debug_assert_eq!(plane.len(), height * stride);
    for (h, row) in plane.chunks_mut(stride).enumerate() {
        for (j, value) in row[first..first + columns].iter_mut().enumerate() {
            *value = map(block[j * height + h], first + j);
        }
    }
}
