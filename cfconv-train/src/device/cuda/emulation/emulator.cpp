// Runs kernels on the host. The build script puts the kernels, and REGISTRY with a line for each, before this text.

#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <ucontext.h>
#include <utility>
#include <vector>

namespace emulation {

thread_local dim3 thread_index, block_index, block_size, grid_size;

namespace {

constexpr size_t STACK_BYTES = 64 * 1024;
constexpr uint32_t GUARD = 0x7fc0feed;  // a NaN that nobody computes
constexpr size_t GUARD_WORDS = 16;

// AtProduct: waits for the other lanes of its warp.
enum class State { Running, Waiting, AtProduct, Done };

constexpr unsigned int WARP = 32;

// A lane's factors of a product of its warp.
struct Factors {
    float a[4], b[2];
};

struct Fiber {
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    State state = State::Done;
    unsigned int thread = 0;
    // Of products with even and with odd numbers: a lane may be one product ahead of another.
    Factors factors[2];
    unsigned int products = 0;
};

// What a host thread needs to run blocks.
struct Machine {
    std::vector<Fiber> fibers;
    std::vector<double> shared;
    size_t shared_words = 0;
    jmp_buf scheduler;
    Fiber* current = nullptr;
    void (*call)(void**) = nullptr;
    void** arguments = nullptr;
    const char* error = nullptr;
};

thread_local Machine machine;

// swapcontext would set the mask of signals, by a system call, at every switch.
void leave_fiber(State state) {
    machine.current->state = state;
    if (_setjmp(machine.current->place) == 0) _longjmp(machine.scheduler, 1);
}

// Runs the kernel each time that `start` resumes the fiber.
void fiber_main() {
    for (;;) {
        machine.call(machine.arguments);
        leave_fiber(State::Done);
    }
}

void resume(Fiber& fiber) {
    machine.current = &fiber;
    thread_index = {fiber.thread, 0, 0};
    fiber.state = State::Running;
    if (_setjmp(machine.scheduler) == 0) {
        if (fiber.stack) _longjmp(fiber.place, 1);
        // Without a value: pages that the kernel does not reach stay untouched.
        fiber.stack.reset(new char[STACK_BYTES]);
        ucontext_t beginning;
        getcontext(&beginning);
        beginning.uc_stack.ss_sp = fiber.stack.get();
        beginning.uc_stack.ss_size = STACK_BYTES;
        beginning.uc_link = nullptr;
        makecontext(&beginning, fiber_main, 0);
        setcontext(&beginning);
    }
    machine.current = nullptr;
}

void start(Fiber& fiber, unsigned int thread) {
    fiber.thread = thread;
    fiber.products = 0;
    resume(fiber);
}

// Resumes the warps whose lanes have all reached a product; false if there are none.
bool resume_products(unsigned int threads) {
    bool any = false;
    for (unsigned int first = 0; first + WARP <= threads && !machine.error; first += WARP) {
        bool all = true;
        for (unsigned int lane = 0; lane < WARP; ++lane) all &= machine.fibers[first + lane].state == State::AtProduct;
        if (!all) continue;
        for (unsigned int lane = 0; lane < WARP; ++lane) resume(machine.fibers[first + lane]);
        any = true;
    }
    return any;
}

// `reversed` takes threads from the last to the first between barriers: a missing barrier shows as another result.
void run_block(unsigned int threads, bool reversed) {
    uint32_t* words = reinterpret_cast<uint32_t*>(machine.shared.data());
    for (size_t at = 0; at < machine.shared.size() * 2; ++at) words[at] = GUARD;
    auto thread_of = [&](unsigned int turn) { return reversed ? threads - 1 - turn : turn; };
    if (machine.fibers.size() < threads) machine.fibers.resize(threads);
    start(machine.fibers[0], thread_of(0));
    const bool has_barriers = machine.fibers[0].state != State::Done;
    for (unsigned int turn = 1; turn < threads && !machine.error; ++turn) {
        if (has_barriers) {
            start(machine.fibers[turn], thread_of(turn));
        } else {
            // Without barriers threads need no stack of their own.
            thread_index = {thread_of(turn), 0, 0};
            machine.call(machine.arguments);
        }
    }
    while (has_barriers && !machine.error) {
        if (resume_products(threads)) continue;
        unsigned int waiting = 0, at_products = 0;
        for (unsigned int turn = 0; turn < threads; ++turn) {
            waiting += machine.fibers[turn].state == State::Waiting;
            at_products += machine.fibers[turn].state == State::AtProduct;
        }
        if (at_products > 0) {
            machine.error = "some lanes of a warp reached a product that others did not";
            break;
        }
        if (waiting == 0) break;
        if (waiting != threads) {
            machine.error = "some threads of a block reached a barrier that others did not";
            break;
        }
        for (unsigned int turn = 0; turn < threads; ++turn) resume(machine.fibers[turn]);
    }
    for (size_t at = machine.shared_words; at < machine.shared.size() * 2 && !machine.error; ++at) {
        if (words[at] != GUARD) machine.error = "a block wrote beyond its shared memory";
    }
}

// How each kind of parameter is written in a signature.
template <class T> struct Code;
template <> struct Code<const float*> { static constexpr char value = 'r'; };
template <> struct Code<float*> { static constexpr char value = 'w'; };
template <> struct Code<const u32*> { static constexpr char value = 'R'; };
template <> struct Code<u32*> { static constexpr char value = 'W'; };
template <> struct Code<u32> { static constexpr char value = 'i'; };
template <> struct Code<u64> { static constexpr char value = 'l'; };
template <> struct Code<float> { static constexpr char value = 'f'; };

template <auto kernel> struct Trampoline;
template <class... A, void (*kernel)(A...)> struct Trampoline<kernel> {
    template <size_t... I> static void call_with(void** arguments, std::index_sequence<I...>) {
        kernel(*static_cast<A*>(arguments[I])...);
    }
    static void call(void** arguments) { call_with(arguments, std::index_sequence_for<A...>()); }
    static const char* signature() {
        static const char text[] = {Code<A>::value..., '\0'};
        return text;
    }
};

struct Entry {
    const char* name;
    void (*call)(void**);
    const char* (*signature)();
};

#define ENTRY(name) {#name, Trampoline<&name>::call, Trampoline<&name>::signature},
const Entry ENTRIES[] = {REGISTRY};

const Entry* find(const char* name) {
    for (const Entry& entry : ENTRIES) {
        if (std::strcmp(entry.name, name) == 0) return &entry;
    }
    return nullptr;
}

}  // namespace

void* shared_memory() {
    return machine.shared.data();
}

void barrier() {
    if (!machine.current) {
        machine.error = "some threads of a block reached a barrier that others did not";
        return;
    }
    leave_fiber(State::Waiting);
}

// The product of a warp, from the factors that its lanes hold (tensor_cores.cuh says which).
void multiply_in_warp(float* sums, const unsigned int* a, const unsigned int* b) {
    Fiber* fiber = machine.current;
    if (!fiber) {
        machine.error = "some lanes of a warp reached a product that others did not";
        return;
    }
    const unsigned int turn = fiber->products++ % 2;
    std::memcpy(fiber->factors[turn].a, a, sizeof fiber->factors[turn].a);
    std::memcpy(fiber->factors[turn].b, b, sizeof fiber->factors[turn].b);
    leave_fiber(State::AtProduct);
    // Fibers may be numbered from the last thread to the first.
    const unsigned int place = static_cast<unsigned int>(fiber - machine.fibers.data()), first = place / WARP * WARP;
    const bool reversed = machine.fibers[first].thread % WARP != 0;
    auto lane = [&](unsigned int number) -> const Factors& {
        return machine.fibers[first + (reversed ? WARP - 1 - number : number)].factors[turn];
    };
    auto left = [&](unsigned int row, unsigned int k) {
        return lane(row % 8 * 4 + k % 4).a[row / 8 + k / 4 * 2];
    };
    auto right = [&](unsigned int k, unsigned int column) { return lane(column * 4 + k % 4).b[k / 4]; };
    const unsigned int number = fiber->thread % WARP;
    for (unsigned int n = 0; n < 4; ++n) {
        const unsigned int row = number / 4 + n / 2 * 8, column = number % 4 * 2 + n % 2;
        for (unsigned int k = 0; k < 8; ++k) sums[n] += left(row, k) * right(k, column);
    }
}

}  // namespace emulation

// The parameters of a kernel, one letter each, or null if there is no such kernel.
extern "C" const char* cfconv_emulated_signature(const char* name) {
    const emulation::Entry* entry = emulation::find(name);
    return entry ? entry->signature() : nullptr;
}

// Runs a kernel; returns null, or what went wrong.
extern "C" const char* cfconv_emulated_launch(const char* name, const unsigned int* grid, unsigned int threads,
                                              size_t shared_bytes, void** arguments, int reversed) {
    using namespace emulation;
    const Entry* entry = find(name);
    if (!entry) return "there is no such kernel";
    machine.call = entry->call;
    machine.arguments = arguments;
    machine.error = nullptr;
    machine.shared_words = (shared_bytes + 3) / 4;
    machine.shared.assign((machine.shared_words + GUARD_WORDS + 1) / 2, 0.0);
    block_size = {threads, 1, 1};
    grid_size = {grid[0], grid[1], grid[2]};
    for (unsigned int z = 0; z < grid[2]; ++z) {
        for (unsigned int y = 0; y < grid[1]; ++y) {
            for (unsigned int x = 0; x < grid[0] && !machine.error; ++x) {
                block_index = {x, y, z};
                run_block(threads, reversed != 0);
            }
        }
    }
    // Fibers that wait for what will never come are not the next kernel's.
    if (machine.error) machine.fibers.clear();
    return machine.error;
}
