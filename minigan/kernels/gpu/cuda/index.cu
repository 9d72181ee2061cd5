// out[index[k]] += g[k] without atomics: a scatter-add written as a gather, so that results repeat.
//
// `order` (n,) sorts `index` (n,) stably. The terms of out[j] are then g[order[k]] for start[j] <= k <
// start[j + 1], in the order in which they stood.

typedef long long int64;

// start[j] = how many indices are below j, for j = 0 ... size: binary search in index[order[...]]. An index
// below 0 or at or above `size` falls outside every segment.
__global__ void segment_starts(const int64* index, const int64* order, int64 n, int64 size, int64* start) {
    int64 stride = (int64)gridDim.x * blockDim.x;
    for (int64 j = (int64)blockIdx.x * blockDim.x + threadIdx.x; j <= size; j += stride) {
        int64 low = 0, high = n;  // index[order[k]] < j for all k < low, and for no k >= high
        while (low < high) {
            int64 middle = low + (high - low) / 2;
            if (index[order[middle]] < j)
                low = middle + 1;
            else
                high = middle;
        }
        start[j] = low;
    }
}

// out[j] = sum of g[order[k]] over segment j, in double. LANES threads share a segment: 1 where segments are
// short, a warp (32) where they are long. Lane l takes terms l, l + LANES, ...; a butterfly adds the lanes in
// a fixed order. Reads order and g, writes out: (8 + sizeof(T)) n + sizeof(T) size bytes where neighbours in
// g are used together, and up to 32 bytes (a sector) for each element of g where they are not.
template <typename T, int LANES>
__global__ void segment_sum(const T* g, const int64* order, const int64* start, int64 size, T* out) {
    int64 thread = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    int64 stride = (int64)gridDim.x * blockDim.x / LANES;
    int lane = threadIdx.x % LANES;
    for (int64 j = thread / LANES; j < size; j += stride) {  // the same j in all lanes of a segment
        double sum = 0;
        for (int64 k = start[j] + lane; k < start[j + 1]; k += LANES) sum += g[order[k]];
        for (int far = LANES / 2; far > 0; far /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, far);
        if (lane == 0) out[j] = T(sum);
    }
}
