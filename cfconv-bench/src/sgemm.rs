//! The rate at which this machine multiplies matrices.

use anyhow::Result;
use rayon::prelude::*;
use serde::Serialize;

use crate::shape::at_least_one;
use crate::{RunArgs, Timing, operands};

/// Options of `cfconv-bench sgemm`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Rows and columns of the matrices.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least_one)]
    size: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One product of two square matrices.
    #[serde(flatten)]
    pub timing: Timing,
    /// Rate, in 10⁹ operations a second: two for each multiplication and addition.
    pub gflops: f64,
    /// Rows and columns of the matrices.
    pub size: usize,
}

/// Times C = A·B in `f32` with the crate `gemm`; each thread computes a block of rows of C.
///
/// # Errors
/// None at present.
pub fn run(args: &Args, run: &RunArgs) -> Result<Report> {
    let size = args.size;
    let a = operands::uniform(size * size, 1);
    let b = operands::uniform(size * size, 2);
    let mut c = vec![0.0_f32; size * size];
    let timing = run.time(|_| {
        multiply(size, &a, &b, &mut c);
        Ok(())
    })?;
    let gflops = 2.0 * (size as f64).powi(3) / timing.median_s / 1e9;
    Ok(Report { timing, gflops, size })
}

/// C = A·B for row-major matrices of `size` × `size`.
fn multiply(size: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    assert!(a.len() == size * size && b.len() == size * size && c.len() == size * size);
    let rows_of_thread = size.div_ceil(rayon::current_num_threads());
    let block = rows_of_thread * size;
    a.par_chunks(block).zip(c.par_chunks_mut(block)).for_each(|(a, c)| {
        let (rows, row, column) = (a.len() / size, size as isize, 1);
        // SAFETY: `a` and `c` hold `rows` rows of `size` values and `b` holds `size` of them, contiguously, so
        // that every index below `rows` and `size` with these strides is inside; `c` is borrowed mutably.
        unsafe {
            gemm::gemm(
                rows,
                size,
                size,
                c.as_mut_ptr(),
                column,
                row,
                false,
                a.as_ptr(),
                column,
                row,
                b.as_ptr(),
                column,
                row,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_equals_the_sum_of_products() {
        let size = 13;
        let (a, b) = (operands::uniform(size * size, 1), operands::uniform(size * size, 2));
        let mut c = vec![f32::NAN; size * size];
        multiply(size, &a, &b, &mut c);
        for row in 0..size {
            for column in 0..size {
                let expected: f32 = (0..size).map(|k| a[row * size + k] * b[k * size + column]).sum();
                assert!((c[row * size + column] - expected).abs() < 1e-5);
            }
        }
    }
}
