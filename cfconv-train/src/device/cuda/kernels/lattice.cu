// Kernels of k×k taps, k odd: between lattice values [k, (k + 1)/2, pairs], taps [k, k, pairs], weights of a
// convolution in space [Cout, Cin, k, k] and spectra on a torus [H, Wr, pairs]. roots[j] = exp(−2πi·j/n) of each length
// n.

// taps[a, b] = 1/k²·Σ_{p,q} m·Re(values[p, q]·exp(2πi(p·a + q·b)/k)), m = 1 for q = 0, else 2.
KERNEL lattice_taps(const float* values, const float* roots, float* taps, u32 k, u32 pairs) {
    const u32 half = (k + 1) / 2;
    for (u64 at = first_index(); at < static_cast<u64>(k) * k * pairs; at += index_step()) {
        const u64 pair = at % pairs;
        const u32 a = static_cast<u32>(at / pairs / k), b = static_cast<u32>(at / pairs % k);
        float sum = 0.0f;
        for (u32 p = 0; p < k; ++p) {
            for (u32 q = 0; q < half; ++q) {
                const u32 angle = (p * a + q * b) % k;
                const u64 value = 2 * ((static_cast<u64>(p) * half + q) * pairs + pair);
                const float part = values[value] * roots[2 * angle] + values[value + 1] * roots[2 * angle + 1];
                sum += q == 0 ? part : 2.0f * part;
            }
        }
        taps[at] = sum / static_cast<float>(k * k);
    }
}

KERNEL lattice_taps_adjoint(const float* grad_taps, const float* roots, float* grad_values, u32 k, u32 pairs) {
    const u32 half = (k + 1) / 2;
    for (u64 at = first_index(); at < static_cast<u64>(k) * half * pairs; at += index_step()) {
        const u64 pair = at % pairs;
        const u32 p = static_cast<u32>(at / pairs / half), q = static_cast<u32>(at / pairs % half);
        Complex sum = {0.0f, 0.0f};
        for (u32 a = 0; a < k; ++a) {
            for (u32 b = 0; b < k; ++b) {
                const u32 angle = (p * a + q * b) % k;
                const float tap = grad_taps[(static_cast<u64>(a) * k + b) * pairs + pair];
                sum.re += tap * roots[2 * angle];
                sum.im += tap * roots[2 * angle + 1];
            }
        }
        const float factor = (q == 0 ? 1.0f : 2.0f) / static_cast<float>(k * k);
        grad_values[2 * at] = factor * sum.re;
        grad_values[2 * at + 1] = factor * sum.im;
    }
}

// weights[o, i, r, s] = taps[ρ − r, ρ − s, i, o], ρ = (k − 1)/2, offsets modulo k; with `adjoint` the reverse, times
// scale.
KERNEL lattice_weights(const float* source, float* target, u32 k, u32 in_channels, u32 out_channels, float scale,
                       u32 adjoint) {
    const u32 reach = k / 2;
    const u64 pairs = static_cast<u64>(in_channels) * out_channels;
    for (u64 at = first_index(); at < k * k * pairs; at += index_step()) {
        const u64 s = at % k, r = at / k % k, i = at / k / k % in_channels, o = at / k / k / in_channels;
        const u64 a = (reach + k - r) % k, b = (reach + k - s) % k;
        const u64 tap = (a * k + b) * pairs + i * out_channels + o;
        if (adjoint) target[tap] = scale * source[at];
        else target[at] = scale * source[tap];
    }
}

// The phase of tap (a, b), an offset modulo k, at bin (h, w) of the torus.
__device__ inline Complex tap_phase(u32 a, u32 b, u32 k, u32 h, u32 w, u32 height, u32 width, const float* row_roots,
                                    const float* column_roots) {
    // Offsets beyond the reach are negative.
    const u64 row = a <= k / 2 ? a % height : (height - (k - a) % height) % height;
    const u64 column = b <= k / 2 ? b % width : (width - (k - b) % width) % width;
    const u32 x = static_cast<u32>(row * h % height), y = static_cast<u32>(column * w % width);
    return multiply_add({row_roots[2 * x], row_roots[2 * x + 1]}, {column_roots[2 * y], column_roots[2 * y + 1]},
                        {0.0f, 0.0f});
}

KERNEL lattice_spectrum(const float* taps, const float* row_roots, const float* column_roots, float* kernel, u32 k,
                        u32 height, u32 width, u32 pairs) {
    const u32 half_width = width / 2 + 1;
    for (u64 at = first_index(); at < static_cast<u64>(height) * half_width * pairs; at += index_step()) {
        const u64 pair = at % pairs;
        const u32 h = static_cast<u32>(at / pairs / half_width), w = static_cast<u32>(at / pairs % half_width);
        Complex sum = {0.0f, 0.0f};
        for (u32 tap = 0; tap < k * k; ++tap) {
            const Complex phase = tap_phase(tap / k, tap % k, k, h, w, height, width, row_roots, column_roots);
            const float value = taps[tap * static_cast<u64>(pairs) + pair];
            sum.re += value * phase.re;
            sum.im += value * phase.im;
        }
        kernel[2 * at] = sum.re;
        kernel[2 * at + 1] = sum.im;
    }
}

// grad_taps = Σ over stored bins of Re(conj(phase)·grad_kernel).
KERNEL lattice_spectrum_adjoint(const float* grad_kernel, const float* row_roots, const float* column_roots,
                                float* grad_taps, u32 k, u32 height, u32 width, u32 pairs) {
    const u32 half_width = width / 2 + 1;
    for (u64 at = first_index(); at < static_cast<u64>(k) * k * pairs; at += index_step()) {
        const u64 pair = at % pairs;
        const u32 tap = static_cast<u32>(at / pairs);
        double sum = 0.0;
        for (u32 h = 0; h < height; ++h) {
            for (u32 w = 0; w < half_width; ++w) {
                const Complex phase = tap_phase(tap / k, tap % k, k, h, w, height, width, row_roots, column_roots);
                const u64 value = 2 * ((static_cast<u64>(h) * half_width + w) * pairs + pair);
                sum += phase.re * grad_kernel[value] + phase.im * grad_kernel[value + 1];
            }
        }
        grad_taps[at] = static_cast<float>(sum);
    }
}
