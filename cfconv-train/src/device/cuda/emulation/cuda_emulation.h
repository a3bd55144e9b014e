// Enough of CUDA C++ to compile the kernels for the host: one fiber for each thread of a block, blocks one after
// another. Shared memory begins as NaN in every block, so that what was never written shows in results.

// The emulator jumps between the stacks of fibers, which checks of the C library take for a mistake.
#undef _FORTIFY_SOURCE

#include <cmath>
#include <cstddef>
#include <cstring>

#define CFCONV_EMULATION
#define KERNEL extern "C" void
#define __device__
#define SHARED(type, name) type* name = reinterpret_cast<type*>(emulation::shared_memory())

struct dim3 {
    unsigned int x, y, z;
};

namespace emulation {
extern thread_local dim3 thread_index, block_index, block_size, grid_size;
void* shared_memory();
void barrier();
void multiply_in_warp(float* sums, const unsigned int* a, const unsigned int* b);
}  // namespace emulation

inline unsigned int __float_as_uint(float x) {
    unsigned int bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

#define threadIdx emulation::thread_index
#define blockIdx emulation::block_index
#define blockDim emulation::block_size
#define gridDim emulation::grid_size
#define __syncthreads emulation::barrier

using std::exp;
using std::floor;
using std::log;
using std::sqrt;
