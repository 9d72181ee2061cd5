// Optimizers: one launch updates all arrays of a player.
//
// A table in device memory cuts every array into pieces of at most CHUNK elements (gpu_fused.py). Row r holds
// the length of piece r, then the address of its first element in each group of arrays (parameters,
// gradients, state). A block takes row blockIdx.x, then blockIdx.x + gridDim.x, ...: the work is even
// whatever the layer sizes are.
//
// `hyper` (double) is in device memory too, so that a recorded launch reads today's learning rate and step.

typedef long long int64;

// Arrays never overlap, which __restrict__ tells the compiler: it may load several elements before it stores
// one.
template <typename T>
__device__ T* address(const int64* row, int group) {
    return reinterpret_cast<T*>(row[1 + group]);
}

// d = g + decay p;  v <- mu v + d;  p <- p - lr v, or with Nesterov p <- p - lr (d + mu v).  hyper = (lr, mu,
// decay). Reads p, g, v and writes p, v: 5 sizeof(T) bytes an element.
template <typename T>
__global__ void sgd(const int64* table, int64 pieces, const double* hyper, int64 nesterov) {
    T lr = T(hyper[0]), mu = T(hyper[1]), decay = T(hyper[2]);
    for (int64 piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const int64* row = table + 4 * piece;
        T* __restrict__ p = address<T>(row, 0);
        const T* __restrict__ g = address<T>(row, 1);
        T* __restrict__ v = address<T>(row, 2);
#pragma unroll 4
        for (int64 i = threadIdx.x; i < row[0]; i += blockDim.x) {
            T d = g[i] + decay * p[i], s = mu * v[i] + d;
            v[i] = s;
            p[i] -= lr * (nesterov ? d + mu * s : s);
        }
    }
}

// s <- rho s + (1 - rho) g^2;  p <- p - lr g / (sqrt(s) + eps).  hyper = (lr, rho, eps). 5 sizeof(T) bytes an
// element.
template <typename T>
__global__ void rmsprop(const int64* table, int64 pieces, const double* hyper) {
    T lr = T(hyper[0]), rho = T(hyper[1]), rest = T(1 - hyper[1]), eps = T(hyper[2]);
    for (int64 piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const int64* row = table + 4 * piece;
        T* __restrict__ p = address<T>(row, 0);
        const T* __restrict__ g = address<T>(row, 1);
        T* __restrict__ s = address<T>(row, 2);
#pragma unroll 4
        for (int64 i = threadIdx.x; i < row[0]; i += blockDim.x) {
            T square = rho * s[i] + rest * g[i] * g[i];
            s[i] = square;
            p[i] -= lr * g[i] / (sqrt(square) + eps);
        }
    }
}

// hyper = (lr, beta1, beta2, eps, decay, step):
//     m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - rate m / (root sqrt(v) + eps) - shrink p,
// the bias corrections folded into rate = lr / (1 - b1^t), root = 1 / sqrt(1 - b2^t), and shrink = lr decay.
// Reads p, g, m, v and writes p, m, v: 7 sizeof(T) bytes an element. One thread a block takes the two powers,
// in double.
template <typename T>
__global__ void adam(const int64* table, int64 pieces, const double* hyper) {
    __shared__ T shared_rate, shared_root;
    if (threadIdx.x == 0) {
        shared_rate = T(hyper[0] / (1 - pow(hyper[1], hyper[5])));
        shared_root = T(1 / sqrt(1 - pow(hyper[2], hyper[5])));
    }
    __syncthreads();
    T rate = shared_rate, root = shared_root, shrink = T(hyper[0] * hyper[4]), eps = T(hyper[3]);
    T b1 = T(hyper[1]), c1 = T(1 - hyper[1]), b2 = T(hyper[2]), c2 = T(1 - hyper[2]);
    for (int64 piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const int64* row = table + 5 * piece;
        T* __restrict__ p = address<T>(row, 0);
        const T* __restrict__ g = address<T>(row, 1);
        T* __restrict__ m = address<T>(row, 2);
        T* __restrict__ v = address<T>(row, 3);
#pragma unroll 4
        for (int64 i = threadIdx.x; i < row[0]; i += blockDim.x) {
            T m_i = b1 * m[i] + c1 * g[i], v_i = b2 * v[i] + c2 * g[i] * g[i];
            m[i] = m_i;
            v[i] = v_i;
            p[i] -= rate * m_i / (root * sqrt(v_i) + eps) + shrink * p[i];
        }
    }
}

// a <- decay a + (1 - decay) p.  hyper = (decay,). Reads a, p and writes a: 3 sizeof(T) bytes an element.
template <typename T>
__global__ void ema(const int64* table, int64 pieces, const double* hyper) {
    T decay = T(hyper[0]), rest = T(1 - hyper[0]);
    for (int64 piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const int64* row = table + 3 * piece;
        T* __restrict__ a = address<T>(row, 0);
        const T* __restrict__ p = address<T>(row, 1);
#pragma unroll 4
        for (int64 i = threadIdx.x; i < row[0]; i += blockDim.x) a[i] = decay * a[i] + rest * p[i];
    }
}
