// Convolution in space as matrix products: the columns are pixels of images, n = (h·W + w)·B + b, the inner index is a
// tap of an input channel, k = (i·K + p)·K + q. Fully connected layers are convolutions of 1×1 images.

// A block of 256 threads computes TILE×TILE results, 4×4 in each thread.
#define TILE 64
#define PER_THREAD 4
#define INNER 16

struct ConvSizes {
    u32 in_channels, height, width, kernel_size, batch, circular;
};

// x[i, h + p − (K − 1)/2, w + q − (K − 1)/2, b], 0 beyond the edge unless circular.
__device__ inline float tap(const float* x, const ConvSizes& sizes, u32 k, u32 n) {
    const u32 taps = sizes.kernel_size * sizes.kernel_size;
    const u32 i = k / taps, p = k % taps / sizes.kernel_size, q = k % sizes.kernel_size;
    const u32 b = n % sizes.batch, pixel = n / sizes.batch;
    const int reach = static_cast<int>(sizes.kernel_size / 2);
    int h = static_cast<int>(pixel / sizes.width + p) - reach, w = static_cast<int>(pixel % sizes.width + q) - reach;
    const int height = static_cast<int>(sizes.height), width = static_cast<int>(sizes.width);
    if (sizes.circular) {
        h = ((h % height) + height) % height;
        w = ((w % width) + width) % width;
    } else if (h < 0 || h >= height || w < 0 || w >= width) {
        return 0.0f;
    }
    return x[((static_cast<u64>(i) * sizes.height + h) * sizes.width + w) * sizes.batch + b];
}

// The same 4×4 results of a thread on tensor cores: a warp computes 16 rows × 32 columns, of each 8 columns a thread
// has four. Both factors lie in shared memory, [INNER][stride].
#define WARP_ROWS 16
#define WARP_COLUMNS 32

__device__ inline u32 warp_row() {
    return threadIdx.x / 32 % (TILE / WARP_ROWS) * WARP_ROWS;
}

__device__ inline u32 warp_column() {
    return threadIdx.x / 32 / (TILE / WARP_ROWS) * WARP_COLUMNS;
}

__device__ inline void add_products_tf32(float (*sums)[PER_THREAD], const float* left, u32 left_stride, const float* right,
                                         u32 right_stride) {
    const u32 row = warp_row(), column = warp_column();
    for (u32 first = 0; first < INNER; first += 8) {
        u32 a[4], b[2];
        load_rows(a, [&](u32 i, u32 k) { return left[(first + k) * left_stride + row + i]; });
        for (u32 part = 0; part < PER_THREAD; ++part) {
            load_columns(b, [&](u32 k, u32 j) { return right[(first + k) * right_stride + column + 8 * part + j]; });
            multiply_in_warp(sums[part], a, b);
        }
    }
}

__device__ inline void add_products(float (*sums)[PER_THREAD], const float* left, u32 left_stride, const float* right,
                                    u32 right_stride) {
    const u32 row = threadIdx.x / 16, column = threadIdx.x % 16;
    for (u32 k = 0; k < INNER; ++k) {
        for (u32 i = 0; i < PER_THREAD; ++i) {
            const float a = left[k * left_stride + row + 16 * i];
            for (u32 j = 0; j < PER_THREAD; ++j) sums[i][j] += a * right[k * right_stride + column + 16 * j];
        }
    }
}

// Where in the block's tile a thread's result [i][j] belongs.
__device__ inline u32 result_row(u32 tf32, u32 i, u32 j) {
    return tf32 ? warp_row() + sum_row(j) : threadIdx.x / 16 + 16 * i;
}

__device__ inline u32 result_column(u32 tf32, u32 i, u32 j) {
    return tf32 ? warp_column() + 8 * i + sum_column(j) : threadIdx.x % 16 + 16 * j;
}

// y[o, n] = bias[o] + Σ_k weight[o, k]·x(k, n). With `adjoint` the weight is that of the convolution whose input
// gradient is wanted, [in_channels, out_channels, K, K] in the sizes given here, and its taps are mirrored.
// Grid (⌈N/TILE⌉, ⌈out_channels/TILE⌉).
KERNEL conv2d(const float* x, const float* weight, const float* bias, float* y, u32 in_channels, u32 out_channels,
              u32 height, u32 width, u32 kernel_size, u32 batch, u32 circular, u32 adjoint, u32 tf32) {
    SHARED(float, shared);
    float* weights = shared;                    // [INNER][TILE + 1]
    float* taps = shared + INNER * (TILE + 1);  // [INNER][TILE]
    const ConvSizes sizes = {in_channels, height, width, kernel_size, batch, circular};
    const u32 area = kernel_size * kernel_size, inner = in_channels * area, count = height * width * batch;
    const u32 first_o = blockIdx.y * TILE, first_n = blockIdx.x * TILE;
    float sums[PER_THREAD][PER_THREAD] = {};
    for (u32 first_k = 0; first_k < inner; first_k += INNER) {
        for (u32 at = threadIdx.x; at < TILE * INNER; at += blockDim.x) {
            const u32 o = first_o + at / INNER, k = first_k + at % INNER;
            float value = 0.0f;
            if (o < out_channels && k < inner) {
                value = adjoint ? weight[(static_cast<u64>(k / area) * out_channels + o) * area + (area - 1 - k % area)]
                                : weight[static_cast<u64>(o) * inner + k];
            }
            weights[at % INNER * (TILE + 1) + at / INNER] = value;
        }
        for (u32 at = threadIdx.x; at < TILE * INNER; at += blockDim.x) {
            const u32 n = first_n + at % TILE, k = first_k + at / TILE;
            taps[at] = n < count && k < inner ? tap(x, sizes, k, n) : 0.0f;
        }
        __syncthreads();
        if (tf32) add_products_tf32(sums, weights, TILE + 1, taps, TILE);
        else add_products(sums, weights, TILE + 1, taps, TILE);
        __syncthreads();
    }
    for (u32 i = 0; i < PER_THREAD; ++i) {
        for (u32 j = 0; j < PER_THREAD; ++j) {
            const u32 o = first_o + result_row(tf32, i, j), n = first_n + result_column(tf32, i, j);
            if (o < out_channels && n < count) {
                y[static_cast<u64>(o) * count + n] = sums[i][j] + (bias ? bias[o] : 0.0f);
            }
        }
    }
}

// partial[chunk, o, k] = Σ_n dy[o, n]·x(k, n) over the chunk's columns. Grid (⌈inner/TILE⌉, ⌈out_channels/TILE⌉,
// chunks).
KERNEL conv2d_weight_gradient(const float* x, const float* grad_output, float* partial, u32 in_channels,
                              u32 out_channels, u32 height, u32 width, u32 kernel_size, u32 batch, u32 circular,
                              u32 tf32) {
    SHARED(float, shared);
    float* grads = shared;                     // [INNER][TILE + 1]
    float* taps = shared + INNER * (TILE + 1);  // [INNER][TILE + 1]
    const ConvSizes sizes = {in_channels, height, width, kernel_size, batch, circular};
    const u32 inner = in_channels * kernel_size * kernel_size, count = height * width * batch;
    const u32 chunk = (count + gridDim.z - 1) / gridDim.z;
    const u32 start = chunk * blockIdx.z, end = start + chunk < count ? start + chunk : count;
    const u32 first_o = blockIdx.y * TILE, first_k = blockIdx.x * TILE;
    float sums[PER_THREAD][PER_THREAD] = {};
    for (u32 first_n = start; first_n < end; first_n += INNER) {
        for (u32 at = threadIdx.x; at < TILE * INNER; at += blockDim.x) {
            const u32 n = first_n + at % INNER, o = first_o + at / INNER, k = first_k + at / INNER;
            const u32 place = at % INNER * (TILE + 1) + at / INNER;
            grads[place] = n < end && o < out_channels ? grad_output[static_cast<u64>(o) * count + n] : 0.0f;
            taps[place] = n < end && k < inner ? tap(x, sizes, k, n) : 0.0f;
        }
        __syncthreads();
        if (tf32) add_products_tf32(sums, grads, TILE + 1, taps, TILE + 1);
        else add_products(sums, grads, TILE + 1, taps, TILE + 1);
        __syncthreads();
    }
    for (u32 i = 0; i < PER_THREAD; ++i) {
        for (u32 j = 0; j < PER_THREAD; ++j) {
            const u32 o = first_o + result_row(tf32, i, j), k = first_k + result_column(tf32, i, j);
            if (o < out_channels && k < inner) {
                partial[(static_cast<u64>(blockIdx.z) * out_channels + o) * inner + k] = sums[i][j];
            }
        }
    }
}

// Each channel with its own K×K weights [C, K, K]; with `adjoint` mirrored: the input's gradient.
KERNEL depthwise_conv2d(const float* x, const float* weight, const float* bias, float* y, u32 channels, u32 height,
                        u32 width, u32 kernel_size, u32 batch, u32 circular, u32 adjoint) {
    const ConvSizes sizes = {channels, height, width, kernel_size, batch, circular};
    const u32 area = kernel_size * kernel_size;
    const u64 plane = static_cast<u64>(height) * width * batch;
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        const u32 c = static_cast<u32>(at / plane), n = static_cast<u32>(at % plane);
        float sum = bias ? bias[c] : 0.0f;
        for (u32 t = 0; t < area; ++t) {
            sum += weight[c * area + (adjoint ? area - 1 - t : t)] * tap(x, sizes, c * area + t, n);
        }
        y[at] = sum;
    }
}

// grad_weight[c, t] += Σ_n dy[c, n]·x(c·K² + t, n). Grid (K², channels).
KERNEL depthwise_weight_gradient(const float* x, const float* grad_output, float* grad_weight, u32 channels, u32 height,
                                 u32 width, u32 kernel_size, u32 batch, u32 circular) {
    SHARED(double, shared);
    const ConvSizes sizes = {channels, height, width, kernel_size, batch, circular};
    const u32 k = blockIdx.y * gridDim.x + blockIdx.x, count = height * width * batch;
    double sum[1] = {0.0};
    for (u32 n = threadIdx.x; n < count; n += blockDim.x) {
        sum[0] += static_cast<double>(grad_output[static_cast<u64>(blockIdx.y) * count + n]) * tap(x, sizes, k, n);
    }
    sum_over_block<1>(sum, shared);
    if (threadIdx.x == 0) grad_weight[k] += static_cast<float>(sum[0]);
}

// patches[(i, p, q), h, w, b] = images[i, s·h + p, s·w + q, b]; with `scatter` the reverse.
KERNEL patches(const float* source, float* target, u32 in_channels, u32 height, u32 width, u32 size, u32 batch,
               u32 scatter) {
    const u64 count = static_cast<u64>(in_channels) * height * width * batch;
    const u32 rows = height / size, columns = width / size;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch, x = at / batch % width, y = at / batch / width % height, i = at / batch / width / height;
        const u64 feature = (i * size + y % size) * size + x % size;
        const u64 patch = ((feature * rows + y / size) * columns + x / size) * batch + b;
        if (scatter) target[at] = source[patch];
        else target[patch] = source[at];
    }
}
