// The activations of reference.py, for whichever kernel applies one.

// The order of reference.ACTIVATIONS.
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
