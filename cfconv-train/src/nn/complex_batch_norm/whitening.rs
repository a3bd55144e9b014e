//! Symmetric 2×2 matrices: the inverse square root and its gradient, in `f64`.

/// `[[a, c], [c, b]]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Symmetric {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) c: f64,
}

/// A 2×2 matrix, row after row.
pub(super) type Matrix = [[f64; 2]; 2];

impl Symmetric {
    pub(super) fn matrix(self) -> Matrix {
        [[self.a, self.c], [self.c, self.b]]
    }

    fn determinant(self) -> f64 {
        self.a * self.b - self.c * self.c
    }

    /// S with S² = V: `(V + s·I)/t` with s = √det V, t = √(tr V + 2s).
    ///
    /// V is positive definite; rounding that makes its determinant negative is cut off at `floor`².
    pub(super) fn root(self, floor: f64) -> Self {
        let s = self.determinant().max(floor * floor).sqrt();
        let t = (self.a + self.b + 2.0 * s).sqrt();
        Self { a: (self.a + s) / t, b: (self.b + s) / t, c: self.c / t }
    }

    /// S⁻¹.
    pub(super) fn inverse(self) -> Self {
        let determinant = self.determinant();
        Self { a: self.b / determinant, b: self.a / determinant, c: -self.c / determinant }
    }
}

pub(super) fn product(x: Matrix, y: Matrix) -> Matrix {
    let entry = |i: usize, j: usize| x[i][0] * y[0][j] + x[i][1] * y[1][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

/// The gradient of V from the gradient G of W = V^(−1/2): X with S·X + X·S = −W·sym(G)·W, S = W⁻¹.
///
/// For 2×2 matrices `X = (det S·C + S̃·C·S̃)/(2·tr S·det S)` solves S·X + X·S = C, S̃ = tr S·I − S.
pub(super) fn inverse_root_gradient(root: Symmetric, gradient: Matrix) -> Symmetric {
    let w = root.inverse().matrix();
    let off = (gradient[0][1] + gradient[1][0]) / 2.0;
    let symmetric = [[gradient[0][0], off], [off, gradient[1][1]]];
    let right = product(product(w, symmetric), w).map(|row| row.map(|entry| -entry));
    let adjugate = Symmetric { a: root.b, b: root.a, c: -root.c }.matrix();
    let turned = product(product(adjugate, right), adjugate);
    let determinant = root.determinant();
    let scale = 1.0 / (2.0 * (root.a + root.b) * determinant);
    let entry = |i: usize, j: usize| scale * (determinant * right[i][j] + turned[i][j]);
    Symmetric { a: entry(0, 0), b: entry(1, 1), c: entry(0, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COVARIANCES: [Symmetric; 5] = [
        Symmetric { a: 1.0, b: 1.0, c: 0.0 },
        Symmetric { a: 2.0, b: 0.5, c: -0.9 },
        Symmetric { a: 0.1, b: 7.0, c: 0.4 },
        Symmetric { a: 0.5, b: 0.02, c: 0.07 },
        Symmetric { a: 3.0, b: 1e-5, c: 0.0 },
    ];

    #[test]
    fn root_squared_is_the_matrix_and_inverse_undoes_it() {
        for v in COVARIANCES {
            let root = v.root(1e-12);
            let squared = product(root.matrix(), root.matrix());
            let one = product(root.matrix(), root.inverse().matrix());
            for i in 0..2 {
                for j in 0..2 {
                    assert!((squared[i][j] - v.matrix()[i][j]).abs() < 1e-14 * (v.a + v.b), "{v:?}");
                    assert!((one[i][j] - f64::from(u8::from(i == j))).abs() < 1e-12, "{v:?}");
                }
            }
        }
    }

    #[test]
    fn gradient_of_the_inverse_root_matches_central_differences() {
        let gradient = [[0.7, -0.3], [1.1, 0.4]];
        for v in COVARIANCES {
            let loss = |v: Symmetric| -> f64 {
                let w = v.root(1e-12).inverse().matrix();
                (0..4).map(|at| gradient[at / 2][at % 2] * w[at / 2][at % 2]).sum()
            };
            let got = inverse_root_gradient(v.root(1e-12), gradient);
            let step = 1e-6 * v.a.min(v.b);
            let numeric = |change: fn(Symmetric, f64) -> Symmetric| {
                (loss(change(v, step)) - loss(change(v, -step))) / (2.0 * step)
            };
            // A change of c stands for two entries.
            let got = [got.a, got.b, 2.0 * got.c];
            let numeric = [
                numeric(|v, h| Symmetric { a: v.a + h, ..v }),
                numeric(|v, h| Symmetric { b: v.b + h, ..v }),
                numeric(|v, h| Symmetric { c: v.c + h, ..v }),
            ];
            let largest = numeric.map(f64::abs).into_iter().chain([1.0]).max_by(f64::total_cmp).unwrap();
            for (got, numeric) in got.iter().zip(&numeric) {
                assert!((got - numeric).abs() < 1e-6 * largest, "{v:?}: {got} ≠ {numeric}");
            }
        }
    }
}
