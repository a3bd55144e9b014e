// Pooling over windows and whole channels. Images are [C, H, W, B], one thread for each value that is written.

KERNEL max_pool(const float* input, u32* winners, float* output, u32 channels, u32 height, u32 width, u32 size,
                u32 stride, u32 batch) {
    const u32 rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
    const u64 count = static_cast<u64>(channels) * rows * columns * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch, x = at / batch % columns, y = at / batch / columns % rows;
        const u64 c = at / batch / columns / rows;
        float best = 0.0f;
        u32 winner = 0;
        for (u32 tap = 0; tap < size * size; ++tap) {
            const u64 h = y * stride + tap / size, w = x * stride + tap % size;
            const float value = input[((c * height + h) * width + w) * batch + b];
            // The first NaN stays: it counts as larger than numbers.
            if (tap == 0 || value > best || (value != value && best == best)) {
                best = value;
                winner = tap;
            }
        }
        output[at] = best;
        if (winners) winners[at] = winner;
    }
}

KERNEL max_pool_vjp(const u32* winners, const float* grad_output, float* grad_input, u32 channels, u32 height,
                    u32 width, u32 size, u32 stride, u32 batch) {
    const u32 rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
    const u64 count = static_cast<u64>(channels) * height * width * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch;
        const u32 w = at / batch % width, h = at / batch / width % height;
        const u64 c = at / batch / width / height;
        // The windows over a pixel: those that begin at most `size` − 1 before it.
        const u32 first_y = h < size ? 0 : (h - size) / stride + 1, first_x = w < size ? 0 : (w - size) / stride + 1;
        float sum = 0.0f;
        for (u32 y = first_y; y < rows && y * stride <= h; ++y) {
            for (u32 x = first_x; x < columns && x * stride <= w; ++x) {
                const u64 window = ((c * rows + y) * columns + x) * batch + b;
                if (winners[window] == (h - y * stride) * size + (w - x * stride)) sum += grad_output[window];
            }
        }
        grad_input[at] = sum;
    }
}

KERNEL average_pool(const float* input, float* output, u32 channels, u32 height, u32 width, u32 size, u32 stride,
                    u32 batch) {
    const u32 rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
    const u64 count = static_cast<u64>(channels) * rows * columns * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch, x = at / batch % columns, y = at / batch / columns % rows;
        const u64 c = at / batch / columns / rows;
        float sum = 0.0f;
        for (u32 tap = 0; tap < size * size; ++tap) {
            const u64 h = y * stride + tap / size, w = x * stride + tap % size;
            sum += input[((c * height + h) * width + w) * batch + b];
        }
        output[at] = sum / static_cast<float>(size * size);
    }
}

KERNEL average_pool_adjoint(const float* grad_output, float* grad_input, u32 channels, u32 height, u32 width, u32 size,
                            u32 stride, u32 batch) {
    const u32 rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
    const u64 count = static_cast<u64>(channels) * height * width * batch;
    for (u64 at = first_index(); at < count; at += index_step()) {
        const u64 b = at % batch;
        const u32 w = at / batch % width, h = at / batch / width % height;
        const u64 c = at / batch / width / height;
        const u32 first_y = h < size ? 0 : (h - size) / stride + 1, first_x = w < size ? 0 : (w - size) / stride + 1;
        float sum = 0.0f;
        for (u32 y = first_y; y < rows && y * stride <= h; ++y) {
            for (u32 x = first_x; x < columns && x * stride <= w; ++x) {
                sum += grad_output[((c * rows + y) * columns + x) * batch + b];
            }
        }
        grad_input[at] = sum / static_cast<float>(size * size);
    }
}

KERNEL global_average_pool(const float* input, float* output, u32 channels, u32 pixels, u32 batch) {
    for (u64 at = first_index(); at < static_cast<u64>(channels) * batch; at += index_step()) {
        const u64 c = at / batch, b = at % batch;
        double sum = 0.0;
        for (u64 pixel = 0; pixel < pixels; ++pixel) sum += input[(c * pixels + pixel) * batch + b];
        output[at] = static_cast<float>(sum / pixels);
    }
}

KERNEL global_average_pool_adjoint(const float* grad_output, float* grad_input, u32 channels, u32 pixels, u32 batch) {
    const u64 plane = static_cast<u64>(pixels) * batch;
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        grad_input[at] = grad_output[at / plane * batch + at % batch] / static_cast<float>(pixels);
    }
}
