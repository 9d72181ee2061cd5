// Optimizers: one launch updates all arrays of a player.
//
// A table in device memory cuts every array into pieces of at most CHUNK elements (../optimizers.py). Row r holds
// the length of piece r, then the address of its first element in each group of arrays (parameters,
// gradients, state). A block takes row blockIdx.x, then blockIdx.x + gridDim.x, ...: the work is even
// whatever the layer sizes are.
//
// `hyper` (double) is in device memory too, so that a recorded launch reads today's learning rate and step.

typedef long long int64;

const int AT_ONCE = 4;  // elements of a piece that a thread loads together

// element <- rule(element) for every element of every piece. An element is one number of each of the GROUPS
// arrays; all are written back but number 1, the gradient (for ema: the parameter).
//
// Memory is far away: a thread asks for AT_ONCE elements of all arrays before it waits for the first, and
// stores when all are computed. With loads and stores in turns the compiler could not do that itself, since for
// all it knows a store may change what the next load reads.
template <typename T, int GROUPS, typename Rule>
__device__ void for_each_element(const int64* table, int64 pieces, Rule rule) {
    for (int64 piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const int64* row = table + (1 + GROUPS) * piece;
        const int64 n = row[0];
        T* array[GROUPS];
#pragma unroll
        for (int k = 0; k < GROUPS; ++k) array[k] = reinterpret_cast<T*>(row[1 + k]);
        for (int64 first = threadIdx.x; first < n; first += AT_ONCE * blockDim.x) {
            T element[AT_ONCE][GROUPS] = {};
#pragma unroll
            for (int e = 0; e < AT_ONCE; ++e)
                if (first + e * blockDim.x < n)
#pragma unroll
                    for (int k = 0; k < GROUPS; ++k) element[e][k] = array[k][first + e * blockDim.x];
#pragma unroll
            for (int e = 0; e < AT_ONCE; ++e) rule(element[e]);  // on zeros past the end, and nobody looks
#pragma unroll
            for (int e = 0; e < AT_ONCE; ++e)
                if (first + e * blockDim.x < n)
#pragma unroll
                    for (int k = 0; k < GROUPS; ++k)
                        if (k != 1) array[k][first + e * blockDim.x] = element[e][k];
        }
    }
}

// d = g + decay p;  v <- mu v + d;  p <- p - lr v, or with Nesterov p <- p - lr (d + mu v).  hyper = (lr, mu,
// decay). Reads p, g, v and writes p, v: 5 sizeof(T) bytes an element.
template <typename T>
__global__ void sgd(const int64* table, int64 pieces, const double* hyper, int64 nesterov) {
    T lr = T(hyper[0]), mu = T(hyper[1]), decay = T(hyper[2]);
    for_each_element<T, 3>(table, pieces, [=](T(&element)[3]) {
        T &p = element[0], g = element[1], &v = element[2];
        T d = g + decay * p;
        v = mu * v + d;
        p -= lr * (nesterov ? d + mu * v : v);
    });
}

// s <- rho s + (1 - rho) g^2;  p <- p - lr g / (sqrt(s) + eps).  hyper = (lr, rho, eps). 5 sizeof(T) bytes an
// element.
template <typename T>
__global__ void rmsprop(const int64* table, int64 pieces, const double* hyper) {
    T lr = T(hyper[0]), rho = T(hyper[1]), rest = T(1 - hyper[1]), eps = T(hyper[2]);
    for_each_element<T, 3>(table, pieces, [=](T(&element)[3]) {
        T &p = element[0], g = element[1], &s = element[2];
        s = rho * s + rest * g * g;
        p -= lr * g / (sqrt(s) + eps);
    });
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
    for_each_element<T, 4>(table, pieces, [=](T(&element)[4]) {
        T &p = element[0], g = element[1], &m = element[2], &v = element[3];
        m = b1 * m + c1 * g;
        v = b2 * v + c2 * g * g;
        p -= rate * m / (root * sqrt(v) + eps) + shrink * p;
    });
}

// a <- decay a + (1 - decay) p.  hyper = (decay,). Reads a, p and writes a: 3 sizeof(T) bytes an element.
template <typename T>
__global__ void ema(const int64* table, int64 pieces, const double* hyper) {
    T decay = T(hyper[0]), rest = T(1 - hyper[0]);
    for_each_element<T, 2>(table, pieces, [=](T(&element)[2]) { element[0] = decay * element[0] + rest * element[1]; });
}
