// Batch and layer normalisation. Values are [C, plane], a plane being pixels times images.

// Σ(x − x₀) and Σ(x − x₀)², x₀ the channel's first value: grid (chunks, channels).
KERNEL channel_moments(const float* input, float* partial, u64 plane) {
    const float* x = input + blockIdx.y * plane;
    const double shift = x[0];
    sum_chunk_of_channel<2>(plane, partial, [&](u64 at, double* sums) {
        const double difference = x[at] - shift;
        sums[0] += difference;
        sums[1] += difference * difference;
    });
}

// Means and 1/√(σ² + ε) to saved [2, C]; running [2, C] moves towards the mean and the unbiased variance.
KERNEL batch_norm_statistics(const float* input, const float* partial, float* running, float* saved, u32 channels,
                             u32 chunks, u64 plane, float epsilon, float momentum) {
    const u64 c = first_index();
    if (c >= channels) return;
    double sums[2];
    sum_of_chunks<2>(partial, static_cast<u32>(c), chunks, sums);
    const double count = static_cast<double>(plane);
    const double shifted = sums[0] / count;
    const double mean = input[c * plane] + shifted;
    double variance = sums[1] / count - shifted * shifted;
    variance = variance < 0.0 ? 0.0 : variance;
    saved[c] = static_cast<float>(mean);
    saved[channels + c] = static_cast<float>(1.0 / sqrt(variance + epsilon));
    const double unbiased = variance * count / (plane > 1 ? count - 1.0 : 1.0);
    running[c] += momentum * (static_cast<float>(mean) - running[c]);
    running[channels + c] += momentum * (static_cast<float>(unbiased) - running[channels + c]);
}

// y = f(γ·(x − μ)·r + β); `statistics` [2, C] holds μ and r, or with `from_variance` μ and σ².
KERNEL batch_norm_apply(const float* input, const float* params, const float* statistics, float* output, u32 channels,
                        u64 plane, u32 function, float epsilon, u32 from_variance) {
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        const u64 c = at / plane;
        const float spread = statistics[channels + c];
        const float r = from_variance ? 1.0f / sqrtf(spread + epsilon) : spread;
        const float z = params[c] * ((input[at] - statistics[c]) * r) + params[channels + c];
        output[at] = activation_value(function, z);
    }
}

// Σ dz·x̂ and Σ dz with dz = dy·f'(γ·x̂ + β).
KERNEL batch_norm_gradient_sums(const float* input, const float* params, const float* saved, const float* grad_output,
                                float* partial, u32 channels, u64 plane, u32 function) {
    const u32 c = blockIdx.y;
    const float mean = saved[c], r = saved[channels + c], gamma = params[c], beta = params[channels + c];
    sum_chunk_of_channel<2>(plane, partial, [&](u64 at, double* sums) {
        const float x = (input[c * plane + at] - mean) * r;
        const float dz = grad_output[c * plane + at] * activation_derivative(function, gamma * x + beta);
        sums[0] += static_cast<double>(dz) * x;
        sums[1] += dz;
    });
}

// target[k, c] += sum k of channel c, K of them; the sums to totals [K, C] where that is wanted.
template <int K>
__device__ void add_channel_sums(const float* partial, float* target, float* totals, u32 channels, u32 chunks) {
    const u64 c = first_index();
    if (c >= channels) return;
    double sums[K];
    sum_of_chunks<K>(partial, static_cast<u32>(c), chunks, sums);
    for (int k = 0; k < K; ++k) {
        target[k * channels + c] += static_cast<float>(sums[k]);
        if (totals) totals[k * channels + c] = static_cast<float>(sums[k]);
    }
}

KERNEL add_channel_sums_1(const float* partial, float* target, float* totals, u32 channels, u32 chunks) {
    add_channel_sums<1>(partial, target, totals, channels, chunks);
}

KERNEL add_channel_sums_2(const float* partial, float* target, float* totals, u32 channels, u32 chunks) {
    add_channel_sums<2>(partial, target, totals, channels, chunks);
}

KERNEL add_channel_sums_3(const float* partial, float* target, float* totals, u32 channels, u32 chunks) {
    add_channel_sums<3>(partial, target, totals, channels, chunks);
}

// dx = γ·r·(dz − Σdz/n − x̂·Σ(dz·x̂)/n)
KERNEL batch_norm_gradient_input(const float* input, const float* params, const float* saved, const float* totals,
                                 const float* grad_output, float* grad_input, u32 channels, u64 plane, u32 function) {
    const float share = 1.0f / static_cast<float>(plane);
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        const u64 c = at / plane;
        const float r = saved[channels + c], gamma = params[c];
        const float x = (input[at] - saved[c]) * r;
        const float dz = grad_output[at] * activation_derivative(function, gamma * x + params[channels + c]);
        grad_input[at] = gamma * r * (dz - share * totals[channels + c] - x * share * totals[c]);
    }
}

// Σ values of a channel: grid (chunks, channels). The channels may be farther apart than their planes are long.
KERNEL channel_sums(const float* values, float* partial, u64 plane, u64 distance) {
    const float* x = values + blockIdx.y * distance;
    sum_chunk_of_channel<1>(plane, partial, [&](u64 at, double* sums) { sums[0] += x[at]; });
}

// statistics [2, plane]: mean and 1/√(σ² + ε) over the channels of each column.
KERNEL layer_norm_statistics(const float* input, float* statistics, u32 channels, u64 plane, float epsilon) {
    for (u64 at = first_index(); at < plane; at += index_step()) {
        double sum = 0.0, squares = 0.0;
        for (u32 c = 0; c < channels; ++c) sum += input[c * plane + at];
        const double mean = sum / channels;
        for (u32 c = 0; c < channels; ++c) {
            const double difference = input[c * plane + at] - mean;
            squares += difference * difference;
        }
        statistics[at] = static_cast<float>(mean);
        statistics[plane + at] = static_cast<float>(1.0 / sqrt(squares / channels + epsilon));
    }
}

KERNEL layer_norm_apply(const float* input, const float* params, const float* statistics, float* output, u32 channels,
                        u64 plane) {
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        const u64 c = at / plane, column = at % plane;
        const float x = (input[at] - statistics[column]) * statistics[plane + column];
        output[at] = params[c] * x + params[channels + c];
    }
}

// Σ dy·x̂ and Σ dy of each channel.
KERNEL layer_norm_gradient_sums(const float* input, const float* statistics, const float* grad_output, float* partial,
                                u64 plane) {
    const float* x = input + blockIdx.y * plane;
    const float* dy = grad_output + blockIdx.y * plane;
    sum_chunk_of_channel<2>(plane, partial, [&](u64 at, double* sums) {
        sums[0] += static_cast<double>(dy[at]) * ((x[at] - statistics[at]) * statistics[plane + at]);
        sums[1] += dy[at];
    });
}

// With g = γ·dy: dx = (g − Σ_c g/C − x̂·Σ_c g·x̂/C)·r
KERNEL layer_norm_gradient_input(const float* input, const float* params, const float* statistics,
                                 const float* grad_output, float* grad_input, u32 channels, u64 plane) {
    for (u64 at = first_index(); at < plane; at += index_step()) {
        const float mean = statistics[at], r = statistics[plane + at];
        float sum = 0.0f, sum_x = 0.0f;
        for (u32 c = 0; c < channels; ++c) {
            const float g = params[c] * grad_output[c * plane + at];
            sum += g;
            sum_x += g * (input[c * plane + at] - mean) * r;
        }
        for (u32 c = 0; c < channels; ++c) {
            const float g = params[c] * grad_output[c * plane + at];
            const float x = (input[c * plane + at] - mean) * r;
            grad_input[c * plane + at] = r * (g - sum / channels - x * sum_x / channels);
        }
    }
}
