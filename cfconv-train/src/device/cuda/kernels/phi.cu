// The kernel network Φ at positions, fused: a block takes a few positions at a time through the whole network and, for
// gradients, back. Activations live in shared memory (or, of very wide networks, in a slice of scratch for each block)
// and are gone afterwards; nothing in global memory grows with positions times width.

// The numbers of cfconv_mlp::Activation.
enum { PHI_SINE = 0, PHI_GELU = 1, PHI_RELU = 2, PHI_TANH = 3, PHI_GABOR = 4 };

// What a network looks like; the first numbers of `layout`. Then for each layer the places of weight and bias of MLP 0.
struct PhiLayout {
    u32 hidden_layers;
    u32 in_features;
    u32 hidden_width;
    u32 out_features;
    u32 activation;
    u32 polar;
    // Features of the frequency; then those of the channel axes that are inputs, `axis_features` each, of `axes` axes.
    u32 frequency_features;
    u32 axes;
    u32 axis_features;
    // Whether channels enter by embeddings, which are parameters, or by a table of coordinates.
    u32 embedded;
    // Positions of one frequency.
    u32 pairs;
    // Of each axis: its channels, the positions from one channel to the next, and where its embeddings begin in the
    // parameters or its coordinates in the table.
    u32 channels[2];
    u32 steps[2];
    u32 starts[2];
    // Parameters of one MLP, and of the embeddings.
    u32 mlp_len;
    u32 embeddings_len;
};

#define PHI_LAYOUT_LEN 19

__device__ inline PhiLayout read_layout(const u32* layout) {
    return *reinterpret_cast<const PhiLayout*>(layout);
}

// The channel of a position on an axis.
__device__ inline u32 channel_of(const PhiLayout& phi, u32 axis, u32 position) {
    return position / phi.steps[axis] % phi.channels[axis];
}

__device__ inline u32 layer_inputs(const PhiLayout& phi, u32 layer) {
    return layer == 0 ? phi.in_features : phi.hidden_width;
}

__device__ inline u32 layer_outputs(const PhiLayout& phi, u32 layer) {
    return layer == phi.hidden_layers ? phi.out_features : phi.hidden_width;
}

__device__ inline float phi_activation(u32 function, float z, float* derivative) {
    switch (function) {
        case PHI_SINE:
            *derivative = cosf(z);
            return sinf(z);
        case PHI_RELU:
            *derivative = z > 0.0f ? 1.0f : 0.0f;
            return z < 0.0f ? 0.0f : z;
        case PHI_TANH: {
            const float t = tanhf(z);
            *derivative = 1.0f - t * t;
            return t;
        }
        case PHI_GELU:
            *derivative = activation_derivative(GELU, z);
            return activation_value(GELU, z);
        default: {
            const float window = expf(-0.125f * z * z), s = sinf(z), c = cosf(z);
            *derivative = -(s + 0.25f * z * c) * window;
            return c * window;
        }
    }
}

// The positions of one pass of a block. Rows of features are `width` + 1 values apart, so that neither threads along
// positions nor threads along features meet in a memory bank.
struct PhiTile {
    u32 width;
    u32 len;
    // Of item 0 of the tile.
    u32 first;
};

__device__ inline u32 entry_of(const u32* order, u32 item) {
    return order ? order[item] : item;
}

__device__ inline u32 position_of(const u32* positions, u32 entry) {
    return positions ? positions[entry] : entry;
}

// inputs [in_features][width + 1]; zero beyond the last position.
__device__ inline void phi_encode(const PhiLayout& phi, const PhiTile& tile, const u32* positions, const u32* order,
                                  const float* frequencies, const float* channels, const float* params, float factor,
                                  float* inputs) {
    for (u32 at = threadIdx.x; at < phi.in_features * tile.width; at += blockDim.x) {
        const u32 feature = at / tile.width, p = at % tile.width;
        float value = 0.0f;
        if (p < tile.len) {
            const u32 u = position_of(positions, entry_of(order, tile.first + p));
            if (feature < phi.frequency_features) {
                value = frequencies[static_cast<u64>(u / phi.pairs) * phi.frequency_features + feature];
            } else {
                const u32 axis = (feature - phi.frequency_features) / phi.axis_features;
                const u32 part = (feature - phi.frequency_features) % phi.axis_features;
                const u32 place = phi.starts[axis] + channel_of(phi, axis, u) * phi.axis_features + part;
                value = phi.embedded ? factor * params[place] : channels[place];
            }
        }
        inputs[feature * (tile.width + 1) + p] = value;
    }
    __syncthreads();
}

// Networks narrower than this gain nothing from tensor cores.
#define PHI_TF32_WIDTH 16

// Whether a layer's products run on tensor cores where these may be used. The first layer stays exact: it computes phases
// of many turns. The last one has too few outputs.
__device__ inline bool phi_on_tensor_cores(const PhiLayout& phi, u32 layer) {
    return layer > 0 && layer < phi.hidden_layers && phi.hidden_width >= PHI_TF32_WIDTH;
}

// One layer: z = W·x + b, then the activation unless it is the last. Four outputs at a time in each thread.
__device__ inline void phi_layer(const PhiLayout& phi, const PhiTile& tile, u32 tf32, u32 layer, u32 mlp,
                                 const u32* places, const float* params, const float* inputs, float* outputs,
                                 float* derivatives) {
    const u32 in = layer_inputs(phi, layer), out = layer_outputs(phi, layer), stride = tile.width + 1;
    const float* weight = params + places[2 * layer] + static_cast<u64>(mlp) * in * out;
    const float* bias = params + places[2 * layer + 1] + static_cast<u64>(mlp) * out;
    if (tf32 && phi_on_tensor_cores(phi, layer)) {
        multiply_in_block(
            out, tile.width, in, [&](u32 o, u32 i) { return weight[static_cast<u64>(o) * in + i]; },
            [&](u32 i, u32 p) { return inputs[i * stride + p]; },
            [&](u32 o, u32 p, float sum) {
                float derivative;
                outputs[o * stride + p] = phi_activation(phi.activation, bias[o] + sum, &derivative);
                if (derivatives) derivatives[o * stride + p] = derivative;
            });
        __syncthreads();
        return;
    }
    const u32 groups = (out + 3) / 4;
    for (u32 at = threadIdx.x; at < groups * tile.width; at += blockDim.x) {
        const u32 p = at % tile.width, first = at / tile.width * 4, count = out - first < 4 ? out - first : 4;
        float sums[4];
        for (u32 j = 0; j < 4; ++j) sums[j] = j < count ? bias[first + j] : 0.0f;
        for (u32 i = 0; i < in; ++i) {
            const float x = inputs[i * stride + p];
            for (u32 j = 0; j < 4; ++j) {
                // Beyond the last output the last is computed again and not kept.
                const u32 o = first + (j < count ? j : count - 1);
                sums[j] += weight[static_cast<u64>(o) * in + i] * x;
            }
        }
        for (u32 j = 0; j < count; ++j) {
            const u32 place = (first + j) * stride + p;
            float derivative;
            outputs[place] = layer == phi.hidden_layers ? sums[j] : phi_activation(phi.activation, sums[j], &derivative);
            if (derivatives && layer != phi.hidden_layers) derivatives[place] = derivative;
        }
    }
    __syncthreads();
}

// output[entry][out_features] = scale·Φ. Each block takes runs of positions of one MLP: runs [first item, items, MLP].
KERNEL phi_evaluate(const float* params, const u32* layout, const float* frequencies, const float* channels,
                    const u32* positions, const u32* order, const u32* runs, float* scratch, float* output, u32 run_count,
                    u32 tile_width, u32 scratch_len, float factor, float scale, u32 tf32) {
    SHARED(float, shared);
    const PhiLayout phi = read_layout(layout);
    const u32* places = layout + PHI_LAYOUT_LEN;
    const u32 stride = tile_width + 1;
    const u32 widest = phi.in_features > phi.hidden_width ? phi.in_features : phi.hidden_width;
    const u32 rows = widest > phi.out_features ? widest : phi.out_features;
    float* from = scratch ? scratch + static_cast<u64>(blockIdx.x) * scratch_len : shared;
    float* to = from + rows * stride;
    for (u32 run = blockIdx.x; run < run_count; run += gridDim.x) {
        const u32 start = runs[3 * run], end = start + runs[3 * run + 1], mlp = runs[3 * run + 2];
        for (u32 first = start; first < end; first += tile_width) {
            const PhiTile tile = {tile_width, end - first < tile_width ? end - first : tile_width, first};
            phi_encode(phi, tile, positions, order, frequencies, channels, params, factor, from);
            for (u32 layer = 0; layer <= phi.hidden_layers; ++layer) {
                phi_layer(phi, tile, tf32, layer, mlp, places, params, from, to, nullptr);
                float* next = from;
                from = to;
                to = next;
            }
            for (u32 at = threadIdx.x; at < tile.len * (phi.out_features / 2); at += blockDim.x) {
                const u32 p = at / (phi.out_features / 2), value = at % (phi.out_features / 2);
                Complex z = {from[2 * value * stride + p], from[(2 * value + 1) * stride + p]};
                if (phi.polar) z = {z.re * cosf(z.im), z.re * sinf(z.im)};
                const u64 entry = entry_of(order, first + p);
                output[entry * phi.out_features + 2 * value] = scale * z.re;
                output[entry * phi.out_features + 2 * value + 1] = scale * z.im;
            }
            __syncthreads();
        }
    }
}

// The gradients of the parameters from grad_output[entry][out_features]: each run writes its own,
// partial[run][mlp_len + embeddings_len], in the order of the layers, weight before bias.
KERNEL phi_vjp(const float* params, const u32* layout, const float* frequencies, const float* channels,
               const u32* positions, const u32* order, const u32* runs, const float* grad_output, float* scratch,
               float* partial, u32 run_count, u32 tile_width, u32 scratch_len, float factor, float scale, u32 tf32) {
    SHARED(float, shared);
    const PhiLayout phi = read_layout(layout);
    const u32* places = layout + PHI_LAYOUT_LEN;
    const u32 stride = tile_width + 1, hidden = phi.hidden_width * stride;
    float* inputs = scratch ? scratch + static_cast<u64>(blockIdx.x) * scratch_len : shared;
    float* activations = inputs + phi.in_features * stride;            // [hidden_layers][hidden_width][stride]
    float* gradients = activations + phi.hidden_layers * hidden;       // derivatives, then gradients, the same
    float* outputs = gradients + phi.hidden_layers * hidden;           // [out_features][stride]
    float* input_gradients = outputs + phi.out_features * stride;      // [axes·axis_features][stride], of embeddings
    for (u32 run = blockIdx.x; run < run_count; run += gridDim.x) {
        const u32 start = runs[3 * run], end = start + runs[3 * run + 1], mlp = runs[3 * run + 2];
        float* target = partial + static_cast<u64>(run) * (phi.mlp_len + phi.embeddings_len);
        for (u32 first = start; first < end; first += tile_width) {
            const PhiTile tile = {tile_width, end - first < tile_width ? end - first : tile_width, first};
            const bool fresh = first == start;
            phi_encode(phi, tile, positions, order, frequencies, channels, params, factor, inputs);
            for (u32 layer = 0; layer <= phi.hidden_layers; ++layer) {
                const float* from = layer == 0 ? inputs : activations + (layer - 1) * hidden;
                float* to = layer == phi.hidden_layers ? outputs : activations + layer * hidden;
                phi_layer(phi, tile, tf32, layer, mlp, places, params, from, to, gradients + layer * hidden);
            }
            // The gradient of the last layer's outputs, in their place.
            for (u32 at = threadIdx.x; at < tile_width * (phi.out_features / 2); at += blockDim.x) {
                const u32 value = at / tile_width, p = at % tile_width;
                float* re = outputs + 2 * value * stride + p;
                float* im = re + stride;
                Complex g = {0.0f, 0.0f};
                if (p < tile.len) {
                    const u64 source = static_cast<u64>(entry_of(order, first + p)) * phi.out_features + 2 * value;
                    g = {scale * grad_output[source], scale * grad_output[source + 1]};
                }
                if (phi.polar) {
                    const float radius = *re, s = sinf(*im), c = cosf(*im);
                    g = {g.re * c + g.im * s, radius * (g.im * c - g.re * s)};
                }
                *re = g.re;
                *im = g.im;
            }
            __syncthreads();
            u32 local = phi.mlp_len;
            for (u32 back = 0; back <= phi.hidden_layers; ++back) {
                const u32 layer = phi.hidden_layers - back;
                const u32 in = layer_inputs(phi, layer), out = layer_outputs(phi, layer);
                const float* dz = back == 0 ? outputs : gradients + layer * hidden;
                const float* x = layer == 0 ? inputs : activations + (layer - 1) * hidden;
                const float* weight = params + places[2 * layer] + static_cast<u64>(mlp) * in * out;
                local -= in * out + out;
                const bool on_tensor_cores = tf32 && phi_on_tensor_cores(phi, layer);
                // 1. dW[o, i] = Σ_p dz[o, p]·x[i, p] and db[o] = Σ_p dz[o, p].
                if (on_tensor_cores) {
                    multiply_in_block(
                        out, in, tile.len, [&](u32 o, u32 p) { return dz[o * stride + p]; },
                        [&](u32 p, u32 i) { return x[i * stride + p]; },
                        [&](u32 o, u32 i, float sum) {
                            float* place = target + local + o * in + i;
                            *place = fresh ? sum : *place + sum;
                        });
                }
                for (u32 at = threadIdx.x + (on_tensor_cores ? in * out : 0); at < in * out + out; at += blockDim.x) {
                    const bool is_bias = at >= in * out;
                    const u32 o = is_bias ? at - in * out : at / in, i = at % in;
                    float sum = 0.0f;
                    for (u32 p = 0; p < tile.len; ++p) {
                        sum += is_bias ? dz[o * stride + p] : dz[o * stride + p] * x[i * stride + p];
                    }
                    target[local + at] = fresh ? sum : target[local + at] + sum;
                }
                // 2. dx[i, p] = Σ_o W[o, i]·dz[o, p], times the derivative of the layer before.
                if (on_tensor_cores) {
                    float* before = gradients + (layer - 1) * hidden;
                    multiply_in_block(
                        in, tile_width, out, [&](u32 i, u32 o) { return weight[static_cast<u64>(o) * in + i]; },
                        [&](u32 o, u32 p) { return dz[o * stride + p]; },
                        [&](u32 i, u32 p, float sum) { before[i * stride + p] *= sum; });
                } else if (layer > 0) {
                    float* before = gradients + (layer - 1) * hidden;
                    for (u32 at = threadIdx.x; at < in * tile_width; at += blockDim.x) {
                        const u32 i = at / tile_width, p = at % tile_width;
                        float sum = 0.0f;
                        for (u32 o = 0; o < out; ++o) sum += weight[static_cast<u64>(o) * in + i] * dz[o * stride + p];
                        before[i * stride + p] *= sum;
                    }
                } else if (phi.embedded) {
                    for (u32 at = threadIdx.x; at < phi.axes * phi.axis_features * tile_width; at += blockDim.x) {
                        const u32 i = at / tile_width, p = at % tile_width;
                        float sum = 0.0f;
                        for (u32 o = 0; o < out; ++o) {
                            sum += weight[static_cast<u64>(o) * in + phi.frequency_features + i] * dz[o * stride + p];
                        }
                        input_gradients[i * stride + p] = factor * sum;
                    }
                }
                __syncthreads();
            }
            // 3. Each embedding's share: the positions of its channel.
            for (u32 at = threadIdx.x; at < phi.embeddings_len; at += blockDim.x) {
                const u32 axis = at >= phi.channels[0] * phi.axis_features;
                const u32 rest = axis ? at - phi.channels[0] * phi.axis_features : at;
                const u32 channel = rest / phi.axis_features, part = rest % phi.axis_features;
                float sum = 0.0f;
                for (u32 p = 0; p < tile.len; ++p) {
                    const u32 u = position_of(positions, entry_of(order, first + p));
                    if (channel_of(phi, axis, u) != channel) continue;
                    sum += input_gradients[(axis * phi.axis_features + part) * stride + p];
                }
                target[phi.mlp_len + at] = fresh ? sum : target[phi.mlp_len + at] + sum;
            }
            __syncthreads();
        }
    }
}

// grad_params += the runs' gradients, in their order: MLP m owns the runs first_runs[m] … first_runs[m + 1] − 1, the
// embeddings all.
KERNEL phi_add_gradients(const float* partial, const u32* layout, const u32* first_runs, float* grad_params, u32 mlps) {
    const PhiLayout phi = read_layout(layout);
    const u32* places = layout + PHI_LAYOUT_LEN;
    const u64 distance = phi.mlp_len + phi.embeddings_len, of_mlps = static_cast<u64>(mlps) * phi.mlp_len;
    for (u64 at = first_index(); at < of_mlps + phi.embeddings_len; at += index_step()) {
        const bool embedding = at >= of_mlps;
        const u32 mlp = embedding ? 0 : static_cast<u32>(at / phi.mlp_len);
        const u32 local = embedding ? static_cast<u32>(phi.mlp_len + (at - of_mlps)) : static_cast<u32>(at % phi.mlp_len);
        const u32 start = embedding ? 0 : first_runs[mlp], end = embedding ? first_runs[mlps] : first_runs[mlp + 1];
        double sum = 0.0;
        for (u32 run = start; run < end; ++run) sum += partial[run * distance + local];
        u64 place = 0;
        if (embedding) {
            place = phi.starts[0] + (at - of_mlps);
        } else {
            u32 rest = local, layer = 0;
            while (rest >= (layer_inputs(phi, layer) + 1) * layer_outputs(phi, layer)) {
                rest -= (layer_inputs(phi, layer) + 1) * layer_outputs(phi, layer);
                ++layer;
            }
            const u32 in = layer_inputs(phi, layer), out = layer_outputs(phi, layer);
            place = rest < in * out ? places[2 * layer] + static_cast<u64>(mlp) * in * out + rest
                                    : places[2 * layer + 1] + static_cast<u64>(mlp) * out + (rest - in * out);
        }
        grad_params[place] += static_cast<float>(sum);
    }
}

// The mix of a shared basis: output[entry] = Σ_k mixing[pair, k]·basis[f, k], f the place of the entry's frequency in
// `frequency_of`, or its number without a list.
KERNEL basis_mix(const float* basis, const float* mixing, const u32* positions, const u32* frequency_of, float* output,
                 u32 pairs, u32 basis_size, u64 count) {
    for (u64 entry = first_index(); entry < count; entry += index_step()) {
        const u64 u = positions ? positions[entry] : entry, pair = u % pairs;
        const u64 f = frequency_of ? frequency_of[entry] : u / pairs;
        Complex sum = {0.0f, 0.0f};
        for (u32 k = 0; k < basis_size; ++k) {
            const float c = mixing[pair * basis_size + k];
            sum.re += c * basis[2 * (f * basis_size + k)];
            sum.im += c * basis[2 * (f * basis_size + k) + 1];
        }
        output[2 * entry] = sum.re;
        output[2 * entry + 1] = sum.im;
    }
}

// grad_basis[f, k] = Σ mixing[pair, k]·g over the entries of f: first_entries[f] … first_entries[f + 1] − 1, or all pairs
// without a list.
KERNEL basis_mix_gradient(const float* mixing, const float* grads, const u32* positions, const u32* first_entries,
                          float* grad_basis, u32 frequencies, u32 pairs, u32 basis_size) {
    for (u64 at = first_index(); at < static_cast<u64>(frequencies) * basis_size; at += index_step()) {
        const u64 f = at / basis_size, k = at % basis_size;
        const u64 start = first_entries ? first_entries[f] : f * pairs;
        const u64 end = first_entries ? first_entries[f + 1] : (f + 1) * pairs;
        Complex sum = {0.0f, 0.0f};
        for (u64 entry = start; entry < end; ++entry) {
            const u64 pair = positions ? positions[entry] % pairs : entry % pairs;
            const float c = mixing[pair * basis_size + k];
            sum.re += c * grads[2 * entry];
            sum.im += c * grads[2 * entry + 1];
        }
        grad_basis[2 * at] = sum.re;
        grad_basis[2 * at + 1] = sum.im;
    }
}

// grad_mixing[pair, k] += Σ Re(conj(basis[f, k])·g) over the entries of the pair: by_pair[first_of_pair[pair]] …, or one at
// every frequency without a list.
KERNEL mixing_gradient(const float* basis, const float* grads, const u32* frequency_of, const u32* by_pair,
                       const u32* first_of_pair, float* grad_mixing, u32 frequencies, u32 pairs, u32 basis_size) {
    for (u64 at = first_index(); at < static_cast<u64>(pairs) * basis_size; at += index_step()) {
        const u64 pair = at / basis_size, k = at % basis_size;
        const u64 start = by_pair ? first_of_pair[pair] : 0, end = by_pair ? first_of_pair[pair + 1] : frequencies;
        double sum = 0.0;
        for (u64 n = start; n < end; ++n) {
            const u64 entry = by_pair ? by_pair[n] : n * pairs + pair;
            const u64 f = by_pair ? frequency_of[entry] : n;
            const u64 value = 2 * (f * basis_size + k);
            sum += basis[value] * grads[2 * entry] + basis[value + 1] * grads[2 * entry + 1];
        }
        grad_mixing[at] += static_cast<float>(sum);
    }
}
