// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").

typedef long long int64;
typedef unsigned int uint32;

// Words 4 i to 4 i + 3 of `out` are the bijection with key (k0, k1) of the counter (i, x1, x2, x3). A thread
// a block of four words; only the writes touch memory, 4 bytes a word, as one 16-byte store where out allows
// it.
//
// `counter`, when not null, holds (x1, x2, x3) in device memory: a recorded launch then draws new numbers at
// every replay.
__global__ void philox(uint32 k0, uint32 k1, uint32 x1, uint32 x2, uint32 x3, const uint32* counter, int64
                       words, uint32* out) {
    const uint32 M0 = 0xD2511F53u, M1 = 0xCD9E8D57u, W0 = 0x9E3779B9u, W1 = 0xBB67AE85u;
    if (counter) {
        x1 = counter[0];
        x2 = counter[1];
        x3 = counter[2];
    }
    bool aligned = reinterpret_cast<unsigned long long>(out) % 16 == 0;
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; 4 * i < words; i += stride) {
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
        if (aligned && 4 * i + 4 <= words) {
            reinterpret_cast<uint4*>(out)[i] = make_uint4(c0, c1, c2, c3);
        } else {
            uint32 word[4] = {c0, c1, c2, c3};
            for (int k = 0; k < 4 && 4 * i + k < words; ++k) out[4 * i + k] = word[k];
        }
    }
}
