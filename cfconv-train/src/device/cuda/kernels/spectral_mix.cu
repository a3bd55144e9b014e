// The channel mix of half spectra [C, F, 2, B], F bins, with a kernel [F, Cin, Cout] of complex numbers, and the
// sampled products that are the kernel's gradient.

// A block of 256 threads computes 32 images × 32 channels of one bin, 2×2 in each thread.
#define MIX_TILE 32
#define MIX_INNER 16

// Complex numbers in shared memory, [MIX_INNER][stride] real and imaginary parts.
struct ComplexTile {
    float *re, *im;
    u32 stride;
};

// sums[row, column] += Σ_k left[k][row]·right[k][column], four results in each thread.
__device__ inline void add_complex_products(Complex* sums, const ComplexTile& left, const ComplexTile& right) {
    const u32 row = threadIdx.x / 16, column = threadIdx.x % 16;
    for (u32 k = 0; k < MIX_INNER; ++k) {
        for (u32 n = 0; n < 4; ++n) {
            const u32 a = k * left.stride + row + n / 2 * 16, b = k * right.stride + column + n % 2 * 16;
            sums[n] = multiply_add({left.re[a], left.im[a]}, {right.re[b], right.im[b]}, sums[n]);
        }
    }
}

// The same on tensor cores: each of the eight warps has 16 rows and 8 columns.
__device__ inline u32 mix_warp_row() {
    return threadIdx.x / 32 % 2 * 16;
}

__device__ inline u32 mix_warp_column() {
    return threadIdx.x / 64 * 8;
}

__device__ inline void add_complex_products_tf32(Complex* sums, const ComplexTile& left, const ComplexTile& right) {
    const u32 row = mix_warp_row(), column = mix_warp_column(), sign = 0x80000000;
    float re[4], im[4];
    for (u32 n = 0; n < 4; ++n) {
        re[n] = sums[n].re;
        im[n] = sums[n].im;
    }
    for (u32 first = 0; first < MIX_INNER; first += 8) {
        u32 a_re[4], a_im[4], b_re[2], b_im[2];
        load_rows(a_re, [&](u32 i, u32 k) { return left.re[(first + k) * left.stride + row + i]; });
        load_rows(a_im, [&](u32 i, u32 k) { return left.im[(first + k) * left.stride + row + i]; });
        load_columns(b_re, [&](u32 k, u32 j) { return right.re[(first + k) * right.stride + column + j]; });
        load_columns(b_im, [&](u32 k, u32 j) { return right.im[(first + k) * right.stride + column + j]; });
        multiply_in_warp(re, a_re, b_re);
        multiply_in_warp(im, a_re, b_im);
        multiply_in_warp(im, a_im, b_re);
        const u32 b_minus[2] = {b_im[0] ^ sign, b_im[1] ^ sign};
        multiply_in_warp(re, a_im, b_minus);
    }
    for (u32 n = 0; n < 4; ++n) sums[n] = {re[n], im[n]};
}

// Where in the block's tile a thread's result belongs.
__device__ inline u32 mixed_row(u32 tf32, u32 n) {
    return tf32 ? mix_warp_row() + sum_row(n) : threadIdx.x / 16 + n / 2 * 16;
}

__device__ inline u32 mixed_column(u32 tf32, u32 n) {
    return tf32 ? mix_warp_column() + sum_column(n) : threadIdx.x % 16 + n % 2 * 16;
}

// y[o, f, b] = Σ_i x[i, f, b]·K, K = kernel[f, i, o], or with `adjoint` conj kernel[f, o, i].
// Grid (F, ⌈B/32⌉, ⌈out_channels/32⌉).
KERNEL spectral_mix(const float* x, const float* kernel, float* y, u32 in_channels, u32 out_channels, u32 batch,
                    u32 adjoint, u32 tf32) {
    SHARED(float, shared);
    const ComplexTile images = {shared, shared + MIX_INNER * MIX_TILE, MIX_TILE};
    float* behind = shared + 2 * MIX_INNER * MIX_TILE;
    const ComplexTile factors = {behind, behind + MIX_INNER * (MIX_TILE + 1), MIX_TILE + 1};
    const u64 bins = gridDim.x, f = blockIdx.x;
    const u32 first_b = blockIdx.y * MIX_TILE, first_o = blockIdx.z * MIX_TILE;
    const Complex* values = reinterpret_cast<const Complex*>(kernel) + f * in_channels * out_channels;
    Complex sums[4] = {};
    for (u32 first_i = 0; first_i < in_channels; first_i += MIX_INNER) {
        for (u32 at = threadIdx.x; at < MIX_INNER * MIX_TILE; at += blockDim.x) {
            const u32 i = first_i + at / MIX_TILE, b = first_b + at % MIX_TILE;
            const bool inside = i < in_channels && b < batch;
            const float* bin = x + (i * bins + f) * 2 * batch;
            images.re[at] = inside ? bin[b] : 0.0f;
            images.im[at] = inside ? bin[batch + b] : 0.0f;
        }
        for (u32 at = threadIdx.x; at < MIX_INNER * MIX_TILE; at += blockDim.x) {
            // Along the contiguous index of the kernel.
            const u32 inner = adjoint ? at % MIX_INNER : at / MIX_TILE, outer = adjoint ? at / MIX_INNER : at % MIX_TILE;
            const u32 i = first_i + inner, o = first_o + outer;
            Complex value = {0.0f, 0.0f};
            if (i < in_channels && o < out_channels) {
                value = adjoint ? values[static_cast<u64>(o) * in_channels + i] : values[static_cast<u64>(i) * out_channels + o];
                if (adjoint) value.im = -value.im;
            }
            factors.re[inner * (MIX_TILE + 1) + outer] = value.re;
            factors.im[inner * (MIX_TILE + 1) + outer] = value.im;
        }
        __syncthreads();
        if (tf32) add_complex_products_tf32(sums, factors, images);
        else add_complex_products(sums, factors, images);
        __syncthreads();
    }
    for (u32 n = 0; n < 4; ++n) {
        const u32 o = first_o + mixed_row(tf32, n), b = first_b + mixed_column(tf32, n);
        if (o < out_channels && b < batch) {
            float* bin = y + (o * bins + f) * 2 * batch;
            bin[b] = sums[n].re;
            bin[batch + b] = sums[n].im;
        }
    }
}

// y[c, f, b] = x[c, f, b]·kernel[f, c], conjugate with `adjoint`.
KERNEL depthwise_mix(const float* x, const float* kernel, float* y, u32 channels, u32 bins, u32 batch, u32 adjoint) {
    const u64 count = static_cast<u64>(channels) * bins * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch, f = at / batch % bins, c = at / batch / bins;
        const u64 bin = (c * bins + f) * 2 * batch + b, u = 2 * (f * channels + c);
        const Complex k = {kernel[u], adjoint ? -kernel[u + 1] : kernel[u + 1]};
        const Complex product = multiply_add(k, {x[bin], x[bin + batch]}, {0.0f, 0.0f});
        y[bin] = product.re;
        y[bin + batch] = product.im;
    }
}

// Threads that share the images of one position.
#define GRADIENT_LANES 32

// grads[n] = scale·m·Σ_b conj(x[i, f, b])·g[o, f, b] at position n of the list, or n itself without one; m is `paired`
// in columns that stand for two. Of a depthwise layer the pair is one channel.
KERNEL spectral_kernel_gradient(const float* x, const float* g, const u32* positions, float* grads, u32 count,
                                u32 in_channels, u32 out_channels, u32 bins, u32 width, u32 batch, u32 depthwise,
                                float scale, float paired) {
    SHARED(Complex, shared);
    const u32 lane = threadIdx.x % GRADIENT_LANES;
    const u64 n = static_cast<u64>(blockIdx.x) * (blockDim.x / GRADIENT_LANES) + threadIdx.x / GRADIENT_LANES;
    Complex sum = {0.0f, 0.0f};
    u64 f = 0;
    if (n < count) {
        const u64 u = positions ? positions[n] : n;
        const u32 pairs = depthwise ? in_channels : in_channels * out_channels;
        const u32 pair = static_cast<u32>(u % pairs);
        f = u / pairs;
        const u64 i = depthwise ? pair : pair / out_channels, o = depthwise ? pair : pair % out_channels;
        const float* x_bin = x + (i * bins + f) * 2 * batch;
        const float* g_bin = g + (o * bins + f) * 2 * batch;
        for (u32 b = lane; b < batch; b += GRADIENT_LANES) {
            sum = multiply_add({x_bin[b], -x_bin[batch + b]}, {g_bin[b], g_bin[batch + b]}, sum);
        }
    }
    shared[threadIdx.x] = sum;
    __syncthreads();
    for (u32 half = GRADIENT_LANES / 2; half > 0; half /= 2) {
        if (lane < half) {
            shared[threadIdx.x].re += shared[threadIdx.x + half].re;
            shared[threadIdx.x].im += shared[threadIdx.x + half].im;
        }
        __syncthreads();
    }
    if (n < count && lane == 0) {
        const float factor = scale * (is_paired(static_cast<u32>(f % (width / 2 + 1)), width) ? paired : 1.0f);
        grads[2 * n] = factor * shared[threadIdx.x].re;
        grads[2 * n + 1] = factor * shared[threadIdx.x].im;
    }
}

// The same for every position of a layer that mixes channels, as matrix products. Grid (F, ⌈Cin/32⌉, ⌈Cout/32⌉).
KERNEL dense_kernel_gradient(const float* x, const float* g, float* grads, u32 in_channels, u32 out_channels, u32 width,
                             u32 batch, float scale, float paired, u32 tf32) {
    SHARED(float, shared);
    const u32 part = MIX_INNER * (MIX_TILE + 1);
    const ComplexTile inputs = {shared, shared + part, MIX_TILE + 1};
    const ComplexTile outputs = {shared + 2 * part, shared + 3 * part, MIX_TILE + 1};
    const u64 bins = gridDim.x, f = blockIdx.x;
    const u32 first_i = blockIdx.y * MIX_TILE, first_o = blockIdx.z * MIX_TILE;
    Complex sums[4] = {};
    for (u32 first_b = 0; first_b < batch; first_b += MIX_INNER) {
        for (u32 at = threadIdx.x; at < MIX_INNER * MIX_TILE; at += blockDim.x) {
            const u32 inner = at % MIX_INNER, outer = at / MIX_INNER, place = inner * (MIX_TILE + 1) + outer;
            const u32 b = first_b + inner, i = first_i + outer, o = first_o + outer;
            const float* x_bin = x + (i * bins + f) * 2 * batch;
            const float* g_bin = g + (o * bins + f) * 2 * batch;
            inputs.re[place] = b < batch && i < in_channels ? x_bin[b] : 0.0f;
            inputs.im[place] = b < batch && i < in_channels ? -x_bin[batch + b] : 0.0f;
            outputs.re[place] = b < batch && o < out_channels ? g_bin[b] : 0.0f;
            outputs.im[place] = b < batch && o < out_channels ? g_bin[batch + b] : 0.0f;
        }
        __syncthreads();
        if (tf32) add_complex_products_tf32(sums, inputs, outputs);
        else add_complex_products(sums, inputs, outputs);
        __syncthreads();
    }
    const float factor = scale * (is_paired(static_cast<u32>(f % (width / 2 + 1)), width) ? paired : 1.0f);
    for (u32 n = 0; n < 4; ++n) {
        const u32 i = first_i + mixed_row(tf32, n), o = first_o + mixed_column(tf32, n);
        if (i < in_channels && o < out_channels) {
            const u64 u = 2 * ((f * in_channels + i) * out_channels + o);
            grads[u] = factor * sums[n].re;
            grads[u + 1] = factor * sums[n].im;
        }
    }
}

// Between half spectra a constant is √(H·W) times itself in the real part of the zero frequency.
KERNEL add_constant_to_spectra(float* spectra, const float* bias, u32 channels, u32 bins, u32 batch, float factor) {
    for (u64 at = first_index(); at < static_cast<u64>(channels) * batch; at += index_step()) {
        const u64 c = at / batch;
        spectra[c * bins * 2 * batch + at % batch] += factor * bias[c];
    }
}

// grad_bias[c] += factor·Σ_b Re of the zero frequency.
KERNEL add_constant_gradients(const float* grad_spectra, float* grad_bias, u32 channels, u32 bins, u32 batch,
                              float factor) {
    for (u64 c = first_index(); c < channels; c += index_step()) {
        double sum = 0.0;
        for (u32 b = 0; b < batch; ++b) sum += grad_spectra[c * bins * 2 * batch + b];
        grad_bias[c] += factor * static_cast<float>(sum);
    }
}

// The kernel state moves towards phi: K ← K + α·(phi − K) at the positions, every one without a list; exactly phi for
// α = 1.
KERNEL refresh_state(float* state, const float* phi, const u32* positions, u64 count, float alpha) {
    for (u64 n = first_index(); n < count; n += index_step()) {
        const u64 u = positions ? positions[n] : n;
        for (u32 part = 0; part < 2; ++part) {
            const float old = state[2 * u + part], fresh = phi[2 * n + part];
            state[2 * u + part] = alpha == 1.0f ? fresh : old + alpha * (fresh - old);
        }
    }
}

// phi ← state + α·(phi − state): where a refresh of every position would move the state.
KERNEL refresh_into(const float* state, float* phi, u64 count, float alpha) {
    for (u64 at = first_index(); at < count; at += index_step()) {
        phi[at] = alpha == 1.0f ? phi[at] : state[at] + alpha * (phi[at] - state[at]);
    }
}

KERNEL gather_state(const float* state, const u32* positions, float* values, u64 count) {
    for (u64 n = first_index(); n < count; n += index_step()) {
        const u64 u = positions ? positions[n] : n;
        values[2 * n] = state[2 * u];
        values[2 * n + 1] = state[2 * u + 1];
    }
}

// Puts the values that gather_state kept back; with a step status, only if the step has failed.
KERNEL restore_state(const float* step_status, const float* values, const u32* positions, float* state, u64 count) {
    if (step_status && !has_failed(step_status)) return;
    for (u64 n = first_index(); n < count; n += index_step()) {
        const u64 u = positions ? positions[n] : n;
        state[2 * u] = values[2 * n];
        state[2 * u + 1] = values[2 * n + 1];
    }
}

KERNEL multiply_complex(const float* factors, float* values, u64 count) {
    for (u64 at = first_index(); at < 2 * count; at += index_step()) values[at] *= factors[at / 2];
}
