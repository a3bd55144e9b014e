// Matrix products on tensor cores, as an option: factors are rounded to TF32 (ten bits behind the point), products are
// exact, sums have single precision. A product is the work of a whole warp; every lane of it must take part.

// The nearest number of TF32, ties away from zero; NaN stays NaN.
__device__ inline u32 to_tf32(float x) {
    const u32 bits = __float_as_uint(x), low = 0x1fff;
    if ((bits & 0x7f800000) == 0x7f800000) return (bits & low) ? bits | 0x400000 : bits;
    return (bits + 0x1000) & ~low;
}

// sums[16, 8] += a[16, 8]·b[8, 8]. Lane 4g + t holds a[g, t], a[g + 8, t], a[g, t + 4] and a[g + 8, t + 4]; b[t, g] and
// b[t + 4, g]; sums[g, 2t], sums[g, 2t + 1], sums[g + 8, 2t] and sums[g + 8, 2t + 1] (PTX ISA, mma.m16n8k8 of .tf32).
__device__ inline void multiply_in_warp(float* sums, const u32* a, const u32* b) {
#if defined(CFCONV_EMULATION)
    emulation::multiply_in_warp(sums, a, b);
#elif __CUDA_ARCH__ >= 800
    // The instruction wants the lanes side by side, which have just read within bounds of their own.
    __syncwarp();
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    // The host refuses TF32 on such cards.
    __trap();
#endif
}

// A lane's four values of a[16, 8] from `at(row, k)`.
template <class At>
__device__ inline void load_rows(u32* a, At at) {
    const u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    a[0] = to_tf32(at(g, t));
    a[1] = to_tf32(at(g + 8, t));
    a[2] = to_tf32(at(g, t + 4));
    a[3] = to_tf32(at(g + 8, t + 4));
}

// A lane's two values of b[8, 8] from `at(k, column)`.
template <class At>
__device__ inline void load_columns(u32* b, At at) {
    const u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    b[0] = to_tf32(at(t, g));
    b[1] = to_tf32(at(t + 4, g));
}

// Row and column of a lane's sum number `n`.
__device__ inline u32 sum_row(u32 n) {
    return threadIdx.x % 32 / 4 + n / 2 * 8;
}

__device__ inline u32 sum_column(u32 n) {
    return threadIdx.x % 4 * 2 + n % 2;
}

// keep(row, column, Σ_k a(row, k)·b(k, column)) for a product of any size, strips of 16 rows and 16 columns to each
// warp of the block.
template <class A, class B, class Keep>
__device__ inline void multiply_in_block(u32 rows, u32 columns, u32 inner, A a, B b, Keep keep) {
    const u32 down = (rows + 15) / 16, across = (columns + 15) / 16;
    for (u32 strip = threadIdx.x / 32; strip < down * across; strip += blockDim.x / 32) {
        const u32 row = strip % down * 16, column = strip / down * 16;
        float sums[2][4] = {};
        for (u32 first = 0; first < inner; first += 8) {
            u32 left[4], right[2];
            load_rows(left, [&](u32 i, u32 k) {
                return row + i < rows && first + k < inner ? a(row + i, first + k) : 0.0f;
            });
            for (u32 half = 0; half < 2; ++half) {
                const u32 start = column + 8 * half;
                load_columns(right, [&](u32 k, u32 j) {
                    return start + j < columns && first + k < inner ? b(first + k, start + j) : 0.0f;
                });
                multiply_in_warp(sums[half], left, right);
            }
        }
        for (u32 half = 0; half < 2; ++half) {
            for (u32 n = 0; n < 4; ++n) {
                const u32 i = row + sum_row(n), j = column + 8 * half + sum_column(n);
                if (i < rows && j < columns) keep(i, j, sums[half][n]);
            }
        }
    }
}
