// Group normalisation. A group is [rows, B]: the rows are the pixels of its channels, the B images lie side by side. A
// column is one image of one group.

// Two sums over the rows of each column, a chunk of the rows in each block: block (x, y) takes chunk y of its columns
// and writes partial[column, y, 2]. `terms(at, sums)` adds the terms of one value.
template <class Terms>
__device__ void group_norm_sums(u32 rows, u32 batch, u32 columns, float* partial, Terms terms) {
    const u32 chunk = (rows + gridDim.y - 1) / gridDim.y;
    const u32 start = chunk * blockIdx.y;
    const u32 end = start + chunk < rows ? start + chunk : rows;
    for (u64 column = first_index(); column < columns; column += index_step()) {
        const u64 first = column / batch * rows * batch + column % batch;
        double sums[2] = {0.0, 0.0};
        for (u32 row = start; row < end; ++row) terms(column, first + static_cast<u64>(row) * batch, sums);
        double* target = reinterpret_cast<double*>(partial) + (column * gridDim.y + blockIdx.y) * 2;
        target[0] = sums[0];
        target[1] = sums[1];
    }
}

// Σ(x − x₀) and Σ(x − x₀)², x₀ the column's first value.
KERNEL group_norm_moments(const float* input, float* partial, u32 rows, u32 batch, u32 columns) {
    group_norm_sums(rows, batch, columns, partial, [&](u64 column, u64 at, double* sums) {
        const double shift = input[column / batch * rows * batch + column % batch];
        const double difference = input[at] - shift;
        sums[0] += difference;
        sums[1] += difference * difference;
    });
}

// statistics [2, columns]: mean and 1/√(σ² + ε).
KERNEL group_norm_statistics(const float* input, const float* partial, float* statistics, u32 rows, u32 batch,
                             u32 columns, u32 chunks, float epsilon) {
    for (u64 column = first_index(); column < columns; column += index_step()) {
        double sums[2];
        sum_of_chunks<2>(partial, static_cast<u32>(column), chunks, sums);
        const double shifted = sums[0] / rows;
        double variance = sums[1] / rows - shifted * shifted;
        variance = variance < 0.0 ? 0.0 : variance;
        statistics[column] = static_cast<float>(input[column / batch * rows * batch + column % batch] + shifted);
        statistics[columns + column] = static_cast<float>(1.0 / sqrt(variance + epsilon));
    }
}

// The column of a value, and the value normalised.
__device__ inline u64 group_norm_column(u64 at, u32 rows, u32 batch) {
    return at / (static_cast<u64>(rows) * batch) * batch + at % batch;
}

__device__ inline float group_norm_normalized(const float* input, const float* statistics, u64 at, u64 column,
                                              u32 columns) {
    return (input[at] - statistics[column]) * statistics[columns + column];
}

KERNEL group_norm_apply(const float* input, const float* params, const float* statistics, float* output, u32 channels,
                        u64 plane, u32 rows, u32 batch, u32 columns) {
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        const u64 c = at / plane;
        const u64 column = group_norm_column(at, rows, batch);
        output[at] = params[c] * group_norm_normalized(input, statistics, at, column, columns) + params[channels + c];
    }
}

// Σ dy·x̂ and Σ dy of each channel.
KERNEL group_norm_gradient_sums(const float* input, const float* statistics, const float* grad_output, float* partial,
                                u64 plane, u32 rows, u32 batch, u32 columns) {
    const u64 first = blockIdx.y * plane;
    sum_chunk_of_channel<2>(plane, partial, [&](u64 offset, double* sums) {
        const u64 at = first + offset;
        const u64 column = group_norm_column(at, rows, batch);
        const float x = group_norm_normalized(input, statistics, at, column, columns);
        sums[0] += static_cast<double>(grad_output[at]) * x;
        sums[1] += grad_output[at];
    });
}

// With g = γ·dy: Σ g and Σ g·x̂ of each column.
KERNEL group_norm_gradient_moments(const float* input, const float* params, const float* statistics,
                                   const float* grad_output, float* partial, u64 plane, u32 rows, u32 batch,
                                   u32 columns) {
    group_norm_sums(rows, batch, columns, partial, [&](u64 column, u64 at, double* sums) {
        const double g = static_cast<double>(params[at / plane]) * grad_output[at];
        sums[0] += g;
        sums[1] += g * group_norm_normalized(input, statistics, at, column, columns);
    });
}

// means [2, columns]: Σ g/n and Σ g·x̂/n.
KERNEL group_norm_gradient_means(const float* partial, float* means, u32 rows, u32 columns, u32 chunks) {
    for (u64 column = first_index(); column < columns; column += index_step()) {
        double sums[2];
        sum_of_chunks<2>(partial, static_cast<u32>(column), chunks, sums);
        means[column] = static_cast<float>(sums[0] / rows);
        means[columns + column] = static_cast<float>(sums[1] / rows);
    }
}

// dx = (g − Σ g/n − x̂·Σ g·x̂/n)·r
KERNEL group_norm_gradient_input(const float* input, const float* params, const float* statistics, const float* means,
                                 const float* grad_output, float* grad_input, u32 channels, u64 plane, u32 rows,
                                 u32 batch, u32 columns) {
    for (u64 at = first_index(); at < channels * plane; at += index_step()) {
        const u64 column = group_norm_column(at, rows, batch);
        const float g = params[at / plane] * grad_output[at];
        const float x = group_norm_normalized(input, statistics, at, column, columns);
        grad_input[at] = statistics[columns + column] * (g - means[column] - x * means[columns + column]);
    }
}
