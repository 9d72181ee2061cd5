// The fused activations and their derivatives, one number at a time; ../compiler.py puts this text where a
// source includes it. The order of the kinds is that of minigan.activation.FUSED.
typedef long long int64;

enum Kind { LINEAR, RELU, LEAKY_RELU, TANH, SIGMOID };

// 1 / (1 + exp(-z)); the exponential of -|z| cannot overflow.
template <typename T>
__device__ T sigmoid(T z) {
    T e = exp(-fabs(z));
    return (z >= 0 ? T(1) : e) / (1 + e);
}

template <typename T>
__device__ T activation(T z, int64 kind, T slope) {
    switch (kind) {  // the same for every thread, so no warp diverges
        case RELU: return z < 0 ? T(0) : z;  // written so that a NaN stays one
        case LEAKY_RELU: return z > 0 ? z : slope * z;
        case TANH: return tanh(z);
        case SIGMOID: return sigmoid(z);
        default: return z;
    }
}

// g activation'(z), the derivative read off y = activation(z).
template <typename T>
__device__ T pull_back(T g, T y, int64 kind, T slope) {
    switch (kind) {
        case RELU: return y > 0 ? g : T(0);
        case LEAKY_RELU: return y > 0 ? g : slope * g;
        case TANH: return g * (1 - y * y);
        case SIGMOID: return g * (y * (1 - y));
        default: return g;
    }
}
