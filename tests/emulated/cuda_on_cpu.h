// CUDA C++ for a host compiler: what the sources of minigan/kernels/gpu/cuda use of the language, on one CPU thread.
//
// A block's threads are fibers that run in turns. One runs until it ends or waits, at __syncthreads() for the block or
// at a shuffle or a tensor-core product for its warp; when all that it waits for have come, it goes on. The order in
// which fibers take their turns is the caller's choice: a kernel whose result depends on it has a race.
//
// What a GPU would do wrong in silence ends the launch here, with a message: a thread that leaves while others of its
// block or warp wait for it, threads that wait at different barriers, an access outside of an array (arrays end at a
// page that may not be touched). Shared memory is poisoned (NaN, -1) where a block first comes to its declaration.
#pragma once

#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <math.h>
#include <sys/mman.h>
#include <type_traits>
#include <ucontext.h>
#include <utility>

#define __CUDA_ARCH__ 900
#define __global__
#define __device__ inline
#define __launch_bounds__(...)
[[noreturn]] void __trap();
#define __syncthreads() emulated::wait_for_block(__LINE__)
#define __shfl_xor_sync(mask, value, lanes) emulated::shuffle_xor(mask, value, lanes, __LINE__)

struct uint3 {
    unsigned x, y, z;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
template <typename T>
T min(T a, T b) { return b < a ? b : a; }
template <typename T>
T max(T a, T b) { return a < b ? b : a; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t)a * b >> 32); }
inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

// Not static: the compiler must read them again after every turn, which looks to it like a call of something unknown.
uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

const int MOST_THREADS = 1024, WARP = 32, STACK = (1 << 16) + 320;  // no power of two: tops would meet in a few sets of the cache
enum State { READY, IN_BARRIER, IN_WARP, ENDED };

struct Fiber {
    jmp_buf at;
    ucontext_t start;
};
struct Thread {
    Fiber* fiber;
    State state;
    int line;               // of the source, where it waits
    unsigned exchanges;     // how often it has met its warp
    double slot[2][8];      // what it shows its warp: the next meeting may begin while others still read this one
};

static Fiber fibers[MOST_THREADS];
static Thread threads[MOST_THREADS];
static bool entered[MOST_THREADS];  // fibers that have a stack in use; they outlive a launch
static int order[MOST_THREADS], idle[MOST_THREADS], count, started, idle_count, current;
static unsigned block_number;
static jmp_buf scheduler, failure;
static ucontext_t ignored;
static void (*body)(void**);
static void** arguments;
static char message[256];

[[noreturn]] inline void fail(const char* text, int a, int b) {
    snprintf(message, sizeof message, text, a, b);
    _longjmp(failure, 1);
}

inline void place(int thread) {
    current = thread;
    threadIdx = {thread % blockDim.x, thread / blockDim.x, 0};
}

// Runs threads that nobody has begun, one after the other, until one waits: the rest is for another fiber.
static void fiber_main() {
    for (;;) {
        Fiber* self = threads[current].fiber;
        body(arguments);
        threads[current].state = ENDED;
        if (started < count) {
            place(order[started++]);
            threads[current].fiber = self;
            continue;
        }
        idle[idle_count++] = int(self - fibers);
        if (!_setjmp(self->at)) _longjmp(scheduler, 1);
    }
}

__attribute__((noinline)) static void enter(int thread) {  // from the scheduler
    if (_setjmp(scheduler)) return;
    place(thread);
    Fiber* fiber = threads[thread].fiber;
    if (entered[fiber - fibers]) _longjmp(fiber->at, 1);
    entered[fiber - fibers] = true;
    getcontext(&fiber->start);
    static char* stacks = (char*)mmap(nullptr, (size_t)MOST_THREADS * STACK, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    fiber->start.uc_stack.ss_sp = stacks + (size_t)(fiber - fibers) * STACK;
    fiber->start.uc_stack.ss_size = STACK;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, fiber_main, 0);
    setcontext(&fiber->start);
}

__attribute__((noinline)) static void wait(State state, int line) {
    Thread& me = threads[current];
    me.state = state;
    me.line = line;
    if (!_setjmp(me.fiber->at)) _longjmp(scheduler, 1);
}

inline void wait_for_block(int line) { wait(IN_BARRIER, line); }

// After the declaration of shared memory: its poison, once a block.
inline void poison(unsigned& last, void* shared, size_t bytes) {
    if (last == block_number) return;
    last = block_number;
    memset(shared, 0xff, bytes);
}

// Show `value` to the warp; when all lanes have come: where they show theirs.
template <typename T>
int show(const T& value, int line) {
    static_assert(sizeof(T) <= sizeof(Thread::slot[0]), "larger than a slot");
    Thread& me = threads[current];
    int half = me.exchanges++ % 2;
    memcpy(me.slot[half], &value, sizeof value);
    wait(IN_WARP, line);
    return half;
}
template <typename T>
T shown(int half, int lane) {
    T value;
    memcpy(&value, threads[current / WARP * WARP + lane].slot[half], sizeof value);
    return value;
}
template <typename T>
T shuffle_xor(unsigned mask, T value, int lanes, int line) {
    if (mask != 0xffffffffu) fail("__shfl_xor_sync: got the mask %x in line %d, expected all lanes", int(mask), line);
    int half = show(value, line);
    return shown<T>(half, current % WARP ^ lanes);
}

// Whoever waits and need not any longer goes on; whether anyone does.
inline bool release(int first, int last, State state) {
    int waiting = 0, ended = 0, line = 0;
    for (int t = first; t < last; ++t) {
        if (threads[t].state == ENDED) ++ended;
        if (threads[t].state != state) continue;
        if (waiting++ && threads[t].line != line)
            fail("threads of a block wait in lines %d and %d at once: not all reach the same barrier", line, threads[t].line);
        line = threads[t].line;
    }
    if (waiting && waiting + ended == last - first && ended)
        fail("%d threads have ended while others wait for them in line %d", ended, line);
    if (waiting < last - first) return false;
    for (int t = first; t < last; ++t) threads[t].state = READY;
    return true;
}

static void run_block() {
    ++block_number;
    started = 0;
    for (int t = 0; t < count; ++t) threads[t] = {nullptr, READY, 0, 0, {}};
    idle_count = 0;
    for (int f = count; f-- > 0;) idle[idle_count++] = f;
    while (started < count) {
        int thread = order[started++];
        threads[thread].fiber = &fibers[idle[--idle_count]];
        enter(thread);
    }
    for (;;) {
        bool running = false, released = false;
        for (int i = 0; i < count; ++i)
            if (threads[order[i]].state == READY) enter(order[i]);
        for (int t = 0; t < count; ++t) running |= threads[t].state != ENDED;
        if (!running) return;
        for (int first = 0; first < count; first += WARP)
            released |= release(first, min(first + WARP, count), IN_WARP);
        released |= release(0, count, IN_BARRIER);
        if (!released) fail("%d threads wait for each other, the first in line %d", count, threads[order[0]].line);
    }
}

// Turns in order: 0 forward, 1 backward, any other number a shuffle that it determines.
inline void arrange(int n, unsigned seed, int* places) {
    for (int i = 0; i < n; ++i) places[i] = seed == 1 ? n - 1 - i : i;
    uint64_t state = seed;
    for (int i = n - 1; i > 0 && seed > 1; --i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        std::swap(places[i], places[(state >> 33) % (i + 1)]);
    }
}

}  // namespace emulated

void __trap() { emulated::fail("__trap() in thread %d of block %d", emulated::current, int(blockIdx.x)); }

namespace emulated {

static sigjmp_buf crash;
static void* crash_address;
static void on_crash(int, siginfo_t* info, void*) {
    crash_address = info->si_addr;
    siglongjmp(crash, 1);
}

// -- tensor cores ----------------------------------------------------------------------------------------------------
// PTX by name, as host.py finds it in an asm statement: first the operands it writes, then those it reads.
inline void round_to_tf32(unsigned& bits, float x) {
    unsigned whole = __float_as_uint(x);
    bool finite = (whole >> 23 & 255) != 255;
    bits = finite ? (whole + 0x1000u) & ~0x1fffu : whole;  // the nearest 10 bits of mantissa, ties away from zero
}

// d += a b over the warp: the layout of fragments is that of the PTX manual, mma.m16n8k8 with .tf32.
struct Fragments {
    float a[4], b[2];
};
inline float as_tf32(unsigned bits) { return __uint_as_float(bits & ~0x1fffu); }
inline void mma_m16n8k8_tf32(float& d0, float& d1, float& d2, float& d3, unsigned a0, unsigned a1, unsigned a2,
                             unsigned a3, unsigned b0, unsigned b1) {
    int half = show(Fragments{{as_tf32(a0), as_tf32(a1), as_tf32(a2), as_tf32(a3)}, {as_tf32(b0), as_tf32(b1)}}, 0);
    int lane = current % WARP, group = lane / 4, pair = lane % 4;
    const Fragments* of[WARP];
    for (int l = 0; l < WARP; ++l)
        of[l] = reinterpret_cast<const Fragments*>(threads[current / WARP * WARP + l].slot[half]);
    float* d[4] = {&d0, &d1, &d2, &d3};
    for (int e = 0; e < 4; ++e) {
        int upper = e / 2, column = 2 * pair + e % 2;  // row group + 8 upper
        float sum = *d[e];
        for (int k = 0; k < 8; ++k)
            sum += of[group * 4 + k % 4]->a[upper + k / 4 * 2] * of[column * 4 + k % 4]->b[k / 4];
        *d[e] = sum;
    }
}

// -- calling a kernel ------------------------------------------------------------------------------------------------
// One letter a parameter: *b, *f, *d, *q, *I for a pointer to bool, float, double, long long, unsigned; q, d, I by value.
template <typename T>
constexpr char letter() {
    using U = std::remove_const_t<T>;
    if (std::is_same_v<U, bool>) return 'b';
    if (std::is_same_v<U, float>) return 'f';
    if (std::is_same_v<U, double>) return 'd';
    if (std::is_same_v<U, long long>) return 'q';
    if (std::is_same_v<U, unsigned>) return 'I';
    return 's';  // a structure
}
template <typename T>
int describe(char* to) {
    if constexpr (std::is_pointer_v<T>)
        return sprintf(to, "*%c ", letter<std::remove_pointer_t<T>>());
    else
        return sprintf(to, "%c%d ", letter<T>(), int(sizeof(T)));
}
template <typename... P>
void describe_all(void (*)(P...), char* to) {
    ((to += describe<P>(to)), ...);
}
template <typename... P, size_t... I>
void call(void (*kernel)(P...), void** values, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_const_t<P>*>(values[I])...);
}
template <typename... P>
constexpr auto numbers_of(void (*)(P...)) { return std::index_sequence_for<P...>{}; }

struct Entry {
    void (*run)(void**);
    void (*describe)(char*);
};

}  // namespace emulated

#define EMULATED_ENTRY(...)                                                                                       \
    {[](void** values) { emulated::call(&__VA_ARGS__, values, decltype(emulated::numbers_of(&__VA_ARGS__)){}); }, \
     [](char* to) { emulated::describe_all(&__VA_ARGS__, to); }}

extern const emulated::Entry emulated_entries[];  // host.py writes them after the source

extern "C" void emulated_describe(int kernel, char* to) { emulated_entries[kernel].describe(to); }

// Run a kernel on `shape`, the grid's and the block's x and y. 0; or 1 with a text; or 2 where it reached for `*address`,
// which is nobody's.
extern "C" int emulated_launch(int kernel, const unsigned* shape, unsigned seed, void** values, char* text, void** address) {
    using namespace emulated;
    gridDim = {shape[0], shape[1], 1};
    blockDim = {shape[2], shape[3], 1};
    count = blockDim.x * blockDim.y;
    if (count > MOST_THREADS || !count) {
        snprintf(text, sizeof message, "a block of %d threads, expected 1 to %d", count, MOST_THREADS);
        return 1;
    }
    body = emulated_entries[kernel].run;
    arguments = values;
    arrange(count, seed, order);

    static char handler_stack[1 << 16];
    stack_t own = {handler_stack, 0, sizeof handler_stack}, former_stack;
    struct sigaction action = {}, former[2];
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaltstack(&own, &former_stack);
    sigaction(SIGSEGV, &action, &former[0]);
    sigaction(SIGBUS, &action, &former[1]);
    volatile int result = 0;
    if (sigsetjmp(crash, 1)) {
        *address = crash_address;
        result = 2;
    } else if (_setjmp(failure)) {
        strcpy(text, message);
        result = 1;
    } else {
        for (unsigned i = 0, blocks = gridDim.x * gridDim.y; i < blocks; ++i) {
            unsigned block = seed == 0 ? i : blocks - 1 - i;
            blockIdx = {block % gridDim.x, block / gridDim.x, 0};
            run_block();
        }
    }
    if (result) memset(entered, 0, sizeof entered);  // fibers that stopped half-way begin anew
    sigaction(SIGSEGV, &former[0], nullptr);
    sigaction(SIGBUS, &former[1], nullptr);
    sigaltstack(&former_stack, nullptr);
    return result;
}
