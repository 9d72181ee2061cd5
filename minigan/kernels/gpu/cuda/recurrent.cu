// LSTM and GRU over whole sequences, forward and backward; the equations are those of ../../reference.py.
//
// The rows of a batch do not meet in a scan, so a block takes one row through all steps, and no block waits for
// another. Thread j has unit j (and j + blockDim.x, ...). What a unit carries to the next step lies where only its
// thread writes and reads (c in `last`, the cotangents in dh0 and dc0); what all units read of it, h or dz, has a
// place of its own in each step, so one barrier a step is enough. u (H, gates H) is read along j by neighbouring
// threads, `turned` (gates H, H), its transpose, backward. It comes from the L2 cache: H = 128 is 256 KB.
//
// Arrays are in C order: xw (rows, steps, gates H), hs (rows, steps, H), kept (rows, steps, 5 or 4, H) or null,
// mask (rows, steps), a byte each. A sum over units goes from the first to the last.

#include "activation.cuh"

// sum over k < n of v[k] m[k * stride].
template <typename T>
__device__ T product(const T* v, const T* m, int64 n, int64 stride) {
    T sum = 0;
#pragma unroll 8
    for (int64 k = 0; k < n; ++k) sum += v[k] * m[k * stride];
    return sum;
}

template <typename T>
__global__ void lstm_scan(const T* xw, const T* h0, const T* c0, const T* u, const bool* mask, int64 rows,
                          int64 steps, int64 units, T* hs, T* last, T* kept) {
    for (int64 row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int64 t = 0; t < steps; ++t) {
            int64 at = row * steps + t;
            const T* before = t ? hs + (at - 1) * units : h0 + row * units;
            for (int64 j = threadIdx.x; j < units; j += blockDim.x) {
                T z[4];
                for (int k = 0; k < 4; ++k)
                    z[k] = xw[(4 * at + k) * units + j] + product(before, u + k * units + j, units, 4 * units);
                T i = sigmoid(z[0]), f = sigmoid(z[1]), g = tanh(z[2]), o = sigmoid(z[3]);
                T old = t ? last[row * units + j] : c0[row * units + j];
                T c = mask[at] ? f * old + i * g : old;
                last[row * units + j] = c;
                hs[at * units + j] = mask[at] ? o * tanh(c) : before[j];
                if (!kept) continue;
                T values[5] = {i, f, g, o, c};
                for (int k = 0; k < 5; ++k) kept[(5 * at + k) * units + j] = values[k];
            }
            __syncthreads();
        }
    }
}

template <typename T>
__global__ void lstm_scan_backward(const T* g, const T* g_last, const T* c0, const T* turned, const bool* mask,
                                   const T* kept, int64 rows, int64 steps, int64 units, T* dz, T* dh0, T* dc0) {
    for (int64 row = blockIdx.x; row < rows; row += gridDim.x) {
        T *dh = dh0 + row * units, *dc = dc0 + row * units;
        for (int64 t = steps - 1; t >= 0; --t) {
            int64 at = row * steps + t;
            bool first = t == steps - 1;
            T* mine = dz + 4 * at * units;
            for (int64 j = threadIdx.x; j < units; j += blockDim.x) {
                T total = g[at * units + j] + (first ? T(0) : dh[j]), carried = first ? g_last[row * units + j] : dc[j];
                T values[4] = {0, 0, 0, 0};
                if (mask[at]) {
                    const T* k = kept + 5 * at * units + j;
                    T i = k[0], f = k[units], fresh = k[2 * units], o = k[3 * units], bent = tanh(k[4 * units]);
                    T old = t ? *(k - units) : c0[row * units + j];  // c of the step before, the last of its five
                    T inner = carried + total * o * (1 - bent * bent);
                    values[0] = inner * fresh * i * (1 - i);
                    values[1] = inner * old * f * (1 - f);
                    values[2] = inner * i * (1 - fresh * fresh);
                    values[3] = total * bent * o * (1 - o);
                    carried = inner * f;
                }
                for (int k = 0; k < 4; ++k) mine[k * units + j] = values[k];
                dh[j] = total;
                dc[j] = carried;
            }
            if (!mask[at]) continue;  // for the whole block
            __syncthreads();
            for (int64 j = threadIdx.x; j < units; j += blockDim.x)
                dh[j] = product(mine, turned + j, 4 * units, units);
        }
    }
}

template <typename T>
__global__ void gru_scan(const T* xw, const T* h0, const T* u, const T* bias, const bool* mask, int64 rows,
                         int64 steps, int64 units, T* hs, T* kept) {
    for (int64 row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int64 t = 0; t < steps; ++t) {
            int64 at = row * steps + t;
            const T* before = t ? hs + (at - 1) * units : h0 + row * units;
            for (int64 j = threadIdx.x; j < units; j += blockDim.x) {
                T own[3];
                for (int k = 0; k < 3; ++k) own[k] = product(before, u + k * units + j, units, 3 * units);
                const T* x = xw + 3 * at * units + j;
                T r = sigmoid(x[0] + own[0]), z = sigmoid(x[units] + own[1]), m = own[2] + bias[j];
                T n = tanh(x[2 * units] + r * m);
                hs[at * units + j] = mask[at] ? n + z * (before[j] - n) : before[j];
                if (!kept) continue;
                T values[4] = {r, z, n, m};
                for (int k = 0; k < 4; ++k) kept[(4 * at + k) * units + j] = values[k];
            }
            __syncthreads();
        }
    }
}

template <typename T>
__global__ void gru_scan_backward(const T* g, const T* h0, const T* hs, const T* turned, const bool* mask,
                                  const T* kept, int64 rows, int64 steps, int64 units, T* dz, T* dm, T* dh0) {
    for (int64 row = blockIdx.x; row < rows; row += gridDim.x) {
        T* dh = dh0 + row * units;
        for (int64 t = steps - 1; t >= 0; --t) {
            int64 at = row * steps + t;
            T *mine = dz + 3 * at * units, *inner = dm + at * units;
            for (int64 j = threadIdx.x; j < units; j += blockDim.x) {
                T total = g[at * units + j] + (t == steps - 1 ? T(0) : dh[j]), values[4] = {0, 0, 0, 0};
                dh[j] = total;
                if (mask[at]) {
                    const T* k = kept + 4 * at * units + j;
                    T r = k[0], z = k[units], n = k[2 * units], m = k[3 * units];
                    T before = t ? hs[(at - 1) * units + j] : h0[row * units + j];
                    T fresh = total * (1 - z) * (1 - n * n);
                    values[0] = fresh * m * r * (1 - r);
                    values[1] = total * (before - n) * z * (1 - z);
                    values[2] = fresh;
                    values[3] = fresh * r;
                    dh[j] = total * z;
                }
                for (int k = 0; k < 3; ++k) mine[k * units + j] = values[k];
                inner[j] = values[3];
            }
            if (!mask[at]) continue;  // for the whole block
            __syncthreads();
            for (int64 j = threadIdx.x; j < units; j += blockDim.x)  // of h U: (dz_r, dz_z, dm)
                dh[j] += product(mine, turned + j, 2 * units, units) +
                         product(inner, turned + 2 * units * units + j, units, units);
        }
    }
}
