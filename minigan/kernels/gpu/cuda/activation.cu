// Activations and the logistic losses: one thread an element, one pass over memory.
//
// All arrays are C-contiguous; `channels` is the last axis, so element i lies in column i % channels. `int64`
// everywhere: an image batch can hold more than 2^31 numbers. T is float or double.

#include "activation.cuh"
#include "sum.cuh"

__device__ int64 first_element() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ int64 all_threads() { return (int64)gridDim.x * blockDim.x; }

// out = activation(z + bias). Reads z, writes out: 2 sizeof(T) bytes an element (the bias stays in cache).
// `bias` may be null, `out` may be z.
//
// A thread visits i, i + S, i + 2S, ... with S threads in all. Its column would cost a 64-bit remainder each
// time; but the column moves by S % channels at each step, so an addition and one conditional subtraction
// follow it.
template <typename T>
__global__ void bias_activation(const T* z, const T* bias, int64 n, int64 channels, int64 kind, double slope,
                                T* out) {
    int64 stride = all_threads();
    int64 column = first_element() % channels, step = stride % channels;
    for (int64 i = first_element(); i < n; i += stride) {
        out[i] = activation<T>(bias ? z[i] + bias[column] : z[i], kind, T(slope));
        column += step;
        column -= column >= channels ? channels : 0;
    }
}

// out = g activation'(z), the derivative read off y = activation(z). Reads g and y, writes out: 3 sizeof(T)
// bytes an element. `out` may be g or y.
template <typename T>
__global__ void activation_backward(const T* g, const T* y, int64 n, int64 kind, double slope, T* out) {
    for (int64 i = first_element(); i < n; i += all_threads())
        out[i] = pull_back<T>(g[i], y[i], kind, T(slope));
}

// out = max(l, 0) - l t + log1p(exp(-|l|)), because log(1 + e^l) = max(l, 0) + log(1 + e^-|l|): the large
// part is taken out of the logarithm, and the exponential is at most 1. 3 sizeof(T) bytes an element.
template <typename T>
__global__ void bce_with_logits(const T* logits, const T* target, int64 n, T* out) {
    for (int64 i = first_element(); i < n; i += all_threads()) {
        T l = logits[i];
        out[i] = (l > 0 ? l : T(0)) - l * target[i] + log1p(exp(-fabs(l)));
    }
}

// log(1 + exp(v)) = max(v, 0) + log1p(exp(-|v|)), as above; a NaN stays one.
template <typename T>
__device__ T softplus(T v) {
    return (v < 0 ? T(0) : v) + log1p(exp(-fabs(v)));
}

// out = mean of softplus(sign x), the sum in double. Each block adds up its share; one block alone finishes,
// several leave partial (gridDim.x,), which mean_softplus_finish adds in order. sizeof(T) bytes an element.
template <typename T>
__global__ void mean_softplus(const T* x, int64 n, double sign, double* partial, T* out) {
    double sum = 0;
    for (int64 i = first_element(); i < n; i += all_threads()) sum += softplus(T(sign) * x[i]);
    sum = sum_over_block(sum);
    if (threadIdx.x > 0) return;
    if (gridDim.x == 1)
        out[0] = T(sum / n);
    else
        partial[blockIdx.x] = sum;
}

// One block.
template <typename T>
__global__ void mean_softplus_finish(const double* partial, int64 parts, int64 n, T* out) {
    double sum = 0;
    for (int64 i = threadIdx.x; i < parts; i += blockDim.x) sum += partial[i];
    sum = sum_over_block(sum);
    if (threadIdx.x == 0) out[0] = T(sum / n);
}

// out = g (sign / n) sigmoid(sign x): softplus' = sigmoid. g is one number in device memory. 2 sizeof(T) bytes
// an element.
template <typename T>
__global__ void mean_softplus_backward(const T* g, const T* x, int64 n, double sign, T* out) {
    T factor = g[0] * T(sign) / T(n);
    for (int64 i = first_element(); i < n; i += all_threads()) out[i] = factor * sigmoid(T(sign) * x[i]);
}
