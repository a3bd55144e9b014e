// Real transforms in two passes, rows and columns, each in shared memory. Images are [C, H, W, B], half spectra
// [C, P, Wr, 2, B] with P rows: those of the torus, which may be larger than the image. Two images at a time make one
// complex row. Sizes are products of any factors; a prime factor costs its square.

// From `from` to `to` and back until all factors are done; returns where the result is. Both hold [size][lanes] values.
// Stockham's order: after the factors whose product is l, from[k·(size/l) + p] is value k of the transform of
// p, p + size/l, …. `factors` is their number, then they; `roots[j]` = exp(−2πi·j/size).
__device__ inline Complex* transform(Complex* from, Complex* to, u32 size, u32 lanes, const u32* factors,
                                     const float* roots, u32 inverse) {
    u32 done = 1;
    for (u32 factor = 1; factor <= factors[0]; ++factor) {
        const u32 radix = factors[factor], length = done * radix, rest = size / length;
        for (u32 at = threadIdx.x; at < size * lanes; at += blockDim.x) {
            const u32 lane = at % lanes, k = at / lanes / rest, p = at / lanes % rest;
            const u32 base = k % done * rest * radix + p;
            Complex sum = from[base * lanes + lane];
            u32 angle = 0;
            for (u32 s = 1; s < radix; ++s) {
                angle += k;
                angle -= angle >= length ? length : 0;
                Complex root = {roots[2 * angle * rest], roots[2 * angle * rest + 1]};
                if (inverse) root.im = -root.im;
                sum = multiply_add(root, from[(base + s * rest) * lanes + lane], sum);
            }
            to[at] = sum;
        }
        __syncthreads();
        Complex* next = from;
        from = to;
        to = next;
        done = length;
    }
    return from;
}

// The columns 0 and, of an even width, width/2 stand for themselves, the others for two.
__device__ inline u32 is_paired(u32 column, u32 width) {
    return column != 0 && 2 * column != width;
}

// Rows of images to rows of half spectra, times `scale` and, in paired columns, `paired`. The image's rows are `width`
// long, zero from there to `size`. Grid (height, channels, ⌈B/(2·lanes)⌉).
KERNEL rfft_rows(const float* images, float* spectra, const u32* factors, const float* roots, u32 width, u32 size,
                 u32 torus_height, u32 batch, u32 lanes, float scale, float paired) {
    SHARED(Complex, shared);
    const u32 half_width = size / 2 + 1;
    const u32 h = blockIdx.x, c = blockIdx.y, height = gridDim.x, first = blockIdx.z * lanes;
    const float* row = images + (static_cast<u64>(c) * height + h) * width * batch;
    for (u32 at = threadIdx.x; at < size * lanes; at += blockDim.x) {
        const u32 w = at / lanes, b = 2 * (first + at % lanes);
        Complex value = {0.0f, 0.0f};
        if (w < width && b < batch) value.re = row[static_cast<u64>(w) * batch + b];
        if (w < width && b + 1 < batch) value.im = row[static_cast<u64>(w) * batch + b + 1];
        shared[at] = value;
    }
    __syncthreads();
    const Complex* result = transform(shared, shared + size * lanes, size, lanes, factors, roots, 0);
    float* target = spectra + (static_cast<u64>(c) * torus_height + h) * half_width * 2 * batch;
    for (u32 at = threadIdx.x; at < half_width * lanes; at += blockDim.x) {
        const u32 k = at / lanes, lane = at % lanes, b = 2 * (first + lane);
        const Complex z = result[k * lanes + lane], mirror = result[(size - k) % size * lanes + lane];
        const float factor = 0.5f * scale * (is_paired(k, size) ? paired : 1.0f);
        float* bin = target + static_cast<u64>(k) * 2 * batch;
        if (b < batch) {
            bin[b] = factor * (z.re + mirror.re);
            bin[batch + b] = factor * (z.im - mirror.im);
        }
        if (b + 1 < batch) {
            bin[b + 1] = factor * (z.im + mirror.im);
            bin[batch + b + 1] = factor * (mirror.re - z.re);
        }
    }
}

// The reverse, without 1/size: of self-conjugate columns the real part is used. `bias` [C] may be absent.
KERNEL irfft_rows(const float* spectra, float* images, const float* bias, const u32* factors, const float* roots,
                  u32 width, u32 size, u32 torus_height, u32 batch, u32 lanes, float scale, float paired) {
    SHARED(Complex, shared);
    const u32 half_width = size / 2 + 1;
    const u32 h = blockIdx.x, c = blockIdx.y, height = gridDim.x, first = blockIdx.z * lanes;
    const float* source = spectra + (static_cast<u64>(c) * torus_height + h) * half_width * 2 * batch;
    for (u32 at = threadIdx.x; at < half_width * lanes; at += blockDim.x) {
        const u32 k = at / lanes, lane = at % lanes, b = 2 * (first + lane);
        const float* bin = source + static_cast<u64>(k) * 2 * batch;
        const u32 pair = is_paired(k, size);
        const float factor = scale * (pair ? paired : 1.0f);
        Complex x = {0.0f, 0.0f}, y = {0.0f, 0.0f};
        if (b < batch) x = {factor * bin[b], pair ? factor * bin[batch + b] : 0.0f};
        if (b + 1 < batch) y = {factor * bin[b + 1], pair ? factor * bin[batch + b + 1] : 0.0f};
        // x + i·y, and conj x + i·conj y in the mirrored place.
        shared[k * lanes + lane] = {x.re - y.im, x.im + y.re};
        if (pair) shared[(size - k) * lanes + lane] = {x.re + y.im, y.re - x.im};
    }
    __syncthreads();
    const Complex* result = transform(shared, shared + size * lanes, size, lanes, factors, roots, 1);
    float* row = images + (static_cast<u64>(c) * height + h) * width * batch;
    const float constant = bias ? bias[c] : 0.0f;
    for (u32 at = threadIdx.x; at < width * lanes; at += blockDim.x) {
        const u32 w = at / lanes, b = 2 * (first + at % lanes);
        if (b < batch) row[static_cast<u64>(w) * batch + b] = result[at].re + constant;
        if (b + 1 < batch) row[static_cast<u64>(w) * batch + b + 1] = result[at].im + constant;
    }
}

// Columns of half spectra: rows from `rows_in` on count as zero, the first `rows_out` are written. Without a source
// the target is transformed in place. Grid (half width, channels, ⌈B/lanes⌉).
KERNEL fft_columns(const float* source, float* target, const u32* factors, const float* roots, u32 size, u32 rows_in,
                   u32 rows_out, u32 batch, u32 lanes, u32 inverse) {
    SHARED(Complex, shared);
    const u32 k = blockIdx.x, c = blockIdx.y, half_width = gridDim.x, first = blockIdx.z * lanes;
    const u64 row = static_cast<u64>(half_width) * 2 * batch;
    const u64 start = static_cast<u64>(c) * size * row + static_cast<u64>(k) * 2 * batch;
    const float* values = source ? source : target;
    for (u32 at = threadIdx.x; at < size * lanes; at += blockDim.x) {
        const u32 p = at / lanes, b = first + at % lanes;
        Complex value = {0.0f, 0.0f};
        if (p < rows_in && b < batch) value = {values[start + p * row + b], values[start + p * row + batch + b]};
        shared[at] = value;
    }
    __syncthreads();
    const Complex* result = transform(shared, shared + size * lanes, size, lanes, factors, roots, inverse);
    for (u32 at = threadIdx.x; at < rows_out * lanes; at += blockDim.x) {
        const u32 p = at / lanes, b = first + at % lanes;
        if (b < batch) {
            target[start + p * row + b] = result[at].re;
            target[start + p * row + batch + b] = result[at].im;
        }
    }
}

// A row of a smaller spectrum comes from the row of the same frequency of a larger one; the smaller one's Nyquist row
// from both signs of it, if the larger one tells them apart. Returns the row of the negative sign, `mirror` that of the
// positive one or the same.
__device__ inline u32 kept_row(u32 row, u32 small, u32 large, u32* mirror) {
    const u32 kept = row <= (small - 1) / 2 ? row : large - (small - row);
    *mirror = 2 * row == small && small < large ? row : kept;
    return kept;
}

// small[p, q] = scale·(mean of large's rows); the Nyquist column as it is, or with `hermitian` its Hermitian part.
KERNEL crop_spectrum(const float* large, float* small, u32 channels, u32 large_height, u32 large_half_width,
                     u32 small_height, u32 small_half_width, u32 batch, float scale, u32 hermitian) {
    const u64 count = static_cast<u64>(channels) * small_height * small_half_width * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch, q = at / batch % small_half_width;
        const u32 p = static_cast<u32>(at / batch / small_half_width % small_height);
        const u64 c = at / batch / small_half_width / small_height;
        const u32 conjugate = hermitian && q == small_half_width - 1;
        Complex sum = {0.0f, 0.0f};
        for (u32 turn = 0; turn < 1 + conjugate; ++turn) {
            u32 mirror;
            const u32 kept = kept_row(turn ? (small_height - p) % small_height : p, small_height, large_height, &mirror);
            const u32 rows[2] = {kept, mirror};
            for (u32 sign = 0; sign < 2; ++sign) {
                const u64 bin = ((c * large_height + rows[sign]) * large_half_width + q) * 2 * batch + b;
                sum.re += large[bin];
                sum.im += turn ? -large[bin + batch] : large[bin + batch];
            }
        }
        const float share = scale / (conjugate ? 4.0f : 2.0f);
        const u64 target = ((c * small_height + p) * small_half_width + q) * 2 * batch + b;
        small[target] = share * sum.re;
        small[target + batch] = share * sum.im;
    }
}

// The adjoint: zero where nothing was kept. `nyquist` multiplies the smaller spectrum's last column.
KERNEL crop_spectrum_adjoint(const float* small, float* large, u32 channels, u32 large_height, u32 large_half_width,
                             u32 small_height, u32 small_half_width, u32 batch, float scale, float nyquist,
                             u32 hermitian) {
    const u64 count = static_cast<u64>(channels) * large_height * large_half_width * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch, q = at / batch % large_half_width;
        const u32 p = static_cast<u32>(at / batch / large_half_width % large_height);
        const u64 c = at / batch / large_half_width / large_height;
        Complex value = {0.0f, 0.0f};
        // The one row that kept p: the same, or counted from the end.
        u32 row = p;
        float factor = 0.0f;
        if (q < small_half_width) {
            for (u32 turn = 0; turn < 2 && factor == 0.0f; ++turn) {
                if (turn && p + small_height < large_height) break;
                row = turn ? p + small_height - large_height : p;
                if (row >= small_height) continue;
                u32 mirror;
                const u32 kept = kept_row(row, small_height, large_height, &mirror);
                if (kept == p || mirror == p) factor = kept == mirror ? scale : 0.5f * scale;
            }
        }
        if (factor != 0.0f) {
            const u32 last = q == small_half_width - 1;
            if (last) factor *= nyquist;
            const u64 bin = ((c * small_height + row) * small_half_width + q) * 2 * batch + b;
            value = {factor * small[bin], factor * small[bin + batch]};
            if (last && hermitian) {
                const u32 other = (small_height - row) % small_height;
                const u64 mirror_bin = ((c * small_height + other) * small_half_width + q) * 2 * batch + b;
                value.re = 0.5f * (value.re + factor * small[mirror_bin]);
                value.im = 0.5f * (value.im - factor * small[mirror_bin + batch]);
            }
        }
        const u64 target = ((c * large_height + p) * large_half_width + q) * 2 * batch + b;
        large[target] = value.re;
        large[target + batch] = value.im;
    }
}
