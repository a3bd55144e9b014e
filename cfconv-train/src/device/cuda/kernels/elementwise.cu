// Operations that treat each value alone.

KERNEL fill(float* target, float value, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) target[at] = value;
}

KERNEL copy(const float* source, float* target, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) target[at] = source[at];
}

KERNEL add(const float* a, const float* b, float* output, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) output[at] = a[at] + b[at];
}

KERNEL add_assign(const float* source, float* target, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) target[at] += source[at];
}

// target[at] += Σ_chunk partial[chunk, at]
KERNEL add_partials(const float* partial, float* target, u64 count, u32 chunks) {
    for (u64 at = first_index(); at < count; at += index_step()) {
        double sum = 0.0;
        for (u32 chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * count + at];
        target[at] += static_cast<float>(sum);
    }
}

// The numbers of nn::Activation; IDENTITY stands for none in fused operations.
enum { RELU = 0, GELU = 1, SILU = 2, TANH = 3, IDENTITY = 4 };

__device__ inline float sigmoid(float z) {
    return 1.0f / (1.0f + expf(-z));
}

// √(8/π), and 0.044715 times that.
#define GELU_LINEAR 1.5957691216057308f
#define GELU_CUBIC 0.07135481282661245f

__device__ inline float activation_value(u32 function, float z) {
    switch (function) {
        case RELU: return z < 0.0f ? 0.0f : z;
        case GELU: return z * sigmoid(z * (GELU_LINEAR + GELU_CUBIC * z * z));
        case SILU: return z * sigmoid(z);
        case TANH: return tanhf(z);
        default: return z;
    }
}

__device__ inline float activation_derivative(u32 function, float z) {
    switch (function) {
        case RELU: return z > 0.0f ? 1.0f : 0.0f;
        case GELU: {
            const float s = sigmoid(z * (GELU_LINEAR + GELU_CUBIC * z * z));
            return s + z * (GELU_LINEAR + 3.0f * GELU_CUBIC * z * z) * s * (1.0f - s);
        }
        case SILU: {
            const float s = sigmoid(z);
            return s + z * s * (1.0f - s);
        }
        case TANH: {
            const float t = tanhf(z);
            return 1.0f - t * t;
        }
        default: return 1.0f;
    }
}

KERNEL activation(const float* input, float* output, u32 function, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) output[at] = activation_value(function, input[at]);
}

KERNEL activation_vjp(const float* input, const float* grad_output, float* grad_input, u32 function, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) {
        grad_input[at] = grad_output[at] * activation_derivative(function, input[at]);
    }
}

// What check_finite has found: whether a step has failed, and what gradients are multiplied by.
__device__ inline bool has_failed(const float* step_status) { return step_status[0] != 0.0f; }

KERNEL copy_if_failed(const float* step_status, const float* source, float* target, u64 count) {
    if (!has_failed(step_status)) return;
    for (u64 at = first_index(); at < count; at += index_step()) target[at] = source[at];
}

// size: learning rate over 1 − β₁ᵗ; root_factor: 1/√(1 − β₂ᵗ); of coupled and decoupled decay one is 0.
KERNEL adam_step(const float* step_status, const float* grads, const float* decay, float* first_moment,
                 float* second_moment, float* params, float size, float beta_1, float beta_2, float epsilon,
                 float root_factor, float coupled, float decoupled, u64 count) {
    if (has_failed(step_status)) return;
    const float gradient_factor = step_status[1];
    for (u64 at = first_index(); at < count; at += index_step()) {
        const float p = params[at];
        const float g = gradient_factor * grads[at] + coupled * decay[at] * p;
        const float m = beta_1 * first_moment[at] + (1.0f - beta_1) * g;
        const float v = beta_2 * second_moment[at] + (1.0f - beta_2) * g * g;
        first_moment[at] = m;
        second_moment[at] = v;
        params[at] = p - decoupled * decay[at] * p - size * m / (sqrtf(v) * root_factor + epsilon);
    }
}

KERNEL sgd_step(const float* step_status, const float* grads, const float* decay, float* velocity, float* params,
                float learning_rate, float momentum, float weight_decay, u64 count) {
    if (has_failed(step_status)) return;
    const float gradient_factor = step_status[1];
    for (u64 at = first_index(); at < count; at += index_step()) {
        const float p = params[at];
        const float v = momentum * velocity[at] + gradient_factor * grads[at] + weight_decay * decay[at] * p;
        velocity[at] = v;
        params[at] = p - learning_rate * v;
    }
}

KERNEL average_step(const float* step_status, const float* params, float* average, float weight, u64 count) {
    if (has_failed(step_status)) return;
    for (u64 at = first_index(); at < count; at += index_step()) average[at] += weight * (params[at] - average[at]);
}

__device__ inline u32 rotate_left(u32 word, int by) {
    return (word << by) | (word >> (32 - by));
}

__device__ inline void quarter_round(u32* s, int a, int b, int c, int d) {
    s[a] += s[b]; s[d] = rotate_left(s[d] ^ s[a], 16);
    s[c] += s[d]; s[b] = rotate_left(s[b] ^ s[c], 12);
    s[a] += s[b]; s[d] = rotate_left(s[d] ^ s[a], 8);
    s[c] += s[d]; s[b] = rotate_left(s[b] ^ s[c], 7);
}

// Keeps value i, times scale, if word i of the ChaCha8 stream is at least `threshold`. The key is that of
// nn::seed::stream; each thread makes blocks of 16 words.
KERNEL dropout(const float* input, float* output, u64 run_seed, u64 purpose, u64 layer, u64 step, u32 threshold,
               float scale, u64 count) {
    const u64 key[4] = {run_seed, purpose, layer, step};
    for (u64 block = first_index(); block * 16 < count; block += index_step()) {
        u32 start[16] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};
        for (int word = 0; word < 4; ++word) {
            start[4 + 2 * word] = static_cast<u32>(key[word]);
            start[5 + 2 * word] = static_cast<u32>(key[word] >> 32);
        }
        start[12] = static_cast<u32>(block);
        start[13] = static_cast<u32>(block >> 32);
        start[14] = 0;
        start[15] = 0;
        u32 state[16];
        for (int word = 0; word < 16; ++word) state[word] = start[word];
        for (int round = 0; round < 4; ++round) {
            quarter_round(state, 0, 4, 8, 12);
            quarter_round(state, 1, 5, 9, 13);
            quarter_round(state, 2, 6, 10, 14);
            quarter_round(state, 3, 7, 11, 15);
            quarter_round(state, 0, 5, 10, 15);
            quarter_round(state, 1, 6, 11, 12);
            quarter_round(state, 2, 7, 8, 13);
            quarter_round(state, 3, 4, 9, 14);
        }
        for (int word = 0; word < 16 && block * 16 + word < count; ++word) {
            const u64 at = block * 16 + word;
            output[at] = state[word] + start[word] >= threshold ? scale * input[at] : 0.0f;
        }
    }
}

// output[p, b] = input[p, b] + params[p]
KERNEL position_embedding(const float* input, const float* params, float* output, u32 batch, u64 count) {
    for (u64 at = first_index(); at < count; at += index_step()) output[at] = input[at] + params[at / batch];
}

// sums[p] += Σ_b values[p, b]
KERNEL add_sums_over_images(const float* values, float* sums, u32 batch, u64 positions) {
    for (u64 at = first_index(); at < positions; at += index_step()) {
        double sum = 0.0;
        for (u32 b = 0; b < batch; ++b) sum += values[at * batch + b];
        sums[at] += static_cast<float>(sum);
    }
}

// One sum of squares a block, in f64.
KERNEL sum_of_squares(const float* values, float* partial, u64 count) {
    SHARED(double, shared);
    double sum[1] = {0.0};
    for (u64 at = first_index(); at < count; at += index_step()) {
        sum[0] += static_cast<double>(values[at]) * static_cast<double>(values[at]);
    }
    sum_over_block<1>(sum, shared);
    if (threadIdx.x == 0) reinterpret_cast<double*>(partial)[blockIdx.x] = sum[0];
}

// One block: sums[0 … 2] = Σ losses, Σ losses², Σ correct, as doubles.
KERNEL sum_losses(const float* losses, const float* correct, float* sums, u32 batch) {
    SHARED(double, shared);
    double sum[3] = {0.0, 0.0, 0.0};
    for (u32 image = threadIdx.x; image < batch; image += blockDim.x) {
        const double loss = losses[image];
        sum[0] += loss;
        sum[1] += loss * loss;
        sum[2] += correct[image];
    }
    sum_over_block<3>(sum, shared);
    if (threadIdx.x == 0) {
        for (int k = 0; k < 3; ++k) reinterpret_cast<double*>(sums)[k] = sum[k];
    }
}

// One thread: sums[3] = Σ partial; the step fails if that or the loss, sums[0], is not finite, and stays failed.
KERNEL check_finite(const float* partial, float* sums, float* step_status, u32 blocks, float clip_norm) {
    if (first_index() != 0) return;
    double squares = 0.0;
    for (u32 block = 0; block < blocks; ++block) squares += reinterpret_cast<const double*>(partial)[block];
    double* doubles = reinterpret_cast<double*>(sums);
    doubles[3] = squares;
    // Of what is not finite the difference from itself is NaN.
    if (!(doubles[0] - doubles[0] == 0.0) || !(squares - squares == 0.0)) step_status[0] = 1.0f;
    const double norm = sqrt(squares);
    step_status[1] = clip_norm > 0.0f && norm > clip_norm ? static_cast<float>(clip_norm / norm) : 1.0f;
}
