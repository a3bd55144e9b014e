// What all kernels share. The text of every file of this folder is joined, this one first, and compiled three ways: by
// NVRTC when a device is opened, by nvcc as a check, and by a C++ compiler with emulation/cuda_emulation.h before it.
// So kernels use no header, no atomics and of the warp primitives only the product of tensor_cores.cuh: sums are taken
// in an order that depends on sizes only.

typedef unsigned int u32;
typedef unsigned long long u64;

#ifndef CFCONV_EMULATION
#define KERNEL extern "C" __global__ void
// Shared memory of the size given at launch, aligned for doubles.
extern __shared__ double cfconv_shared[];
#define SHARED(type, name) type* name = reinterpret_cast<type*>(cfconv_shared)
#endif

struct Complex {
    float re, im;
};

__device__ inline u64 first_index() {
    return static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline u64 index_step() {
    return static_cast<u64>(gridDim.x) * blockDim.x;
}

// sum + a·b
__device__ inline Complex multiply_add(Complex a, Complex b, Complex sum) {
    sum.re += a.re * b.re - a.im * b.im;
    sum.im += a.re * b.im + a.im * b.re;
    return sum;
}

// Adds the K numbers of every thread of a block; thread 0 gets the sums. `shared` holds K·blockDim.x numbers,
// blockDim.x is a power of two.
template <int K>
__device__ void sum_over_block(double* sums, double* shared) {
    for (int k = 0; k < K; ++k) shared[k * blockDim.x + threadIdx.x] = sums[k];
    __syncthreads();
    for (u32 half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            for (int k = 0; k < K; ++k) {
                double* row = shared + k * blockDim.x;
                row[threadIdx.x] += row[threadIdx.x + half];
            }
        }
        __syncthreads();
    }
    for (int k = 0; k < K; ++k) sums[k] = shared[k * blockDim.x];
}

// K sums over the values of one channel, a chunk of them in each block: block (x, y) takes chunk x of channel y and
// writes partial[y, x, K]. `add(at, sums)` adds the terms of one value.
template <int K, class Add>
__device__ void sum_chunk_of_channel(u64 plane, float* partial, Add add) {
    SHARED(double, shared);
    const u64 chunk = (plane + gridDim.x - 1) / gridDim.x;
    const u64 start = chunk * blockIdx.x;
    const u64 end = start + chunk < plane ? start + chunk : plane;
    double sums[K];
    for (int k = 0; k < K; ++k) sums[k] = 0.0;
    for (u64 at = start + threadIdx.x; at < end; at += blockDim.x) add(at, sums);
    sum_over_block<K>(sums, shared);
    if (threadIdx.x == 0) {
        double* target = reinterpret_cast<double*>(partial) + (static_cast<u64>(blockIdx.y) * gridDim.x + blockIdx.x) * K;
        for (int k = 0; k < K; ++k) target[k] = sums[k];
    }
}

// The sums of one channel over its chunks, in their order.
template <int K>
__device__ void sum_of_chunks(const float* partial, u32 channel, u32 chunks, double* sums) {
    const double* source = reinterpret_cast<const double*>(partial) + static_cast<u64>(channel) * chunks * K;
    for (int k = 0; k < K; ++k) sums[k] = 0.0;
    for (u32 chunk = 0; chunk < chunks; ++chunk) {
        for (int k = 0; k < K; ++k) sums[k] += source[chunk * K + k];
    }
}
