// Nonlinear functions and normalisation of complex values: half spectra [C, F, 2, B].

// The numbers of nn::ComplexActivation.
enum { MODRELU = 0, CRELU = 1, ZRELU = 2, CARDIOID = 3, PHASE_GATE = 4 };

__device__ inline float inverse_modulus(Complex z) {
    return 1.0f / sqrtf(z.re * z.re + z.im * z.im + 1e-12f);
}

__device__ inline float inner_product(Complex a, Complex b) {
    return a.re * b.re + a.im * b.im;
}

// params [P, C]
KERNEL complex_activation(const float* input, const float* params, float* output, u32 function, u32 channels, u32 bins,
                          u32 batch) {
    const u64 count = static_cast<u64>(channels) * bins * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 c = at / batch / bins, bin = at / batch * 2 * batch + at % batch;
        const Complex z = {input[bin], input[bin + batch]};
        Complex y = {0.0f, 0.0f};
        float factor = 0.0f;
        switch (function) {
            case MODRELU:
                factor = 1.0f + params[c] * inverse_modulus(z);
                factor = factor < 0.0f ? 0.0f : factor;
                y = {factor * z.re, factor * z.im};
                break;
            case CRELU: y = {z.re < 0.0f ? 0.0f : z.re, z.im < 0.0f ? 0.0f : z.im}; break;
            case ZRELU:
                if (!(z.re < 0.0f || z.im < 0.0f)) y = z;
                break;
            case CARDIOID:
                factor = 0.5f + 0.5f * z.re * inverse_modulus(z);
                y = {factor * z.re, factor * z.im};
                break;
            default: {
                const Complex direction = {cosf(params[c]), sinf(params[c])};
                const float cosine = inner_product(direction, z) * inverse_modulus(z);
                factor = sigmoid(params[channels + c] * cosine + params[2 * channels + c]);
                y = {factor * z.re, factor * z.im};
            }
        }
        output[bin] = y.re;
        output[bin + batch] = y.im;
    }
}

// ∇(⟨d, z⟩/r) = d/r − ⟨d, z⟩/r³·z
__device__ inline Complex cosine_gradient(Complex z, Complex direction, float inverse) {
    const float along_z = inner_product(direction, z) * inverse * inverse;
    return {inverse * (direction.re - along_z * z.re), inverse * (direction.im - along_z * z.im)};
}

// The gradient of z; those of the channel's parameters to grads [3]. The formulas are those of
// nn/complex_activation/function.rs.
__device__ inline Complex complex_activation_gradient(u32 function, const float* params, u32 channels, u64 c, Complex z,
                                                      Complex dy, float* grads) {
    const float inverse = inverse_modulus(z);
    grads[0] = grads[1] = grads[2] = 0.0f;
    switch (function) {
        case MODRELU: {
            const float factor = 1.0f + params[c] * inverse, passes = factor > 0.0f ? 1.0f : 0.0f;
            const float radial = passes * inner_product(z, dy) * inverse;
            const float along_grad = passes * factor, along_z = -params[c] * radial * inverse * inverse;
            grads[0] = radial;
            return {along_grad * dy.re + along_z * z.re, along_grad * dy.im + along_z * z.im};
        }
        case CRELU: return {z.re > 0.0f ? dy.re : 0.0f, z.im > 0.0f ? dy.im : 0.0f};
        case ZRELU: {
            const bool stopped = z.re < 0.0f || z.im < 0.0f;
            return {stopped ? 0.0f : dy.re, stopped ? 0.0f : dy.im};
        }
        case CARDIOID: {
            const float factor = 0.5f + 0.5f * z.re * inverse, slope = 0.5f * inner_product(z, dy);
            const Complex cosine = cosine_gradient(z, {1.0f, 0.0f}, inverse);
            return {factor * dy.re + slope * cosine.re, factor * dy.im + slope * cosine.im};
        }
        default: {
            const Complex direction = {cosf(params[c]), sinf(params[c])};
            const float slope = params[channels + c], cosine = inner_product(direction, z) * inverse;
            const float gate = sigmoid(slope * cosine + params[2 * channels + c]);
            const float along_bias = gate * (1.0f - gate) * inner_product(z, dy), along_cosine = along_bias * slope;
            const Complex gradient = cosine_gradient(z, direction, inverse);
            grads[0] = along_cosine * inner_product({-direction.im, direction.re}, z) * inverse;
            grads[1] = along_bias * cosine;
            grads[2] = along_bias;
            return {gate * dy.re + along_cosine * gradient.re, gate * dy.im + along_cosine * gradient.im};
        }
    }
}

KERNEL complex_activation_vjp(const float* input, const float* params, const float* grad_output, float* grad_input,
                              u32 function, u32 channels, u32 bins, u32 batch) {
    const u64 count = static_cast<u64>(channels) * bins * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 c = at / batch / bins, bin = at / batch * 2 * batch + at % batch;
        float grads[3];
        const Complex dz = complex_activation_gradient(function, params, channels, c, {input[bin], input[bin + batch]},
                                                       {grad_output[bin], grad_output[bin + batch]}, grads);
        grad_input[bin] = dz.re;
        grad_input[bin + batch] = dz.im;
    }
}

// Three sums of each channel, zero beyond the function's parameters. Grid (chunks, channels).
KERNEL complex_activation_sums(const float* input, const float* params, const float* grad_output, float* partial,
                               u32 function, u32 channels, u32 bins, u32 batch) {
    const u64 c = blockIdx.y;
    sum_chunk_of_channel<3>(static_cast<u64>(bins) * batch, partial, [&](u64 at, double* sums) {
        const u64 bin = (c * bins + at / batch) * 2 * batch + at % batch;
        float grads[3];
        complex_activation_gradient(function, params, channels, c, {input[bin], input[bin + batch]},
                                    {grad_output[bin], grad_output[bin + batch]}, grads);
        for (int k = 0; k < 3; ++k) sums[k] += grads[k];
    });
}

// target[k, c] += sum k, the first `count` of three.
KERNEL add_complex_activation_sums(const float* partial, float* target, u32 channels, u32 chunks, u32 count) {
    const u64 c = first_index();
    if (c >= channels) return;
    double sums[3];
    sum_of_chunks<3>(partial, static_cast<u32>(c), chunks, sums);
    for (u32 k = 0; k < count; ++k) target[k * channels + c] += static_cast<float>(sums[k]);
}

// The ring of each bin: its distance from the zero frequency in cycles, at most `last`.
KERNEL rings_of_bins(u32* rings, u32 height, u32 width, u32 last) {
    const u32 half_width = width / 2 + 1, side = height < width ? height : width;
    for (u64 bin = first_index(); bin < static_cast<u64>(height) * half_width; bin += index_step()) {
        const u32 p = static_cast<u32>(bin / half_width), q = static_cast<u32>(bin % half_width);
        const double row = static_cast<double>(p < height - p ? p : height - p) / height;
        const double column = static_cast<double>(q) / width;
        const double length = row == 0.0 ? column : column == 0.0 ? row : sqrt(row * row + column * column);
        const u32 ring = static_cast<u32>(floor(side * length + 0.5));
        rings[bin] = ring < last ? ring : last;
    }
}

struct Matrix2 {
    double a, b, c, d;  // [[a, b], [c, d]]
};

__device__ inline Matrix2 product(Matrix2 x, Matrix2 y) {
    return {x.a * y.a + x.b * y.c, x.a * y.b + x.b * y.d, x.c * y.a + x.d * y.c, x.c * y.b + x.d * y.d};
}

__device__ inline double determinant(Matrix2 x) {
    return x.a * x.d - x.b * x.c;
}

// V^(1/2) of the covariance with ε on its diagonal: (V + s·I)/t, s = √det V, t = √(tr V + 2s).
__device__ inline Matrix2 covariance_root(const float* statistics, u64 at, u64 distance, float epsilon) {
    const double floor = epsilon;
    const double a = statistics[at + 2 * distance] + floor, d = statistics[at + 3 * distance] + floor;
    const double b = statistics[at + 4 * distance], square = a * d - b * b;
    const double s = sqrt(square > floor * floor ? square : floor * floor), t = sqrt(a + d + 2.0 * s);
    return {(a + s) / t, b / t, b / t, (d + s) / t};
}

__device__ inline Matrix2 inverse_of(Matrix2 x) {
    const double scale = 1.0 / determinant(x);
    return {x.d * scale, -x.b * scale, -x.c * scale, x.a * scale};
}

__device__ inline Matrix2 gamma_of(const float* params, u32 channels, u64 c) {
    const double rr = params[c], ii = params[channels + c], ri = params[2 * channels + c];
    return {rr, ri, ri, ii};
}

// Means, variances and covariance of one ring of a channel, biased, to saved [5, C, R]; running ones move towards the
// unbiased. Grid (R, C).
KERNEL complex_batch_norm_statistics(const float* input, const u32* rings, float* running, float* saved, u32 bins,
                                     u32 batch, float momentum) {
    SHARED(double, shared);
    const u32 r = blockIdx.x;
    const u64 c = blockIdx.y, distance = static_cast<u64>(gridDim.x) * gridDim.y;
    double sums[6] = {};
    for (u32 f = 0; f < bins; ++f) {
        if (rings[f] != r) continue;
        const float* bin = input + (c * bins + f) * 2 * batch;
        for (u32 b = threadIdx.x; b < batch; b += blockDim.x) {
            const double re = bin[b], im = bin[batch + b];
            sums[0] += re;
            sums[1] += im;
            sums[2] += re * re;
            sums[3] += im * im;
            sums[4] += re * im;
            sums[5] += 1.0;
        }
    }
    sum_over_block<6>(sums, shared);
    if (threadIdx.x != 0) return;
    const double count = sums[5], re = sums[0] / count, im = sums[1] / count;
    const double re_re = sums[2] / count - re * re, im_im = sums[3] / count - im * im;
    const double moments[5] = {re, im, re_re > 0.0 ? re_re : 0.0, im_im > 0.0 ? im_im : 0.0, sums[4] / count - re * im};
    const double unbiased = count / (count > 2.0 ? count - 1.0 : 1.0);
    for (u32 k = 0; k < 5; ++k) {
        const u64 at = k * distance + c * gridDim.x + r;
        saved[at] = static_cast<float>(moments[k]);
        const float fresh = static_cast<float>(k < 2 ? moments[k] : unbiased * moments[k]);
        running[at] += momentum * (fresh - running[at]);
    }
}

// maps [C, R, 4] = Γ·V^(−1/2) of each ring.
KERNEL complex_batch_norm_maps(const float* params, const float* statistics, float* maps, u32 channels, u32 rings,
                               float epsilon) {
    const u64 distance = static_cast<u64>(channels) * rings;
    for (u64 at = first_index(); at < distance; at += index_step()) {
        const Matrix2 whitening = inverse_of(covariance_root(statistics, at, distance, epsilon));
        const Matrix2 map = product(gamma_of(params, channels, at / rings), whitening);
        maps[4 * at] = static_cast<float>(map.a);
        maps[4 * at + 1] = static_cast<float>(map.b);
        maps[4 * at + 2] = static_cast<float>(map.c);
        maps[4 * at + 3] = static_cast<float>(map.d);
    }
}

// y = map·(z − μ) + β
KERNEL complex_batch_norm_apply(const float* input, const float* params, const float* statistics, const float* maps,
                                const u32* rings, float* output, u32 channels, u32 ring_count, u32 bins, u32 batch) {
    const u64 count = static_cast<u64>(channels) * bins * batch, distance = static_cast<u64>(channels) * ring_count;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 c = at / batch / bins, bin = at / batch * 2 * batch + at % batch;
        const u64 ring = c * ring_count + rings[at / batch % bins];
        const float re = input[bin] - statistics[ring], im = input[bin + batch] - statistics[distance + ring];
        const float* map = maps + 4 * ring;
        output[bin] = map[0] * re + map[1] * im + params[3 * channels + c];
        output[bin + batch] = map[2] * re + map[3] * im + params[4 * channels + c];
    }
}

// With x = z − μ, S = V^(1/2), W = S⁻¹ and G = Σ dy·xᵀ over the n values of a ring: the ring's share of the parameters'
// gradients, shares [5, C, R], from dβ = Σ dy and dΓ = G·W; and gradient_maps [C, R, 10]: W·Γ, 2/n·X with X the
// gradient of V, and −W·Γ·Σ dy/n. Grid (R, C).
KERNEL complex_batch_norm_gradient_sums(const float* input, const float* params, const float* saved, const u32* rings,
                                        const float* grad_output, float* shares, float* gradient_maps, u32 bins,
                                        u32 batch, float epsilon) {
    SHARED(double, shared);
    const u32 r = blockIdx.x, channels = gridDim.y;
    const u64 c = blockIdx.y, distance = static_cast<u64>(gridDim.x) * channels, ring = c * gridDim.x + r;
    const float mean_re = saved[ring], mean_im = saved[distance + ring];
    double sums[7] = {};
    for (u32 f = 0; f < bins; ++f) {
        if (rings[f] != r) continue;
        const u64 bin = (c * bins + f) * 2 * batch;
        for (u32 b = threadIdx.x; b < batch; b += blockDim.x) {
            const double re = input[bin + b] - mean_re, im = input[bin + batch + b] - mean_im;
            const double dy_re = grad_output[bin + b], dy_im = grad_output[bin + batch + b];
            sums[0] += dy_re;
            sums[1] += dy_im;
            sums[2] += dy_re * re;
            sums[3] += dy_re * im;
            sums[4] += dy_im * re;
            sums[5] += dy_im * im;
            sums[6] += 1.0;
        }
    }
    sum_over_block<7>(sums, shared);
    if (threadIdx.x != 0) return;
    const double count = sums[6];
    const Matrix2 outer = {sums[2], sums[3], sums[4], sums[5]};
    const Matrix2 root = covariance_root(saved, ring, distance, epsilon), whitening = inverse_of(root);
    const Matrix2 gamma = gamma_of(params, channels, c), grad_gamma = product(outer, whitening);
    const double share[5] = {grad_gamma.a, grad_gamma.d, grad_gamma.b + grad_gamma.c, sums[0], sums[1]};
    for (u32 k = 0; k < 5; ++k) shares[k * distance + ring] = static_cast<float>(share[k]);
    const Matrix2 along_grad = product(whitening, gamma);
    // X solves S·X + X·S = −W·sym(Γ·G)·W = C: (det S·C + S̃·C·S̃)/(2·tr S·det S), S̃ = tr S·I − S.
    Matrix2 gradient = product(gamma, outer);
    gradient.b = gradient.c = 0.5 * (gradient.b + gradient.c);
    const Matrix2 right = product(product(whitening, gradient), whitening);
    const Matrix2 adjugate = {root.d, -root.b, -root.c, root.a};
    const Matrix2 turned = product(product(adjugate, right), adjugate);
    const double det = determinant(root), scale = -2.0 / count / (2.0 * (root.a + root.d) * det);
    const double re = sums[0] / count, im = sums[1] / count;
    const double map[10] = {
        along_grad.a, along_grad.b, along_grad.c, along_grad.d,
        scale * (det * right.a + turned.a), scale * (det * right.b + turned.b),
        scale * (det * right.c + turned.c), scale * (det * right.d + turned.d),
        -along_grad.a * re - along_grad.b * im, -along_grad.c * re - along_grad.d * im,
    };
    for (u32 k = 0; k < 10; ++k) gradient_maps[10 * ring + k] = static_cast<float>(map[k]);
}

// target[n] += Σ_r shares[n, r]
KERNEL add_ring_shares(const float* shares, float* target, u32 count, u32 rings) {
    for (u64 at = first_index(); at < count; at += index_step()) {
        double sum = 0.0;
        for (u32 r = 0; r < rings; ++r) sum += shares[at * rings + r];
        target[at] += static_cast<float>(sum);
    }
}

KERNEL complex_batch_norm_gradient_input(const float* input, const float* saved, const float* gradient_maps,
                                         const u32* rings, const float* grad_output, float* grad_input, u32 channels,
                                         u32 ring_count, u32 bins, u32 batch) {
    const u64 count = static_cast<u64>(channels) * bins * batch, distance = static_cast<u64>(channels) * ring_count;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 c = at / batch / bins, bin = at / batch * 2 * batch + at % batch;
        const u64 ring = c * ring_count + rings[at / batch % bins];
        const float re = input[bin] - saved[ring], im = input[bin + batch] - saved[distance + ring];
        const float dy_re = grad_output[bin], dy_im = grad_output[bin + batch];
        const float* map = gradient_maps + 10 * ring;
        grad_input[bin] = map[0] * dy_re + map[1] * dy_im + map[4] * re + map[5] * im + map[8];
        grad_input[bin + batch] = map[2] * dy_re + map[3] * dy_im + map[6] * re + map[7] * im + map[9];
    }
}
