// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), and what is
// drawn with it. The words never touch memory where a law follows: a thread turns its block of four words into
// numbers, 4 bytes a normal number and sizeof(T) / 8 of a block's time a number of a mask.
//
// Every kernel takes the key (k0, k1) and the counter (x1, x2, x3). `counter`, when not null, holds the latter
// in device memory instead: a recorded launch then draws new numbers at every replay.

typedef long long int64;
typedef unsigned int uint32;

struct Words {
    uint32 word[4];
};

// Block i of the stream: the bijection with key (k0, k1) of the counter (i, x1, x2, x3).
struct Stream {
    uint32 k0, k1, x1, x2, x3;

    __device__ Stream(uint32 k0, uint32 k1, uint32 x1, uint32 x2, uint32 x3, const uint32* counter)
        : k0(k0), k1(k1), x1(counter ? counter[0] : x1), x2(counter ? counter[1] : x2),
          x3(counter ? counter[2] : x3) {}

    __device__ Words block(int64 i) const {
        const uint32 M0 = 0xD2511F53u, M1 = 0xCD9E8D57u, W0 = 0x9E3779B9u, W1 = 0xBB67AE85u;
        uint32 c0 = (uint32)i, c1 = x1, c2 = x2, c3 = x3, a = k0, b = k1;
        for (int round = 0; round < 10; ++round) {
            uint32 low0 = M0 * c0, high0 = __umulhi(M0, c0), low1 = M1 * c2, high1 = __umulhi(M1, c2);
            c0 = high1 ^ c1 ^ a;
            c1 = low1;
            c2 = high0 ^ c3 ^ b;
            c3 = low0;
            a += W0;
            b += W1;
        }
        return {{c0, c1, c2, c3}};
    }
};

__device__ int64 first_block() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ int64 all_threads() { return (int64)gridDim.x * blockDim.x; }

// out[4 i], ... = four numbers of 4 bytes, as one 16-byte store where out allows it, and no more than n.
template <typename T>
__device__ void store_four(T* out, int64 i, int64 n, T a, T b, T c, T d) {
    struct alignas(16) Four {
        T value[4];
    };
    if (reinterpret_cast<unsigned long long>(out) % 16 == 0 && 4 * i + 4 <= n) {
        *reinterpret_cast<Four*>(out + 4 * i) = {{a, b, c, d}};
    } else {
        T value[4] = {a, b, c, d};
        for (int k = 0; k < 4 && 4 * i + k < n; ++k) out[4 * i + k] = value[k];
    }
}

// Words 4 i to 4 i + 3 of `out` are block i.
__global__ void philox(uint32 k0, uint32 k1, uint32 x1, uint32 x2, uint32 x3, const uint32* counter, int64
                       words, uint32* out) {
    Stream stream(k0, k1, x1, x2, x3, counter);
    for (int64 i = first_block(); 4 * i < words; i += all_threads()) {
        Words w = stream.block(i);
        store_four(out, i, words, w.word[0], w.word[1], w.word[2], w.word[3]);
    }
}

// Box and Muller 1958: with u, v uniform in [0, 1), r = sqrt(-2 log(1 - u)) and the angle 2 pi v are the polar
// coordinates of two independent standard normals. The uniform numbers are the upper 24 bits of a word, times
// 2^-24; every operation is rounded as in reference.box_muller.
struct Pair {
    float x, y;
};

__device__ Pair box_muller(uint32 word_u, uint32 word_v) {
    float u = (word_u >> 8) * 5.9604645e-8f, v = (word_v >> 8) * 5.9604645e-8f;
    float radius = sqrtf(-2 * log1pf(-u)), angle = v * 6.2831855f;
    return {radius * cosf(angle), radius * sinf(angle)};
}

// Two words a pair: out[4 i] to out[4 i + 3] come from block i.
__global__ void normal(uint32 k0, uint32 k1, uint32 x1, uint32 x2, uint32 x3, const uint32* counter, int64 n,
                       float* out) {
    Stream stream(k0, k1, x1, x2, x3, counter);
    for (int64 i = first_block(); 4 * i < n; i += all_threads()) {
        Words w = stream.block(i);
        Pair a = box_muller(w.word[0], w.word[1]), b = box_muller(w.word[2], w.word[3]);
        store_four(out, i, n, a.x, a.y, b.x, b.y);
    }
}

// Dropout's multiplier: `scale` with probability level / 2^16, else 0. Sixteen bits decide a number: with
// B = ceil(n / 8) blocks, out[j B + i] is decided by half j (low half first) of the words of block i, so that
// neighbouring threads write neighbouring numbers.
template <typename T>
__global__ void mask(uint32 k0, uint32 k1, uint32 x1, uint32 x2, uint32 x3, const uint32* counter, int64 level,
                     double scale, int64 n, T* out) {
    Stream stream(k0, k1, x1, x2, x3, counter);
    int64 blocks = (n + 7) / 8;
    for (int64 i = first_block(); i < blocks; i += all_threads()) {
        Words w = stream.block(i);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            uint32 half = j % 2 ? w.word[j / 2] >> 16 : w.word[j / 2] & 0xFFFFu;
            if (j * blocks + i < n) out[j * blocks + i] = half < level ? T(scale) : T(0);
        }
    }
}
