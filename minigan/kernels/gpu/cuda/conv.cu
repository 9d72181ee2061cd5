// Convolution, its adjoint and its weight gradient, channels last, as implicit matrix products.
//
// Axis by axis, position i of the large array x (N, big, in) and position o of the small array y (N, small,
// out) meet under tap k of the weights w (kernel, in, out) when (geometry.py)
//
//     i = o stride + k dilation - low.
//
// Each map is one product C[row, column] = sum over depth of A[row, depth] B[depth, column] in which A is a
// gather that never exists in memory: a tile of it is read straight from x (or g) to shared memory, as zero
// where the position falls outside.
//
//     map         row            depth           A                      B                   C
//     FORWARD     (n, o)         (k, in)         x[n, o s + k d - low]  w, as it lies       y
//     TRANSPOSE   (n, q)         (j, out)        g[n, q + base - j e]   w[k0 + j t] turned  x
//     WEIGHT      (k, in)        (n, o)          x[n, o s + k d - low]  g, as it lies       w
//
// TRANSPOSE, phase by phase. From x, i sees only the taps with k d = i + low (mod s), so the outputs i0, i0 +
// s, i0 + 2 s, ... (a phase, 0 <= i0 < s) share their taps: k0, k0 + t, k0 + 2 t, ... with t = s / gcd(s, d)
// and k0 the first that fits, if one does. With i = i0 + q s and k = k0 + j t,
//
//     o = (i + low - k d) / s = q + base - j e,      base = (i0 + low - k0 d) / s,      e = d / gcd(s, d),
//
// a convolution of stride one. Each block works on one phase: nothing is scattered, and no product is by a
// zero that the stride put there. Products by padding stay, as in the other two.
//
// A block computes a tile of 128 rows and COLUMNS columns, BK of the depth at a time: it loads the next slice
// to registers, multiplies the present one out of shared memory, then stores the next into the other buffer.
// A slice is 64 bytes deep, 16 float or 8 double. Blocks may share a tile (`splits`): each sums a part of the
// depth into a slab of its own, and conv_sum adds the slabs in order. No atomics, so results repeat.
//
// What limits it, by count (no measurement yet). A thread of the plain kernel does 64 multiply-adds for each
// 16 numbers it reads from shared memory: the FMA units, where rows, columns and depth fill the tiles. Few
// columns (at most 8) take a narrow tile, and shared memory is the limit. With TF32 the tensor cores outrun
// the loads: a tile of 128 x 128 uses each number 128 times, 64 multiply-adds a load, so the L2 cache is the
// limit; wgmma and the tensor copy engine of sm_90 would go further. Channels that are not a multiple of 4
// are gathered one by one: four times the load instructions.
//
// Zeros stand for padding and are multiplied. So a NaN or infinity in the weights (in g, for WEIGHT) also
// reaches results that meet it in padding only, which reference.py leaves out.


#include "activation.cuh"

enum Map { FORWARD, TRANSPOSE, WEIGHT };

const int BM = 128;  // rows of a tile

// gpu_conv.problem() lays it out: 32-bit numbers, in this order. Fewer axes than three have ones in front.
struct Problem {
    int kernel[3], stride[3], dilation[3], low[3], big[3], small[3];
    int batch, in, out;           // images, channels of x, channels of y
    int vector_a, vector_b;       // whether A, B can be read as aligned runs of four
    int vector_c;                 // whether C can be written so
    int splits, row_tiles, kind;  // parts of the depth; tiles of rows a phase, at most; the activation
};

// One axis of a gather: row q meets tap j at base + q row_step + j tap_step, if that lies in [0, size).
// Tap j is tap first_tap + j tap_stride of the weights, row q is position first_out + q out_step of C.
struct Axis {
    int rows, taps, base, row_step, tap_step, size, first_tap, tap_stride, first_out, out_step;
};

__device__ Axis plain_axis(const Problem& p, int a) {
    return {p.small[a], p.kernel[a], -p.low[a], p.stride[a], p.dilation[a], p.big[a], 0, 1, 0, 1};
}

__device__ int gcd(int a, int b) {
    while (b) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// The axis of the phase whose first output is i0 (at most stride - 1).
__device__ Axis phase_axis(const Problem& p, int a, int i0) {
    int s = p.stride[a], d = p.dilation[a], g = gcd(s, d), t = s / g, k0 = 0;
    while (k0 < t && (i0 + p.low[a] - k0 * d) % s != 0) ++k0;  // the remainders repeat after t taps
    int taps = k0 < t && k0 < p.kernel[a] ? (p.kernel[a] - k0 + t - 1) / t : 0;
    int rows = (p.big[a] - i0 + s - 1) / s;
    return {rows, taps, (i0 + p.low[a] - k0 * d) / s, 1, -(d / g), p.small[a], k0, t, i0, s};
}

// One convolution as the block sees it.
struct Gather {
    Axis axis[3];
    int channels;  // of the gathered array

    __device__ int rows() const { return axis[0].rows * axis[1].rows * axis[2].rows; }
    __device__ int taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
};

template <int MAP>
__device__ Gather gather_of(const Problem& p, int phase) {
    if (MAP != TRANSPOSE) return {{plain_axis(p, 0), plain_axis(p, 1), plain_axis(p, 2)}, p.in};
    int n1 = min(p.stride[1], p.big[1]), n2 = min(p.stride[2], p.big[2]);
    return {{phase_axis(p, 0, phase / (n1 * n2)), phase_axis(p, 1, phase / n2 % n1),
             phase_axis(p, 2, phase % n2)}, p.out};
}

// Where tap 0 of `row` lies on each axis, and the image; image -1 for a row that does not exist.
__device__ int4 origin(const Gather& g, int row, int end) {
    if (row >= end) return make_int4(0, 0, 0, -1);
    int q2 = row % g.axis[2].rows, rest = row / g.axis[2].rows;
    int q1 = rest % g.axis[1].rows, q0 = rest / g.axis[1].rows % g.axis[0].rows;
    return make_int4(g.axis[0].base + q0 * g.axis[0].row_step, g.axis[1].base + q1 * g.axis[1].row_step,
                     g.axis[2].base + q2 * g.axis[2].row_step, rest / g.axis[1].rows / g.axis[0].rows);
}

// A place in (tap, channel) order.
struct Cursor {
    int tap0, tap1, tap2, channel;
};

__device__ Cursor cursor_at(const Gather& g, int index) {
    int channels = max(g.channels, 1), taps2 = max(g.axis[2].taps, 1), taps1 = max(g.axis[1].taps, 1);
    int tap = index / channels;
    return {tap / taps2 / taps1, tap / taps2 % taps1, tap % taps2, index % channels};
}

// `step` places on. A division a slice would cost more: the channels wrap rarely.
__device__ void advance(const Gather& g, Cursor& c, int step) {
    c.channel += step;
    while (c.channel >= g.channels) {
        c.channel -= g.channels;
        if (++c.tap2 < g.axis[2].taps) continue;
        c.tap2 = 0;
        if (++c.tap1 < g.axis[1].taps) continue;
        c.tap1 = 0;
        ++c.tap0;
    }
}

// The element of x that a row meets under the cursor; null where that is padding or past the last tap.
template <typename T>
__device__ const T* source(const T* x, const Gather& g, int4 row, const Cursor& c) {
    int p0 = row.x + c.tap0 * g.axis[0].tap_step, p1 = row.y + c.tap1 * g.axis[1].tap_step;
    int p2 = row.z + c.tap2 * g.axis[2].tap_step;
    bool inside = row.w >= 0 && c.tap0 < g.axis[0].taps;
    inside = inside && (unsigned)p0 < (unsigned)g.axis[0].size && (unsigned)p1 < (unsigned)g.axis[1].size &&
             (unsigned)p2 < (unsigned)g.axis[2].size;
    int place = ((row.w * g.axis[0].size + p0) * g.axis[1].size + p1) * g.axis[2].size + p2;
    return inside ? x + (int64)place * g.channels + c.channel : nullptr;
}

template <typename T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Run {
    T value[N];
};

// N neighbours.
template <int N, typename T>
__device__ void load(const T* from, T* to) {
    Run<T, N> run = *reinterpret_cast<const Run<T, N>*>(from);
#pragma unroll
    for (int e = 0; e < N; ++e) to[e] = run.value[e];
}

// N neighbours, or zeros in place of null.
template <int N, typename T>
__device__ void load_or_zero(const T* from, T* to) {
#pragma unroll
    for (int e = 0; e < N; ++e) to[e] = 0;
    if (from) load<N>(from, to);
}

// -- the two ways to multiply ------------------------------------------------------------------------------

// The nearest TF32 number (10 bits of mantissa), ties away from zero.
__device__ float round_to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
#else
    return x;
#endif
}

// d += a b for a 16 x 8 of d, a 16 x 8, b 8 x 8, spread over the warp: with g = lane / 4 and t = lane % 4,
//     a: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)     b: (t, g), (t + 4, g)
//     d: (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1).
__device__ void multiply_fragments(float* d, const float* a, const float* b) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
    __trap();  // ../conv.py asks for TF32 from sm_80 on only
#endif
}

// How a tile is cut over threads, and how it lies in shared memory. A tile is [depth][width], padded so that
// the threads of a warp that read or write together meet in few banks; DEEP turns it to [width][depth], for
// the tensor cores where memory runs along the depth: 16-byte stores, and fragments free of conflicts.
template <typename T, int MAP, int COLUMNS, bool TENSOR>
struct Tile {
    static const int BK = 64 / sizeof(T), THREADS = TENSOR ? 2 * COLUMNS : 128;
    static const int EACH = BM * COLUMNS / THREADS;                // elements of C a thread
    static const int TN = COLUMNS < 64 ? 2 : 8, TM = EACH / TN;    // plain: TM x TN of them, as a rectangle
    static const int WN = TN < 4 ? TN : 4;                         // torn into runs of WN columns and 4 rows
    static const int LANES = COLUMNS / TN < 8 ? COLUMNS / TN : 8;  // threads of a warp along a row
    static const int RUN = TENSOR ? 2 : WN;                        // neighbours in C a thread holds
    static const int OWN = TENSOR ? 8 : TN;                        // columns it has elements in
    static const int A_EACH = BM * BK / THREADS;                   // numbers a thread loads
    static const int B_EACH = (BK * COLUMNS + 4 * THREADS - 1) / (4 * THREADS) * 4;
    static const bool A_DEEP = TENSOR && MAP != WEIGHT, B_DEEP = TENSOR && MAP == TRANSPOSE;
    static const int PAD = TENSOR ? 8 : 4;
    static const int A_SIZE = A_DEEP ? BM * (BK + 4) : BK * (BM + PAD);
    static const int B_SIZE = B_DEEP ? COLUMNS * (BK + 4) : BK * (COLUMNS + PAD);

    __device__ static int a_slot(int k, int m) { return A_DEEP ? m * (BK + 4) + k : k * (BM + PAD) + m; }
    __device__ static int b_slot(int k, int n) { return B_DEEP ? n * (BK + 4) + k : k * (COLUMNS + PAD) + n; }

    // The row and the column in the tile of element e of a thread's accumulators.
    __device__ static int row(int e) {
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        if (TENSOR) return warp % 2 * 64 + e / 16 * 16 + e % 4 / 2 * 8 + lane / 4;
        int y = warp / (COLUMNS / TN / LANES) * (32 / LANES) + lane / LANES, i = e / TN;
        return i / 4 * (4 * BM / TM) + 4 * y + i % 4;
    }
    __device__ static int column(int e) {
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        if (TENSOR) return warp / 2 * 32 + e / 4 % 4 * 8 + lane % 4 * 2 + e % 2;
        int x = warp % (COLUMNS / TN / LANES) * LANES + lane % LANES, j = e % TN;
        return j / WN * (WN * COLUMNS / TN) + WN * x + j % WN;
    }

    // Element e lies in own column number own(e), of which first(number) is the first element.
    __device__ static int own(int e) { return TENSOR ? e / 4 % 4 * 2 + e % 2 : e % TN; }
    __device__ static int first(int number) { return TENSOR ? number / 2 * 4 + number % 2 : number; }

    // acc += A B over one slice.
    __device__ static void multiply(const T* a, const T* b, T (&acc)[EACH]) {
        if constexpr (TENSOR)
            multiply_on_tensor_cores(a, b, acc);
        else
            multiply_plainly(a, b, acc);
    }

    __device__ static void multiply_plainly(const T* a, const T* b, T (&acc)[EACH]) {
        const T *a_here = a + row(0), *b_here = b + column(0);
#pragma unroll
        for (int k = 0; k < BK; ++k) {
            T left[TM], right[TN];
#pragma unroll
            for (int i = 0; i < TM; i += 4) load<4>(a_here + a_slot(k, i / 4 * (4 * BM / TM)), left + i);
#pragma unroll
            for (int j = 0; j < TN; j += WN)
                load<WN>(b_here + b_slot(k, j / WN * (WN * COLUMNS / TN)), right + j);
#pragma unroll
            for (int e = 0; e < EACH; ++e) acc[e] += left[e / TN] * right[e % TN];
        }
    }

    __device__ static void multiply_on_tensor_cores(const T* a, const T* b, T (&acc)[EACH]) {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, warp = threadIdx.x / 32;
#pragma unroll
        for (int k = 0; k < BK; k += 8) {
            T right[4][2];
#pragma unroll
            for (int f = 0; f < 8; ++f)
                right[f / 2][f % 2] = b[b_slot(k + t + f % 2 * 4, warp / 2 * 32 + f / 2 * 8 + g)];
#pragma unroll
            for (int i = 0; i < 4; ++i) {  // one fragment of A at a time: four would not leave registers enough
                T left[4];
#pragma unroll
                for (int f = 0; f < 4; ++f)
                    left[f] = a[a_slot(k + t + f / 2 * 4, warp % 2 * 64 + i * 16 + f % 2 * 8 + g)];
#pragma unroll
                for (int j = 0; j < 4; ++j) multiply_fragments(acc + 4 * (4 * i + j), left, right[j]);
            }
        }
    }

    // N loaded numbers to shared memory, neighbours along the depth or along the width.
    template <int N, bool NEIGHBOURS_DEEP, bool IS_A>
    __device__ static void put(T* tile, int k, int w, const T* value) {
        if constexpr (NEIGHBOURS_DEEP == (IS_A ? A_DEEP : B_DEEP)) {
            Run<T, N> run;
#pragma unroll
            for (int e = 0; e < N; ++e) run.value[e] = ready(value[e]);
            *reinterpret_cast<Run<T, N>*>(tile + (IS_A ? a_slot(k, w) : b_slot(k, w))) = run;
        } else {
#pragma unroll
            for (int e = 0; e < N; ++e) {
                int k_e = NEIGHBOURS_DEEP ? k + e : k, w_e = NEIGHBOURS_DEEP ? w : w + e;
                tile[IS_A ? a_slot(k_e, w_e) : b_slot(k_e, w_e)] = ready(value[e]);
            }
        }
    }
    __device__ static T ready(T x) {
        if constexpr (TENSOR) return round_to_tf32(x);
        return x;
    }
};

// -- loading a slice ---------------------------------------------------------------------------------------
// A slice is cut into runs of N numbers, neighbours in memory: 4, or 1 where the channels do not allow it.
// Thread t takes the runs t, t + THREADS, ..., so that neighbouring threads read neighbouring memory, and
// puts them where multiply() expects them one slice later.

// One block's part of the product: which tile, and how to load, begin and write it.
template <typename T, int MAP, int COLUMNS, bool TENSOR>
struct Block {
    using Shape = Tile<T, MAP, COLUMNS, TENSOR>;
    static const int BK = Shape::BK, THREADS = Shape::THREADS;

    const T *x, *w;  // what is gathered; the other factor (weights, or g for WEIGHT)
    const Problem& p;
    const Gather& gather;
    const int4* rows;  // FORWARD, TRANSPOSE: origins of the tile's rows. WEIGHT: of two slices' depths
    int first_row, first_column, columns, all_rows;
    Cursor cursor;  // FORWARD, TRANSPOSE: this thread's depth in the slice to load. WEIGHT: its row

    template <int N>
    __device__ static int run_depth(int i) { return (threadIdx.x + i * THREADS) % (BK / N) * N; }
    template <int N>
    __device__ static int run_width(int i) { return (threadIdx.x + i * THREADS) / (BK / N); }

    // A. Its runs lie along the depth, except that WEIGHT has channels along the rows.
    template <int N>
    __device__ void load_a(int slice, T (&value)[Shape::A_EACH]) const {
#pragma unroll
        for (int i = 0; i < Shape::A_EACH / N; ++i) {
            if constexpr (MAP == WEIGHT) {
                int k = (threadIdx.x + i * THREADS) / (BM / N);
                load_or_zero<N>(source(x, gather, rows[slice % 2 * BK + k], cursor), value + i * N);
            } else {
                load_or_zero<N>(source(x, gather, rows[run_width<N>(i)], cursor), value + i * N);
            }
        }
    }
    template <int N>
    __device__ void put_a(T* tile, const T (&value)[Shape::A_EACH]) const {
#pragma unroll
        for (int i = 0; i < Shape::A_EACH / N; ++i) {
            if constexpr (MAP == WEIGHT) {
                int run = threadIdx.x + i * THREADS;
                Shape::template put<N, false, true>(tile, run / (BM / N), run % (BM / N) * N, value + i * N);
            } else {
                Shape::template put<N, true, true>(tile, run_depth<N>(i), run_width<N>(i), value + i * N);
            }
        }
    }

    // B. A matrix with contiguous rows, but turned for TRANSPOSE: there its runs, too, lie along the depth,
    // under the same cursor.
    template <int N>
    __device__ void load_b(int first, int end, T (&value)[Shape::B_EACH]) const {
#pragma unroll
        for (int i = 0; i < (BK * COLUMNS + N * THREADS - 1) / (N * THREADS); ++i) {
            int run = threadIdx.x + i * THREADS;
            if constexpr (MAP == TRANSPOSE) {
                int n = first_column + run_width<N>(i);
                bool inside = run < BK * COLUMNS / N && n < columns && cursor.tap0 < gather.axis[0].taps;
                const T* from = w + ((int64)tap() * p.in + n) * p.out + cursor.channel;
                load_or_zero<N>(inside ? from : nullptr, value + i * N);
            } else {
                int k = first + run / (COLUMNS / N), n = first_column + run % (COLUMNS / N) * N;
                bool inside = run < BK * COLUMNS / N && k < end && n < columns;
                load_or_zero<N>(inside ? w + (int64)k * columns + n : nullptr, value + i * N);
            }
        }
    }
    template <int N>
    __device__ void put_b(T* tile, const T (&value)[Shape::B_EACH]) const {
#pragma unroll
        for (int i = 0; i < (BK * COLUMNS + N * THREADS - 1) / (N * THREADS); ++i) {
            int run = threadIdx.x + i * THREADS;
            if (run >= BK * COLUMNS / N) break;
            if constexpr (MAP == TRANSPOSE)
                Shape::template put<N, true, false>(tile, run_depth<N>(i), run_width<N>(i), value + i * N);
            else
                Shape::template put<N, false, false>(tile, run / (COLUMNS / N), run % (COLUMNS / N) * N,
                                                     value + i * N);
        }
    }

    // The cursor's tap, in the weights.
    __device__ int tap() const {
        const Axis* a = gather.axis;
        int k0 = a[0].first_tap + cursor.tap0 * a[0].tap_stride;
        int k1 = a[1].first_tap + cursor.tap1 * a[1].tap_stride;
        int k2 = a[2].first_tap + cursor.tap2 * a[2].tap_stride;
        return (k0 * p.kernel[1] + k1) * p.kernel[2] + k2;
    }

    // Where this thread begins: in depth `begin`, or in its row of the tile.
    __device__ Cursor start(int begin) const {
        int n = p.vector_a ? 4 : 1;
        if (MAP != WEIGHT) return cursor_at(gather, begin + threadIdx.x % (BK / n) * n);
        return cursor_at(gather, first_row + threadIdx.x % (BM / n) * n);  // past the last tap: zeros
    }

    // Row m of the tile, in C; -1 for none.
    __device__ int64 c_row(int m) const {
        if (first_row + m >= all_rows) return -1;
        if (MAP != TRANSPOSE) return first_row + m;
        const Axis* a = gather.axis;
        int4 at = rows[m];
        int i0 = a[0].first_out + (at.x - a[0].base) * a[0].out_step;
        int i1 = a[1].first_out + (at.y - a[1].base) * a[1].out_step;
        int i2 = a[2].first_out + (at.z - a[2].base) * a[2].out_step;
        return (((int64)at.w * p.big[0] + i0) * p.big[1] + i1) * p.big[2] + i2;
    }

    // acc = bias, or zeros.
    __device__ void begin(T (&acc)[Shape::EACH], const T* bias) const {
        T value[Shape::OWN];
#pragma unroll
        for (int i = 0; i < Shape::OWN; ++i) {
            int n = first_column + Shape::column(Shape::first(i));
            value[i] = bias && n < columns ? bias[n] : T(0);
        }
#pragma unroll
        for (int e = 0; e < Shape::EACH; ++e) acc[e] = value[Shape::own(e)];
    }

    // C = activation(acc). tanh and the sigmoid are long: they are applied to what the thread has written, in
    // a loop that is not unrolled over acc.
    __device__ void write(const T (&acc)[Shape::EACH], int kind, T slope, T* c) const {
        const int N = Shape::RUN;
#pragma unroll
        for (int e = 0; e < Shape::EACH; e += N) {
            int64 row = c_row(Shape::row(e));
            int n = first_column + Shape::column(e);
            if (row < 0 || n >= columns) continue;
            Run<T, N> run;
#pragma unroll
            for (int f = 0; f < N; ++f) {
                T z = acc[e + f];
                if (kind == RELU) z = z < 0 ? T(0) : z;
                if (kind == LEAKY_RELU) z = z > 0 ? z : slope * z;
                run.value[f] = z;
            }
            store(run, columns - n, c + row * columns + n);
        }
        if (kind != TANH && kind != SIGMOID) return;
#pragma unroll 1
        for (int e = 0; e < Shape::EACH; ++e) {
            int64 row = c_row(Shape::row(e));
            int n = first_column + Shape::column(e);
            T* to = c + row * columns + n;
            if (row >= 0 && n < columns) *to = activation<T>(*to, kind, slope);
        }
    }

    // As many of the run as there are columns left.
    template <int N>
    __device__ void store(const Run<T, N>& run, int left, T* to) const {
        if (p.vector_c) {
            *reinterpret_cast<Run<T, N>*>(to) = run;
            return;
        }
#pragma unroll
        for (int f = 0; f < N; ++f)
            if (f < left) to[f] = run.value[f];
    }
};

// -- the kernel --------------------------------------------------------------------------------------------

// One tile of C. Block index, from the fastest: tile of columns, tile of rows, part of the depth, phase.
template <typename T, int MAP, int COLUMNS, bool TENSOR>
__device__ void compute_tile(const T* x, const T* w, const T* bias, const Problem& p, double slope, T* c) {
    using Shape = Tile<T, MAP, COLUMNS, TENSOR>;
    const int BK = Shape::BK;
    alignas(16) __shared__ T a_tile[2][Shape::A_SIZE];
    alignas(16) __shared__ T b_tile[2][Shape::B_SIZE];
    alignas(16) __shared__ int4 rows[BM];

    int columns = MAP == TRANSPOSE ? p.in : p.out, column_tiles = (columns + COLUMNS - 1) / COLUMNS;
    int tile = blockIdx.x / column_tiles, split = tile / p.row_tiles % p.splits;
    __shared__ Gather block_gather;  // thirty numbers that would crowd the accumulators out of the registers
    if (MAP != WEIGHT && threadIdx.x == 0) block_gather = gather_of<MAP>(p, tile / p.row_tiles / p.splits);
    __syncthreads();
    const Gather weight_gather = gather_of<WEIGHT>(p, 0);  // its numbers are parameters, which cost nothing
    const Gather& gather = MAP == WEIGHT ? weight_gather : block_gather;
    int places = p.batch * gather.rows(), entries = gather.taps() * gather.channels;
    int all_rows = MAP == WEIGHT ? entries : places, depth = MAP == WEIGHT ? places : entries;
    int first_row = tile % p.row_tiles * BM, slices = (depth + BK - 1) / BK;
    if (first_row >= all_rows) return;  // a phase with fewer rows than the first
    int part = (slices + p.splits - 1) / p.splits;
    int begin = min(part * split, slices), end = min(begin + part, slices);

    int first_column = int(blockIdx.x % column_tiles) * COLUMNS;
    Block<T, MAP, COLUMNS, TENSOR> block = {x, w, p, gather, rows, first_row, first_column, columns,
                                            all_rows, {}};
    block.cursor = block.start(begin * BK);
    if (MAP == WEIGHT) {
        if (threadIdx.x < 2 * BK) rows[threadIdx.x] = origin(gather, begin * BK + threadIdx.x, depth);
    } else {
        for (int m = threadIdx.x; m < BM; m += Shape::THREADS)
            rows[m] = origin(gather, first_row + m, all_rows);
    }
    __syncthreads();

    bool whole = p.splits == 1;  // else conv_sum adds the bias and applies the activation
    T acc[Shape::EACH], a[Shape::A_EACH], b[Shape::B_EACH];
    block.begin(acc, whole ? bias : nullptr);
    for (int slice = -1; slice < end - begin; ++slice) {
        bool more = begin + slice + 1 < end;
        int here = slice & 1, next = here ^ 1;
        if (more) {
            int k = (begin + slice + 1) * BK;
            p.vector_a ? block.template load_a<4>(slice + 1, a) : block.template load_a<1>(slice + 1, a);
            p.vector_b ? block.template load_b<4>(k, depth, b) : block.template load_b<1>(k, depth, b);
        }
        if (slice >= 0) Shape::multiply(a_tile[here], b_tile[here], acc);
        if (more) {
            p.vector_a ? block.template put_a<4>(a_tile[next], a) : block.template put_a<1>(a_tile[next], a);
            p.vector_b ? block.template put_b<4>(b_tile[next], b) : block.template put_b<1>(b_tile[next], b);
            if (MAP != WEIGHT) advance(gather, block.cursor, BK);
            // Depths of the slice after the next, over those that the former round has used.
            if (MAP == WEIGHT && slice >= 0 && threadIdx.x < BK)
                rows[here * BK + threadIdx.x] = origin(gather, (begin + slice + 2) * BK + threadIdx.x, depth);
        }
        __syncthreads();
    }
    int64 c_rows = MAP == TRANSPOSE ? (int64)p.batch * p.big[0] * p.big[1] * p.big[2] : all_rows;
    block.write(acc, whole ? p.kind : LINEAR, T(slope), c + split * c_rows * columns);
}

// The second number of the bounds is how many blocks a multiprocessor is to hold: as many as leave each thread registers enough,
// of which WEIGHT needs more. Only tiles of 128 x 128 keep some of a thread's numbers in memory (tests/test_gpu_compile.py).

// Plain arithmetic; tiles of 128 x 64, and 128 x 8 for few columns.
template <typename T, int MAP, int COLUMNS>
__launch_bounds__(128, COLUMNS == 8 ? 4 : sizeof(T) == 4 && MAP != WEIGHT ? 3 : 2)
__global__ void conv_tile(const T* x, const T* w, const T* bias, Problem p, double slope, T* c) {
    compute_tile<T, MAP, COLUMNS, false>(x, w, bias, p, slope, c);
}

// Both factors rounded to TF32, sums in float, on tensor cores; tiles of 128 x 64 and 128 x 128.
template <int MAP, int COLUMNS>
__launch_bounds__(2 * COLUMNS, COLUMNS == 64 && MAP != WEIGHT ? 3 : 2)
__global__ void conv_tile_tf32(const float* x, const float* w, const float* bias, Problem p, double slope,
                               float* c) {
    compute_tile<float, MAP, COLUMNS, true>(x, w, bias, p, slope, c);
}

// out = activation(bias + sum over slabs of partial), partial (splits, n): (splits + 1) sizeof(T) bytes an
// element. The slabs are added in order.
template <typename T>
__global__ void conv_sum(const T* partial, int64 splits, const T* bias, int64 n, int64 columns, int64 kind,
                         double slope, T* out) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        T sum = 0;
#pragma unroll 8
        for (int64 s = 0; s < splits; ++s) sum += partial[s * n + i];
        out[i] = activation<T>(bias ? sum + bias[i % columns] : sum, kind, T(slope));
    }
}
