// Sums over rows; batch norm and layer norm, forward and backward, for (rows, channels) arrays in C order; group norm
// for (elements, positions, channels).
//
// Sums are taken in double and in an order that depends on the shape alone: no atomics, so the same input
// gives the same bits on every run. Over rows they have two stages,
//
//     1. `slabs` blocks a column group: each adds up every slabs-th band of rows, one partial sum a column;
//     2. one block a column group: it adds the partial sums and finishes the statistic.
//
// A column group is blockDim.x columns wide (32, or the power of two that holds `channels`), and blockDim.y
// rows high, so that a warp always reads neighbouring addresses, also when there are three channels. The
// launcher gives stage 1 at least 8 blockDim.y rows a slab; partial sums are then a small part of the
// traffic.

#include "activation.cuh"
#include "sum.cuh"

const int THREADS = 256;  // blockDim.x * blockDim.y in every kernel that sums over rows

// Sum value[k] over the threads of one column (equal threadIdx.x), as a tree: y + half into y. Thread y = 0
// ends with it.
template <int N>
__device__ void sum_over_column(double (&value)[N]) {
    __shared__ double part[N][THREADS];
    int thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int k = 0; k < N; ++k) part[k][thread] = value[k];
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half)
            for (int k = 0; k < N; ++k) part[k][thread] += part[k][thread + half * blockDim.x];
    }
    for (int k = 0; k < N; ++k) value[k] = part[k][thread];
}

__device__ int64 my_column() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }

// End of stage 1: partial[slab][k][column] = sum of value[k] over the block's rows. partial is (slabs, N,
// channels).
template <int N>
__device__ void store_partial(double (&value)[N], int64 channels, double* partial) {
    sum_over_column(value);
    if (threadIdx.y > 0 || my_column() >= channels) return;
    for (int k = 0; k < N; ++k) partial[(blockIdx.y * (int64)N + k) * channels + my_column()] = value[k];
}

// Stage 2: value[k] = sum over slabs of partial[slab][k][column].
template <int N>
__device__ void load_partial(const double* partial, int64 slabs, int64 channels, double (&value)[N]) {
    for (int k = 0; k < N; ++k) value[k] = 0;
    if (my_column() < channels)
        for (int64 slab = threadIdx.y; slab < slabs; slab += blockDim.y)
            for (int k = 0; k < N; ++k) value[k] += partial[(slab * N + k) * channels + my_column()];
    sum_over_column(value);
}

// Mean and variance of x from sums of d = x - x[0] and of d^2 over rows:
//     mean = x[0] + mean(d),   var = mean(d^2) - mean(d)^2.
// Moments about the first row, not about zero, lose nothing when the mean is large against the spread.
struct Moments {
    double mean, var, mean_d;
};

__device__ Moments moments(double first, double sum_d, double sum_d2, int64 rows) {
    double mean_d = sum_d / rows, var = sum_d2 / rows - mean_d * mean_d;
    return {first + mean_d, var < 0 ? 0 : var, mean_d};  // rounding can leave -1e-17; a NaN stays one
}

// -- plain sums ---------------------------------------------------------------------------------------------

// out (outer, channels) = sum over rows of x (outer, rows, channels). Block index x: element of outer, then column
// group. One slab alone finishes; several leave partial (slabs, outer, channels). sizeof(T) bytes an element.
template <typename T>
__global__ void sums(const T* x, int64 outer, int64 rows, int64 channels, int64 groups, double* partial, T* out) {
    int64 element = blockIdx.x / groups, column = blockIdx.x % groups * blockDim.x + threadIdx.x;
    double sum[1] = {0};
    if (column < channels) {
        int64 stride = (int64)gridDim.y * blockDim.y;
        for (int64 row = (int64)blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += stride)
            sum[0] += x[(element * rows + row) * channels + column];
    }
    sum_over_column(sum);
    if (threadIdx.y > 0 || column >= channels) return;
    int64 place = element * channels + column;
    if (gridDim.y == 1)
        out[place] = T(sum[0]);
    else
        partial[blockIdx.y * outer * channels + place] = sum[0];
}

// out = sum over slabs of partial (slabs, n), in order.
template <typename T>
__global__ void sums_finish(const double* partial, int64 slabs, int64 n, T* out) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        double sum = 0;
        for (int64 slab = 0; slab < slabs; ++slab) sum += partial[slab * n + i];
        out[i] = T(sum);
    }
}

// -- batch norm: statistics of each column ------------------------------------------------------------------

// Stage 1 forward: sums of d and d^2. Reads x once: sizeof(T) bytes an element.
template <typename T>
__global__ void batch_norm_sums(const T* x, int64 rows, int64 channels, double* partial) {
    double sum[2] = {0, 0};
    int64 column = my_column();
    if (column < channels) {
        double first = x[column];
        int64 stride = (int64)gridDim.y * blockDim.y;
        for (int64 row = (int64)blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += stride) {
            double d = x[row * channels + column] - first;
            sum[0] += d;
            sum[1] += d * d;
        }
    }
    store_partial(sum, channels, partial);
}

// Stage 2 forward: statistics = (mean, var), of shape (2, channels), and scale = gamma / sqrt(var + eps).
template <typename T>
__global__ void batch_norm_statistics(const double* partial, int64 slabs, const T* x, int64 rows, int64
                                      channels, const T* gamma, double eps, T* statistics, T* scale) {
    double sum[2];
    load_partial(partial, slabs, channels, sum);
    int64 column = my_column();
    if (threadIdx.y > 0 || column >= channels) return;
    Moments m = moments(x[column], sum[0], sum[1], rows);
    statistics[column] = T(m.mean);
    statistics[channels + column] = T(m.var);
    scale[column] = T(gamma[column] / sqrt(m.var + eps));
}

// running <- (1 - momentum) running + momentum (mean, unbiased var), `unbiased` = rows / (rows - 1).
template <typename T>
__global__ void follow_statistics(const T* statistics, int64 channels, double momentum, double unbiased, T*
                                  mean, T* var) {
    int64 column = (int64)blockIdx.x * blockDim.x + threadIdx.x, stride = (int64)gridDim.x * blockDim.x;
    for (; column < channels; column += stride) {
        mean[column] = T(1 - momentum) * mean[column] + T(momentum) * statistics[column];
        var[column] = T(1 - momentum) * var[column] + T(momentum * unbiased) * statistics[channels + column];
    }
}

// out = f((x - mean) scale + beta), f the activation, in this order: x - mean is small where x and mean are
// large and close. 2 sizeof(T) bytes an element. The column follows the index by addition, as in
// activation.cu. `out` may be x.
template <typename T>
__global__ void batch_norm_apply(const T* x, const T* mean, const T* scale, const T* beta, int64 n, int64
                                 channels, int64 kind, double slope, T* out) {
    int64 first = (int64)blockIdx.x * blockDim.x + threadIdx.x, stride = (int64)gridDim.x * blockDim.x;
    int64 column = first % channels, step = stride % channels;
    for (int64 i = first; i < n; i += stride) {
        out[i] = activation<T>((x[i] - mean[column]) * scale[column] + beta[column], kind, T(slope));
        column += step;
        column -= column >= channels ? channels : 0;
    }
}

// Stage 1 backward: sums of d, d^2, u and u d, u = g f'(z), from which everything follows without a second
// look at x, because
//     sum(u h) = sum(u (d - mean(d))) / s = (sum(u d) - mean(d) sum(u)) / s.
// 3 sizeof(T) bytes an element; 2 for the linear kind, where the launcher gives g for y.
template <typename T>
__global__ void batch_norm_backward_sums(const T* g, const T* x, const T* y, int64 rows, int64 channels, int64
                                         kind, double slope, double* partial) {
    double sum[4] = {0, 0, 0, 0};
    int64 column = my_column();
    if (column < channels) {
        double first = x[column];
        int64 stride = (int64)gridDim.y * blockDim.y;
        for (int64 row = (int64)blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += stride) {
            int64 i = row * channels + column;
            double d = x[i] - first, u = pull_back<T>(g[i], y[i], kind, T(slope));
            sum[0] += d;
            sum[1] += d * d;
            sum[2] += u;
            sum[3] += u * d;
        }
    }
    store_partial(sum, channels, partial);
}

// Stage 2 backward: dgamma = sum(u h), dbeta = sum(u), and the four numbers a column that dx needs, `factor`
// (4, channels):
//     mean,   a = gamma / s,   mean(u),   b = mean(u h) / s.
template <typename T>
__global__ void batch_norm_backward_statistics(const double* partial, int64 slabs, const T* x, int64 rows,
                                               int64 channels, const T* gamma, double eps, T* factor, T*
                                               dgamma, T* dbeta) {
    double sum[4];
    load_partial(partial, slabs, channels, sum);
    int64 column = my_column();
    if (threadIdx.y > 0 || column >= channels) return;
    Moments m = moments(x[column], sum[0], sum[1], rows);
    double inverse = 1 / sqrt(m.var + eps);
    double sum_uh = (sum[3] - m.mean_d * sum[2]) * inverse;
    factor[column] = T(m.mean);
    factor[channels + column] = T(gamma[column] * inverse);
    factor[2 * channels + column] = T(sum[2] / rows);
    factor[3 * channels + column] = T(sum_uh / rows * inverse);
    dgamma[column] = T(sum_uh);
    dbeta[column] = T(sum[2]);
}

// dx = a (u - mean(u) - (x - mean) b): 4 sizeof(T) bytes an element; 3 for the linear kind.
template <typename T>
__global__ void batch_norm_backward_apply(const T* g, const T* x, const T* y, const T* factor, int64 n, int64
                                          channels, int64 kind, double slope, T* dx) {
    const T *mean = factor, *a = mean + channels, *mean_u = a + channels, *b = mean_u + channels;
    int64 first = (int64)blockIdx.x * blockDim.x + threadIdx.x, stride = (int64)gridDim.x * blockDim.x;
    int64 column = first % channels, step = stride % channels;
    for (int64 i = first; i < n; i += stride) {
        T u = pull_back<T>(g[i], y[i], kind, T(slope));
        dx[i] = a[column] * (u - mean_u[column] - (x[i] - mean[column]) * b[column]);
        column += step;
        column -= column >= channels ? channels : 0;
    }
}

// -- layer norm: statistics of each row, one block a row ----------------------------------------------------

// Mean and 1 / sqrt(var + eps) of one row. The second reading of the row, for the variance about its mean,
// and every later one find it in cache.
struct Row {
    double mean, inverse;
};

template <typename T>
__device__ Row row_statistics(const T* x, int64 n, double eps) {
    double sum = 0;
    for (int64 j = threadIdx.x; j < n; j += blockDim.x) sum += x[j];
    double mean = sum_over_block(sum) / n;
    sum = 0;
    for (int64 j = threadIdx.x; j < n; j += blockDim.x) sum += (x[j] - mean) * (x[j] - mean);
    return {mean, 1 / sqrt(sum_over_block(sum) / n + eps)};
}

// out = gamma (x - mean) / sqrt(var + eps) + beta: 2 sizeof(T) bytes an element from and to memory. `out` may
// be x.
template <typename T>
__global__ void layer_norm(const T* x, const T* gamma, const T* beta, int64 rows, int64 n, double eps, T* out)
                           {
    for (int64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const T* in = x + row * n;
        Row s = row_statistics(in, n, eps);
        for (int64 j = threadIdx.x; j < n; j += blockDim.x)
            out[row * n + j] = T(gamma[j] * ((in[j] - s.mean) * s.inverse) + beta[j]);
    }
}

// dx = (u - mean(u) - h mean(u h)) / s with u = gamma g, h = (x - mean) / s: 3 sizeof(T) bytes an element.
// Also row_stats[row] = (mean, 1/s), of shape (rows, 2), for the sums over rows.
template <typename T>
__global__ void layer_norm_backward(const T* g, const T* x, const T* gamma, int64 rows, int64 n, double eps,
                                    T* dx, double* row_stats) {
    for (int64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const T *in = x + row * n, *up = g + row * n;
        Row s = row_statistics(in, n, eps);
        double sum_u = 0, sum_uh = 0;
        for (int64 j = threadIdx.x; j < n; j += blockDim.x) {
            double u = (double)gamma[j] * up[j];
            sum_u += u;
            sum_uh += u * (in[j] - s.mean) * s.inverse;
        }
        double mean_u = sum_over_block(sum_u) / n, mean_uh = sum_over_block(sum_uh) / n;
        for (int64 j = threadIdx.x; j < n; j += blockDim.x) {
            double h = (in[j] - s.mean) * s.inverse;
            dx[row * n + j] = T(((double)gamma[j] * up[j] - mean_u - h * mean_uh) * s.inverse);
        }
        if (threadIdx.x == 0) {
            row_stats[2 * row] = s.mean;
            row_stats[2 * row + 1] = s.inverse;
        }
    }
}

// Stage 1 of dgamma = sum over rows of g h, dbeta = sum over rows of g: 2 sizeof(T) bytes an element.
template <typename T>
__global__ void layer_norm_backward_sums(const T* g, const T* x, const double* row_stats, int64 rows, int64
                                         channels, double* partial) {
    double sum[2] = {0, 0};
    int64 column = my_column();
    if (column < channels) {
        int64 stride = (int64)gridDim.y * blockDim.y;
        for (int64 row = (int64)blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += stride) {
            double u = g[row * channels + column];
            sum[0] += u * (x[row * channels + column] - row_stats[2 * row]) * row_stats[2 * row + 1];
            sum[1] += u;
        }
    }
    store_partial(sum, channels, partial);
}

// Stage 2 of dgamma and dbeta.
template <typename T>
__global__ void layer_norm_backward_finish(const double* partial, int64 slabs, int64 channels, T* dgamma, T*
                                           dbeta) {
    double sum[2];
    load_partial(partial, slabs, channels, sum);
    int64 column = my_column();
    if (threadIdx.y > 0 || column >= channels) return;
    dgamma[column] = T(sum[0]);
    dbeta[column] = T(sum[1]);
}

// -- group norm: statistics of each element's groups of neighbouring channels ----------------------------------
//
// One block a column group and element adds up that element's positions, one thread an element and channel
// puts a group's channels together, and a last pass over x applies what it found.

// Of each element and channel: mean, and the sum of squared deviations from it; stats is (elements, 2, channels).
// sizeof(T) bytes an element of x.
template <typename T>
__global__ void group_norm_sums(const T* x, int64 elements, int64 positions, int64 channels, double* stats) {
    int64 column = my_column();
    for (int64 n = blockIdx.y; n < elements; n += gridDim.y) {
        const T* in = x + n * positions * channels;
        double sum[2] = {0, 0}, first = column < channels ? in[column] : 0;
        if (column < channels)
            for (int64 row = threadIdx.y; row < positions; row += blockDim.y) {
                double d = in[row * channels + column] - first;
                sum[0] += d;
                sum[1] += d * d;
            }
        sum_over_column(sum);
        if (threadIdx.y == 0 && column < channels) {
            Moments m = moments(first, sum[0], sum[1], positions);
            stats[2 * n * channels + column] = m.mean;
            stats[(2 * n + 1) * channels + column] = m.var * positions;
        }
        __syncthreads();  // whoever still adds up
    }
}

// Mean and 1 / sqrt(var + eps) of the `size` channels from `column` on, of which `mean` and `squares` tell.
__device__ Row group_moments(const double* mean, const double* squares, int64 size, int64 positions, double
                             eps) {
    double middle = 0, sum = 0;
    for (int64 c = 0; c < size; ++c) middle += mean[c] / size;
    for (int64 c = 0; c < size; ++c) sum += squares[c] + positions * (mean[c] - middle) * (mean[c] - middle);
    return {middle, 1 / sqrt(sum / (positions * size) + eps)};
}

// factor (elements, 3, channels) = (mean rounded, scale, offset), so that z = (x - mean) scale + offset. `each`:
// channels where every element has a gain and an offset of its own, else 0.
template <typename T>
__global__ void group_norm_factors(const double* stats, int64 elements, int64 positions, int64 channels, int64
                                   size, const T* gain, const T* offset, int64 each, double eps, T* factor) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < elements * channels; i += stride) {
        int64 n = i / channels, column = i % channels;
        const double* mean = stats + 2 * n * channels + column / size * size;
        Row s = group_moments(mean, mean + channels, size, positions, eps);
        double scale = gain[n * each + column] * s.inverse;
        T* out = factor + 3 * n * channels + column;
        out[0] = T(s.mean);
        out[channels] = T(scale);
        out[2 * channels] = T(offset[n * each + column] - (s.mean - out[0]) * scale);
    }
}

// out = f((x - mean) scale + offset): 2 sizeof(T) bytes an element. `out` may be x.
template <typename T>
__global__ void group_norm_apply(const T* x, const T* factor, int64 n, int64 positions, int64 channels, int64
                                 kind, double slope, T* out) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const T* a = factor + i / (positions * channels) * 3 * channels + i % channels;
        out[i] = activation<T>((x[i] - a[0]) * a[channels] + a[2 * channels], kind, T(slope));
    }
}

// Of each element and channel: mean, sum of squared deviations d from it, and the sums of u and of u d,
// u = g f'(z); stats is (elements, 4, channels). 3 sizeof(T) bytes an element of x.
template <typename T>
__global__ void group_norm_backward_sums(const T* g, const T* x, const T* y, int64 elements, int64 positions,
                                         int64 channels, int64 kind, double slope, double* stats) {
    int64 column = my_column();
    for (int64 n = blockIdx.y; n < elements; n += gridDim.y) {
        int64 start = n * positions * channels + column;
        double sum[4] = {0, 0, 0, 0}, first = column < channels ? x[start] : 0;
        if (column < channels)
            for (int64 row = threadIdx.y; row < positions; row += blockDim.y) {
                int64 i = start + row * channels;
                double d = x[i] - first, u = pull_back<T>(g[i], y[i], kind, T(slope));
                sum[0] += d;
                sum[1] += d * d;
                sum[2] += u;
                sum[3] += u * d;
            }
        sum_over_column(sum);
        if (threadIdx.y == 0 && column < channels) {
            Moments m = moments(first, sum[0], sum[1], positions);
            double* out = stats + 4 * n * channels + column;
            out[0] = m.mean;
            out[channels] = m.var * positions;
            out[2 * channels] = sum[2];
            out[3 * channels] = sum[3] - m.mean_d * sum[2];
        }
        __syncthreads();  // whoever still adds up
    }
}

// sums (elements, 2, channels) = (sum of u h, sum of u), and factor (elements, 4, channels) = (mean rounded, a,
// b, c), so that dx = u a + (x - mean) b + c.
template <typename T>
__global__ void group_norm_backward_factors(const double* stats, int64 elements, int64 positions, int64
                                            channels, int64 size, const T* gain, int64 each, double eps, T*
                                            factor, T* sums) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < elements * channels; i += stride) {
        int64 n = i / channels, column = i % channels, begin = column / size * size;
        const double *mean = stats + 4 * n * channels, *sum_u = mean + 2 * channels, *sum_ud = sum_u + channels;
        Row s = group_moments(mean + begin, mean + channels + begin, size, positions, eps);
        double mean_u = 0, mean_uh = 0;
        for (int64 c = begin; c < begin + size; ++c) {
            double each_gain = gain[n * each + c];
            mean_u += each_gain * sum_u[c];
            mean_uh += each_gain * (sum_ud[c] + (mean[c] - s.mean) * sum_u[c]) * s.inverse;
        }
        mean_u /= positions * size;
        mean_uh /= positions * size;
        T *out = factor + 4 * n * channels + column, *own = sums + 2 * n * channels + column;
        double b = -s.inverse * s.inverse * mean_uh;
        out[0] = T(s.mean);
        out[channels] = T(gain[n * each + column] * s.inverse);
        out[2 * channels] = T(b);
        out[3 * channels] = T(-s.inverse * mean_u - (s.mean - out[0]) * b);
        own[0] = T((sum_ud[column] + (mean[column] - s.mean) * sum_u[column]) * s.inverse);
        own[channels] = T(sum_u[column]);
    }
}

// dx = u a + (x - mean) b + c: 4 sizeof(T) bytes an element.
template <typename T>
__global__ void group_norm_backward_apply(const T* g, const T* x, const T* y, const T* factor, int64 n, int64
                                          positions, int64 channels, int64 kind, double slope, T* dx) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        const T* a = factor + i / (positions * channels) * 4 * channels + i % channels;
        T u = pull_back<T>(g[i], y[i], kind, T(slope));
        dx[i] = u * a[channels] + (x[i] - a[0]) * a[2 * channels] + a[3 * channels];
    }
}
