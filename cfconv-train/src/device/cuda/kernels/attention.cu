// Self-attention between its projections. qkv is [3·C, T, B], heads lie side by side in the channels; D = C/heads. No
// array of T×T probabilities is kept: a row's logarithm of the sum of exponentials, [heads, T, B], gives them again.

// Channels of a head that a thread sums at a time, in registers.
#define HEAD_PART 32

__device__ inline float head_product(const float* a, const float* b, u32 channels, u64 distance) {
    float sum = 0.0f;
    for (u32 j = 0; j < channels; ++j) sum += a[j * distance] * b[j * distance];
    return sum;
}

KERNEL attention_forward(const float* qkv, float* output, float* log_sums, u32 channels, u32 heads, u32 tokens,
                         u32 batch) {
    const u32 head_channels = channels / heads;
    const u64 plane = static_cast<u64>(tokens) * batch, part = channels * plane;
    const float scale = 1.0f / sqrtf(static_cast<float>(head_channels));
    for (u64 at = first_index(); at < heads * plane; at += index_step()) {
        const u64 head = at / plane, column = at % plane, b = column % batch;
        const u64 first = head * head_channels * plane;
        const float* q = qkv + first + column;
        float largest = 0.0f, sum = 0.0f;
        for (u64 s = 0; s < tokens; ++s) {
            const float score = scale * head_product(q, qkv + part + first + s * batch + b, head_channels, plane);
            if (s == 0 || score > largest) {
                sum = s == 0 ? 0.0f : sum * expf(largest - score);
                largest = score;
            }
            sum += expf(score - largest);
        }
        const float log_sum = largest + logf(sum);
        log_sums[at] = log_sum;
        for (u32 start = 0; start < head_channels; start += HEAD_PART) {
            const u32 count = head_channels - start < HEAD_PART ? head_channels - start : HEAD_PART;
            float sums[HEAD_PART];
            for (u32 j = 0; j < HEAD_PART; ++j) sums[j] = 0.0f;
            for (u64 s = 0; s < tokens; ++s) {
                const u64 other = first + s * batch + b;
                const float p = expf(scale * head_product(q, qkv + part + other, head_channels, plane) - log_sum);
                for (u32 j = 0; j < count; ++j) sums[j] += p * qkv[2 * part + other + (start + j) * plane];
            }
            for (u32 j = 0; j < count; ++j) output[first + (start + j) * plane + column] = sums[j];
        }
    }
}

// row_sums[head, t, b] = Σ_j do[j]·o[j]
KERNEL attention_row_sums(const float* output, const float* grad_output, float* row_sums, u32 channels, u32 heads,
                          u32 tokens, u32 batch) {
    const u32 head_channels = channels / heads;
    const u64 plane = static_cast<u64>(tokens) * batch;
    for (u64 at = first_index(); at < heads * plane; at += index_step()) {
        const u64 first = at / plane * head_channels * plane + at % plane;
        row_sums[at] = head_product(output + first, grad_output + first, head_channels, plane);
    }
}

// grad_qkv [3·C, T, B]. With P the probabilities and dS[t, s] = P[t, s]·(do[t]·v[s] − row_sums[t])/√D:
// dq[t] = Σ_s dS[t, s]·k[s], dk[s] = Σ_t dS[t, s]·q[t], dv[s] = Σ_t P[t, s]·do[t].
KERNEL attention_vjp(const float* qkv, const float* log_sums, const float* row_sums, const float* grad_output,
                     float* grad_qkv, u32 channels, u32 heads, u32 tokens, u32 batch) {
    const u32 head_channels = channels / heads;
    const u64 plane = static_cast<u64>(tokens) * batch, part = channels * plane;
    const float scale = 1.0f / sqrtf(static_cast<float>(head_channels));
    for (u64 at = first_index(); at < heads * plane; at += index_step()) {
        const u64 head = at / plane, column = at % plane, b = column % batch;
        const u64 first = head * head_channels * plane, rows = head * plane;
        const u64 here = first + column;
        for (u32 start = 0; start < head_channels; start += HEAD_PART) {
            const u32 count = head_channels - start < HEAD_PART ? head_channels - start : HEAD_PART;
            float dq[HEAD_PART], dk[HEAD_PART], dv[HEAD_PART];
            for (u32 j = 0; j < HEAD_PART; ++j) dq[j] = dk[j] = dv[j] = 0.0f;
            for (u64 s = 0; s < tokens; ++s) {
                const u64 other_column = s * batch + b, other = first + other_column;
                // This token asks the other.
                const float p = expf(scale * head_product(qkv + here, qkv + part + other, head_channels, plane)
                                     - log_sums[rows + column]);
                const float ds = scale * p
                    * (head_product(grad_output + here, qkv + 2 * part + other, head_channels, plane)
                       - row_sums[rows + column]);
                // The other asks this one.
                const float p_other = expf(scale * head_product(qkv + other, qkv + part + here, head_channels, plane)
                                           - log_sums[rows + other_column]);
                const float ds_other = scale * p_other
                    * (head_product(grad_output + other, qkv + 2 * part + here, head_channels, plane)
                       - row_sums[rows + other_column]);
                for (u32 j = 0; j < count; ++j) {
                    const u64 channel = (start + j) * plane;
                    dq[j] += ds * qkv[part + other + channel];
                    dk[j] += ds_other * qkv[other + channel];
                    dv[j] += p_other * grad_output[other + channel];
                }
            }
            for (u32 j = 0; j < count; ++j) {
                const u64 channel = here + (start + j) * plane;
                grad_qkv[channel] = dq[j];
                grad_qkv[part + channel] = dk[j];
                grad_qkv[2 * part + channel] = dv[j];
            }
        }
    }
}
