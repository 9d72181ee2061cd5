// Activations and the logistic loss: one thread an element, one pass over memory.
//
// All arrays are C-contiguous; `channels` is the last axis, so element i lies in column i % channels. `int64`
// everywhere: an image batch can hold more than 2^31 numbers. T is float or double.

typedef long long int64;

#include "activation.cuh"

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
    for (int64 i = first_element(); i < n; i += all_threads()) {
        T d = g[i], v = y[i];
        switch (kind) {
            case RELU: d = v > 0 ? d : T(0); break;
            case LEAKY_RELU: d = v > 0 ? d : T(slope) * d; break;
            case TANH: d *= 1 - v * v; break;
            case SIGMOID: d *= v * (1 - v); break;
            default: break;
        }
        out[i] = d;
    }
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
